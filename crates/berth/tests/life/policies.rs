//! What a container's policy makes of its end.

use rustix::fs::{FlockOperation, flock};

use crate::cli::eventually;
use crate::support::World;

#[test]
fn on_failure_starts_it_so_often_and_then_leaves_it() {
    let world = World::new();
    world.run("c", "--restart on-failure:2", "echo run; exit 3");
    world.await_status("c", "exited");
    eventually("two restarts", || {
        world.restarts("c") == 2 && world.status("c") == "exited"
    });
    // Its process may be gone before its end is on record.
    assert_eq!(world.ok("wait c"), "3");
    assert_eq!(world.field("c", ".State.ExitCode"), "3");
    assert_eq!(world.ok("logs c"), "run\nrun\nrun");
    eventually("nobody to wait", || world.internals("exited").is_empty());
    let policy = world.field("c", "json .HostConfig.RestartPolicy");
    assert_eq!(policy, r#"{"MaximumRetryCount":2,"Name":"on-failure"}"#);
}

#[test]
fn who_ends_well_is_left_by_on_failure_and_started_by_always() {
    let world = World::new();
    world.run("well", "--restart on-failure", "exit 0");
    world.run("always", "--restart always", "exit 0");
    eventually("a restart", || world.restarts("always") >= 2);
    assert_eq!(world.status("well"), "exited");
    assert_eq!(world.restarts("well"), 0);
}

#[test]
fn a_restarting_container_looks_as_with_docker() {
    let world = World::new();
    world.run("c", "--restart always", "exit 5");
    let waiter = world.long_pause("c");
    let state = world.field("c", "json .State");
    for part in [
        r#""Restarting":true"#,
        r#""Running":true"#,
        r#""Status":"restarting""#,
        r#""ExitCode":5"#,
        r#""Pid":0"#,
    ] {
        assert!(state.contains(part), "{part} in {state}");
    }
    let line = world.ok("ps --format {{.Status}} --filter status=restarting");
    assert!(
        line.starts_with("Restarting (5) ") && line.ends_with(" ago"),
        "{line}"
    );
    let error = world.fails(1, "rm c");
    assert!(error.contains("it is restarting"), "{error}");
    let error = world.fails(125, "exec c true");
    assert!(error.contains("is restarting"), "{error}");
    assert!(crate::support::lives(waiter));
}

#[test]
fn pauses_double_and_a_start_by_hand_begins_anew() {
    let world = World::new();
    world.run("c", "--restart unless-stopped", "exit 1");
    world.long_pause("c");
    let status = std::fs::read_to_string(world.persistent("c").join("status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let restarts = &status["restarts"];
    let count = restarts["count"].as_u64().unwrap();
    assert_eq!(restarts["pause_ms"].as_u64().unwrap(), 100 << (count - 1));
    world.ok("stop c");
    world.ok("start c");
    eventually("a new count", || world.restarts("c") < 6);
}

#[test]
fn the_end_is_told_to_whoever_waits_and_is_attached() {
    let world = World::new();
    let flags = "run --name c --restart on-failure:1 host sh -c";
    let mut words: Vec<&str> = flags.split(' ').collect();
    words.push("echo hi; exit 7");
    let done = world.berth.run(&words);
    assert_eq!((done.code, done.out.as_str()), (7, "hi\n"), "the first end");
    world.await_status("c", "exited");
    eventually("its restart", || world.restarts("c") == 1);
    world.await_status("c", "exited");
    assert_eq!(world.ok("wait c"), "7");
}

#[test]
fn a_start_that_fails_is_tried_again() {
    let world = World::new();
    let source = world.berth.path("source");
    std::fs::create_dir(&source).unwrap();
    let flags = format!(
        "--restart always --mount type=bind,src={},dst=/x",
        source.display()
    );
    world.run("c", &flags, "test -d /x && exec sleep 1000");
    std::fs::remove_dir(&source).unwrap();
    world.kill_first_process("c");
    eventually("failed starts", || world.restarts("c") >= 3);
    assert!(world.field("c", ".State.Error").contains("does not exist"));
    std::fs::create_dir(&source).unwrap();
    world.await_status("c", "running");
    assert_eq!(world.field("c", ".State.Error"), "");
}

#[test]
fn name_address_and_ports_stay() {
    let world = World::new();
    world.run(
        "c",
        "--restart always --hostname here",
        "hostname; sleep 0.1",
    );
    eventually("restarts", || world.restarts("c") >= 2);
    let id = world.field("c", ".Id");
    world.ok("stop c");
    assert_eq!(world.field("c", ".Id"), id);
    assert!(world.ok("logs c").lines().all(|line| line == "here"));
}

/// As with Docker, where nobody ever sees one as exited that is about to be started again.
#[test]
fn between_its_end_and_the_claim_it_is_restarting_too() {
    let world = World::new();
    world.run("c", "--restart on-failure:1", "exec sleep 1000");
    // Who claims the start needs this lock (store/lock.rs).
    let id = world.field("c", ".Id");
    let lock = world.berth.path("state/containers").join(&id).join("lock");
    let lock = std::fs::File::open(lock).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    world.kill_first_process("c");
    eventually("its end", || world.field("c", ".State.Pid") == "0");
    assert_eq!(world.status("c"), "restarting");
    let record = world.persistent("c").join("exits/1.json");
    eventually("the record of its end", || record.exists());
    assert_eq!(world.status("c"), "restarting");
    assert_eq!(world.restarts("c"), 0);
    drop(lock);
    eventually("its restart", || world.status("c") == "running");
    assert_eq!(world.restarts("c"), 1);
}

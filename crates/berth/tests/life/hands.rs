//! What users do to a container that is restarting, and `restart`.

use std::fs;
use std::process::Child;

use rustix::process::Signal;

use crate::cli::{eventually, finish, signal};
use crate::support::{World, lives};

#[test]
fn a_stop_ends_the_pause_at_once() {
    let world = World::new();
    world.run("c", "--restart always", "exit 1");
    let waiter = world.long_pause("c");
    world.ok("stop c");
    assert_eq!(world.status("c"), "exited");
    eventually("the end of who waited", || !lives(waiter));
    assert!(world.internals("exited").is_empty());
    world.ok("system restore");
    assert_eq!(world.status("c"), "exited", "stopped is stopped");
}

#[test]
fn a_kill_counts_as_a_stop_and_other_signals_do_not() {
    let world = World::new();
    world.run("killed", "--restart always", "exec sleep 1000");
    world.run(
        "asked",
        "--restart always",
        "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done",
    );
    eventually("its trap", || world.ok("logs asked") == "ready");
    world.run("pausing", "--restart always", "exit 1");
    world.long_pause("pausing");
    world.ok("kill pausing killed");
    world.ok("kill -s USR1 asked");
    eventually("the restart after a signal", || {
        world.restarts("asked") == 1
    });
    for name in ["killed", "pausing"] {
        assert_eq!(world.status(name), "exited", "{name}");
    }
    assert_eq!(world.restarts("killed"), 0);
}

#[test]
fn a_start_supersedes_the_pause() {
    let world = World::new();
    let flag = world.berth.path("flag");
    let script = format!("test -e {} && exec sleep 1000", flag.display());
    let mount = format!(
        "--restart always -v {0}:{0}",
        world.berth.path("").display()
    );
    world.run("c", &mount, &script);
    let waiter = world.long_pause("c");
    fs::write(&flag, "").unwrap();
    world.ok("start c");
    assert_eq!(world.status("c"), "running");
    assert_eq!(world.restarts("c"), 0);
    eventually("the end of who waited", || !lives(waiter));
    assert_eq!(
        world.field("c", ".Berth.Runs"),
        world.field("c", ".Berth.Live.Run")
    );
}

#[test]
fn a_removal_ends_the_pause() {
    let world = World::new();
    world.run("c", "--restart always", "exit 1");
    let waiter = world.long_pause("c");
    world.ok("rm -f c");
    eventually("the end of who waited", || !lives(waiter));
    assert!(world.berth.ids().is_empty());
    world.run("c", "--restart always", "exec sleep 1000");
    world.ok("rm -f c");
    assert!(world.internals("exited").is_empty());
}

#[test]
fn restart_is_another_run_and_no_stop_by_hand() {
    let world = World::new();
    world.run("c", "--restart unless-stopped", "exec sleep 1000");
    let before = world.field("c", ".State.Pid");
    assert_eq!(world.ok("restart -t 0 c"), "c");
    assert_ne!(world.field("c", ".State.Pid"), before);
    assert_eq!(world.restarts("c"), 0);
    world.kill_first_process("c");
    eventually("a restart by its policy", || world.restarts("c") == 1);
    world.ok("stop -t 0 c");
    world.ok("restart c");
    assert_eq!(
        world.status("c"),
        "running",
        "one that is stopped is started"
    );
    let mut asked = vec!["run", "-d", "--name", "asked", "host", "sh", "-c"];
    asked.push("trap 'echo asked; exit 0' USR2; echo ready; while :; do sleep 0.05; done");
    world.berth.ok(&asked);
    eventually("its trap", || world.ok("logs asked") == "ready");
    world.ok("restart -s USR2 asked");
    eventually("what either run said", || {
        world.ok("logs asked") == "ready\nasked\nready"
    });
}

#[test]
fn of_two_restarts_at_once_the_later_goes_on_and_neither_fails() {
    let world = World::new();
    world.run("c", "", "trap '' TERM; sleep 1000");
    let status = world.persistent("c").join("status.json");
    let claimed_by = |child: &Child| {
        let text = fs::read_to_string(&status).unwrap_or_default();
        text.contains(&format!("\"pid\":{},", child.id()))
    };
    let first = world.berth.spawn(&["restart", "-t", "2", "c"]);
    eventually("the first claim", || claimed_by(&first));
    let second = world.berth.spawn(&["restart", "-t", "60", "c"]);
    eventually("the second claim", || claimed_by(&second));
    // The first ends the run, and finds that it is not to start the next.
    signal(&second, Signal::STOP);
    world.await_status("c", "exited");
    signal(&second, Signal::CONT);
    for restart in [first, second] {
        let done = finish(restart);
        assert_eq!(done.code, 0, "{done:?}");
    }
    assert_eq!(world.status("c"), "running");
    assert_eq!(world.field("c", ".Berth.Runs"), "2");
}

#[test]
fn restart_keeps_a_container_for_rm() {
    let world = World::new();
    world.run("c", "--rm", "exec sleep 1000");
    world.ok("restart -t 0 c");
    assert_eq!(world.status("c"), "running");
    world.ok("stop -t 0 c");
    eventually("its removal", || world.berth.ids().is_empty());
}

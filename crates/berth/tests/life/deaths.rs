//! Whoever looks after a container dies.

use crate::cli::eventually;
use crate::support::{World, kill};

#[test]
fn who_waits_is_killed_and_the_next_who_looks_takes_over() {
    let world = World::new();
    world.run("c", "--restart always", "exit 1");
    let waiter = world.long_pause("c");
    kill(waiter);
    eventually("his end", || world.internals("exited").is_empty());
    world.ok("ps");
    assert_ne!(world.waiter(), waiter);
    let count = world.restarts("c");
    eventually("the next start", || world.restarts("c") > count);
}

#[test]
fn a_restore_starts_what_nobody_waits_for() {
    let world = World::new();
    world.run("c", "--restart always", "exit 1");
    kill(world.long_pause("c"));
    eventually("his end", || world.internals("exited").is_empty());
    world.ok("system restore --no-start");
    assert!(world.internals("exited").is_empty());
    let said = world.ok("system restore");
    assert!(said.starts_with("started container "), "{said}");
    let said = world.ok("system restore");
    assert!(!said.contains("started"), "somebody is at it: {said}");
}

#[test]
fn keeper_and_monitor_are_killed_and_the_end_of_the_container_is_found() {
    let world = World::new();
    world.run("c", "--restart always", "exec sleep 1000");
    world.kill_keepers("c");
    assert_eq!(world.status("c"), "running");
    world.kill_first_process("c");
    eventually("a restart", || {
        world.ok("ps -a");
        world.restarts("c") == 1 && world.status("c") == "running"
    });
}

#[test]
fn a_restart_that_is_killed_in_the_middle_is_finished() {
    let world = World::new();
    world.run("c", "", "trap '' TERM; while :; do sleep 0.05; done");
    let mut restarting = world.berth.spawn(&["restart", "-t", "30", "c"]);
    let status = world.persistent("c").join("status.json");
    eventually("its intention", || {
        std::fs::read_to_string(&status).unwrap().contains("claim")
    });
    restarting.kill().unwrap();
    restarting.wait().unwrap();
    world.kill_first_process("c");
    eventually("the start that was wanted", || {
        world.ok("ps -a");
        world.field("c", ".Berth.Runs") == "2" && world.status("c") == "running"
    });
    world.kill_first_process("c");
    world.await_status("c", "exited");
    world.ok("ps -a");
    assert_eq!(world.status("c"), "exited", "once");
}

#[test]
fn a_new_monitor_goes_on_with_the_probes() {
    let world = World::new();
    let flags = "--health-interval 50ms --health-retries 1 --health-cmd false";
    world.run("c", flags, "exec sleep 1000");
    let unhealthy = || world.field("c", ".State.Health.Status") == "unhealthy";
    eventually("failures", unhealthy);
    let live = world.field("c", ".Berth.Live.KeeperPid");
    let keeper: i32 = live.parse().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"));
    let monitor: i32 = children
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kill(rustix::process::Pid::from_raw(monitor).unwrap());
    let streak = || -> u32 {
        world
            .field("c", ".State.Health.FailingStreak")
            .parse()
            .unwrap()
    };
    let before = streak();
    eventually("further failures", || streak() > before + 3);
    assert!(unhealthy());
}

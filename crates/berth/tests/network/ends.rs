//! Ports of a container that has ended: whoever hears of the end finds them free.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::{eventually, finish};
use crate::world::World;

const ADDRESS: &str = "0.0.0.0:8080";
/// A race is not lost each time.
const ROUNDS: usize = 12;

/// A program of the host's takes the port, at once.
fn take_now(world: &World, how: &str) {
    let taken = world.within(|| TcpListener::bind(ADDRESS).map(drop));
    assert!(taken.is_ok(), "after {how}: {taken:?}");
}

fn run_web(world: &World, command: &[&str]) {
    let run = ["run", "-d", "--name", "web", "-p", "8080:80", "host"];
    world.ok(&[&run, command].concat());
}

fn keeper(world: &World) -> Pid {
    let pid = world.ok(&["inspect", "-f", "{{.Berth.Live.KeeperPid}}", "web"]);
    Pid::from_raw(pid.parse().unwrap()).unwrap()
}

fn child_of(pid: Pid) -> Pid {
    let path = format!("/proc/{0}/task/{0}/children", pid.as_raw_nonzero());
    let children = std::fs::read_to_string(path).unwrap();
    let first = children.split_whitespace().next().unwrap();
    Pid::from_raw(first.parse().unwrap()).unwrap()
}

fn is_alive(pid: Pid) -> bool {
    std::path::Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists()
}

fn stop(pid: Pid) {
    kill_process(pid, Signal::STOP).unwrap();
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    eventually("it to be stopped", || {
        std::fs::read_to_string(&path).unwrap().contains(") T ")
    });
}

#[test]
fn whoever_ends_a_container_has_its_ports() {
    let Some(world) = World::new() else { return };
    for _ in 0..ROUNDS {
        for end in [
            &["stop", "-t", "0", "web"][..],
            &["kill", "web"],
            &["rm", "-f", "web"],
        ] {
            run_web(&world, &["sleep", "600"]);
            world.ok(end);
            take_now(&world, end[0]);
            world.run(&["rm", "-f", "web"]);
        }
    }
}

#[test]
fn whoever_waits_for_the_end_of_a_container_has_its_ports() {
    let Some(world) = World::new() else { return };
    let run = ["run", "--name", "web", "-p", "8080:80", "host"];
    for _ in 0..ROUNDS {
        world.ok(&[&run[..], &["true"]].concat());
        take_now(&world, "run");
        let started = world.start(&["start", "-a", "web"]);
        assert_eq!(finish(started).code, 0);
        take_now(&world, "start -a");
        world.ok(&["rm", "web"]);
        run_web(&world, &["sleep", "0.1"]);
        world.ok(&["wait", "web"]);
        take_now(&world, "wait");
        world.ok(&["rm", "web"]);
        let failed = world.run(&[&run[..], &["/none"]].concat());
        assert_eq!(failed.code, 127, "{failed:?}");
        take_now(&world, "a start that failed");
        world.ok(&["rm", "web"]);
    }
}

/// The keeper has a copy of the sockets, which it cannot close while it is stopped.
#[test]
fn a_keeper_that_is_stopped_keeps_no_port() {
    let Some(world) = World::new() else { return };
    let run = [
        "run", "--name", "web", "-p", "8080:80", "host", "sleep", "1",
    ];
    let running = world.start(&run);
    let status = ["inspect", "-f", "{{.State.Status}}", "web"];
    eventually("it to run", || world.run(&status).out == "running\n");
    let keeper = keeper(&world);
    stop(keeper);
    let begun = Instant::now();
    assert_eq!(finish(running).code, 0);
    assert!(begun.elapsed() < Duration::from_secs(20));
    take_now(&world, "run");
    eventually("the keeper to go", || !is_alive(keeper));
}

/// Nobody was there to close them at the end, and nobody waited for it.
#[test]
fn who_is_stopped_goes_on_when_others_want_the_port_or_remove_the_container() {
    let Some(world) = World::new() else { return };
    for removed in [false, true] {
        run_web(&world, &["sleep", "1"]);
        let keeper = keeper(&world);
        let monitor = child_of(keeper);
        stop(keeper);
        stop(monitor);
        let status = ["inspect", "-f", "{{.State.Status}}", "web"];
        eventually("the end", || world.ok(&status) == "exited");
        if removed {
            world.ok(&["rm", "web"]);
        }
        let other = ["run", "--name", "other", "-p", "8080:80", "host", "true"];
        world.ok(&other);
        eventually("both to go", || !is_alive(keeper) && !is_alive(monitor));
        world.ok(&["rm", "other"]);
        world.run(&["rm", "web"]);
    }
}

/// Whoever dies lets go of them, and the other one does at the end.
#[test]
fn whoever_is_killed_keeps_no_port() {
    let Some(world) = World::new() else { return };
    for (with_keeper, with_monitor) in [(true, false), (false, true), (true, true)] {
        run_web(&world, &["sleep", "600"]);
        let keeper = keeper(&world);
        let monitor = child_of(keeper);
        for (pid, dies) in [(keeper, with_keeper), (monitor, with_monitor)] {
            if dies {
                kill_process(pid, Signal::KILL).unwrap();
            }
        }
        world.ok(&["stop", "-t", "0", "web"]);
        take_now(&world, "stop");
        world.ok(&["rm", "web"]);
    }
}

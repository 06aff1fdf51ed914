//! What a container is to others is the same after it was started again, whoever did it.

use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process};

use crate::ports::{ask, ask_once, serve, take};
use crate::world::World;

/// The first process ends, and nobody asked for it.
fn dies(world: &World, name: &str) {
    let pid: i32 = field(world, name, ".State.Pid").parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

fn field(world: &World, name: &str, field: &str) -> String {
    world.ok(&["inspect", "-f", &format!("{{{{{field}}}}}"), name])
}

fn address(world: &World, name: &str) -> String {
    field(world, name, ".NetworkSettings.Networks.blue.IPAddress")
}

fn look_up(world: &World, from: &str, name: &str) -> String {
    let line = format!("getent hosts {name} | cut -d' ' -f1");
    world.ok(&["exec", from, "sh", "-c", &line])
}

fn await_restart(world: &World, name: &str, count: u32) {
    world.wait("the restart by the policy", || {
        field(world, name, ".RestartCount") == count.to_string()
            && field(world, name, ".State.Status") == "running"
    });
}

#[test]
fn address_port_and_name_are_the_same_after_a_policys_restart() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    let blue = ["--network", "blue"];
    // One that is named, one of the kernel's choice, and one of a range that moves up.
    let listener = world.within(|| TcpListener::bind("0.0.0.0:9000").unwrap());
    let ports = ["-p", "8080:80", "-p", "80", "-p", "9000-9002:80"];
    let flags = [&ports[..], &["--restart", "always"]].concat();
    let names = ["--network-alias", "www", "--hostname", "box"];
    serve(&world, "web", &[&blue[..], &flags, &names].concat());
    serve(&world, "other", &blue);
    let before = address(&world, "web");
    let ports = world.ok(&["port", "web"]);
    let mut chosen = ports.lines().map(|l| l.rsplit(':').next().unwrap());
    let free = chosen
        .find(|port| !["8080", "9001"].contains(port))
        .unwrap();
    let free = format!("127.0.0.1:{free}");
    drop(listener);
    for count in 1..4 {
        dies(&world, "web");
        // Whoever comes in the pause gets another address.
        let between = format!("between{count}");
        serve(&world, &between, &blue);
        await_restart(&world, "web", count);
        assert_eq!(address(&world, "web"), before, "restart {count}");
        assert_ne!(address(&world, &between), before);
        let own = world.ok(&["exec", "web", "hostname", "-I"]);
        assert_eq!(own.trim(), before);
        for name in ["web", "www"] {
            assert_eq!(look_up(&world, "other", name), before, "{name}");
            assert_eq!(look_up(&world, &between, name), before, "{name}");
        }
        let hosts = world.ok(&["exec", "web", "cat", "/etc/hosts"]);
        let line = format!("{before}\tbox");
        assert!(hosts.lines().any(|l| l.starts_with(&line)), "{hosts}");
        assert_eq!(world.ok(&["port", "web"]), ports);
        assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
        assert_eq!(ask(&world, &free).unwrap(), "web");
        let inside = ["exec", "other", "busybox", "nc", "-w5", "web", "80"];
        assert_eq!(world.ok(&inside), "web");
    }
    world.ok(&["rm", "-f", "web"]);
    assert!(ask_once(&world, "127.0.0.1:8080").is_err());
    assert_eq!(look_up(&world, "other", "web"), "");
}

#[test]
fn so_they_are_after_a_restart_by_hand() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    world.ok(&["network", "create", "red"]);
    serve(&world, "web", &["--network", "blue", "-p", "8080:80"]);
    world.ok(&["network", "connect", "--alias", "paint", "red", "web"]);
    serve(&world, "other", &["--network", "red"]);
    let before = address(&world, "web");
    let red = ".NetworkSettings.Networks.red.IPAddress";
    let on_red = field(&world, "web", red);
    for _ in 0..3 {
        world.ok(&["restart", "-t", "0", "web"]);
        assert_eq!(address(&world, "web"), before);
        assert_eq!(field(&world, "web", red), on_red);
        assert_eq!(look_up(&world, "other", "web"), on_red);
        assert_eq!(look_up(&world, "other", "paint"), on_red);
        assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    }
    assert_eq!(field(&world, "web", ".RestartCount"), "0");
}

/// A port that somebody took in the pause is said to be taken, and the container comes back once it
/// is free.
#[test]
fn a_port_that_was_taken_meanwhile_is_waited_for() {
    let Some(world) = World::new() else { return };
    let flags = ["-p", "8080:80", "--restart", "always"];
    serve(&world, "web", &flags);
    let before = field(&world, "web", ".NetworkSettings.IPAddress");
    // A stop gives the port back; the policy starts it at the return.
    world.ok(&["stop", "-t", "0", "web"]);
    let taken = take(&world, "0.0.0.0:8080");
    let start = world.run(&["start", "web"]);
    assert!(start.err.contains("8080/tcp"), "{start:?}");
    drop(taken);
    world.ok(&["start", "web"]);
    dies(&world, "web");
    // From now on the port is somebody else's as soon as it is free.
    let taken = world.within(|| {
        (0..10_000).find_map(|_| match TcpListener::bind("0.0.0.0:8080") {
            Ok(listener) => Some(listener),
            Err(_) => {
                std::thread::sleep(std::time::Duration::from_millis(1));
                None
            }
        })
    });
    if taken.is_some() {
        world.wait("the reason", || {
            field(&world, "web", ".State.Error").contains("8080/tcp")
        });
        assert_eq!(field(&world, "web", ".State.Status"), "restarting");
        drop(taken);
    }
    world.wait("its return", || {
        field(&world, "web", ".State.Status") == "running"
    });
    assert_eq!(field(&world, "web", ".State.Error"), "");
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    assert_eq!(field(&world, "web", ".NetworkSettings.IPAddress"), before);
}

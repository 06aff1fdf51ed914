//! Beside dockerd, whose chain FORWARD drops what is none of its own.

use super::{Ours, ask, assert_reached, leave, make_outside, rules_with};
use crate::docker::Docker;
use crate::image::BUSYBOX;
use crate::support::eventually;
use crate::world::World;

/// A container of Docker's with a published port.
fn serve(docker: &Docker, name: &str, port: u16) {
    let publish = format!("--publish={port}:80");
    let server = ["nc", "-ll", "-p", "80", "-e", "echo", name];
    let flags = ["run", "-d", "--name", name, &publish, BUSYBOX];
    docker.ok(&[&flags[..], &server].concat());
}

fn docker_reaches_outside(docker: &Docker, name: &str) -> bool {
    let line = "nc -w 3 203.0.113.2 80 </dev/null || true";
    docker.exec(name, line) == "outside"
}

/// Makes sure that what nobody accepts is dropped. This Docker does so where it turns forwarding on
/// itself, newer ones always.
fn drop_what_is_forwarded(world: &World) {
    let done = world.run(&["iptables-nft", "-P", "FORWARD", "DROP"]);
    assert_eq!(done.code, 0, "{done:?}");
}

/// The rules of Docker's chain for others that are ours.
fn pairs(world: &World) -> usize {
    let rules = world.run(&["iptables-nft", "-S", "DOCKER-USER"]);
    assert_eq!(rules.code, 0, "{rules:?}");
    let lines = rules.out.lines();
    lines.filter(|line| line.contains("berth")).count()
}

#[test]
fn docker_first() {
    let world = World::new("docker");
    make_outside(&world);
    let sysctl = world.run(&["sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"]);
    assert_eq!(sysctl.code, 0, "{sysctl:?}");
    let mut docker = Docker::start_in(world, false);
    let policy = docker.world.run(&["iptables-nft", "-S", "FORWARD"]);
    assert!(policy.out.contains("-P FORWARD DROP"), "{policy:?}");
    serve(&docker, "whale", 9090);
    assert_reached(&docker.world, 9090, "whale");
    let rule = ["-I", "DOCKER-USER", "-s", "198.51.100.1", "-j", "DROP"];
    let rule = [&["iptables-nft"], &rule[..]].concat();
    assert_eq!(docker.world.run(&rule).code, 0, "a rule of the user's");
    {
        let ours = Ours {
            world: &docker.world,
        };
        ours.serve("web", 8080);
        assert_eq!(pairs(&docker.world), 2);
        assert_reached(&docker.world, 8080, "web");
        assert_reached(&docker.world, 9090, "whale");
        assert!(ours.reaches_outside("web"));
        assert!(docker_reaches_outside(&docker, "whale"));
        // To each other through their published ports.
        assert_eq!(ours.ask_from("web", "203.0.113.1", 9090), "whale");
        let line = "nc -w 3 203.0.113.1 8080 </dev/null || true";
        assert_eq!(docker.exec("whale", line), "web");
    }
    docker.daemon.stop(&docker.world);
    assert_reached(&docker.world, 8080, "web");
    docker.start_again();
    docker.ok(&["start", "whale"]);
    let ours = Ours {
        world: &docker.world,
    };
    assert_reached(&docker.world, 8080, "web");
    assert_reached(&docker.world, 9090, "whale");
    assert!(ours.reaches_outside("web"));
    ours.remove("web");
    assert_eq!(rules_with(&docker.world, "berth"), Vec::<String>::new());
    let users = docker.world.run(&["iptables-nft", "-S", "DOCKER-USER"]);
    assert!(users.out.contains("198.51.100.1"), "{users:?}");
    assert_reached(&docker.world, 9090, "whale");
    assert_eq!(ask(&docker.world, "127.0.0.1", 8080), "");
    leave(&docker.world);
    docker.finish();
}

#[test]
fn docker_second() {
    let world = World::new("docker");
    make_outside(&world);
    let ours = Ours { world: &world };
    ours.serve("web", 8080);
    assert_reached(&world, 8080, "web");
    assert!(ours.reaches_outside("web"));
    let mut docker = Docker::start_in(world, false);
    let ours = Ours {
        world: &docker.world,
    };
    // Its chain is new, so our pair comes by itself.
    eventually("our rules in Docker's chain", || pairs(&docker.world) == 2);
    drop_what_is_forwarded(&docker.world);
    serve(&docker, "whale", 9090);
    assert_reached(&docker.world, 9090, "whale");
    assert_reached(&docker.world, 8080, "web");
    assert!(ours.reaches_outside("web"));
    assert!(docker_reaches_outside(&docker, "whale"));
    // Everything is flushed; Docker makes its own anew when it starts again.
    let flushed = docker.world.run(&["nft", "flush", "ruleset"]);
    assert_eq!(flushed.code, 0, "{flushed:?}");
    docker.daemon.stop(&docker.world);
    docker.start_again();
    docker.ok(&["start", "whale"]);
    let ours = Ours {
        world: &docker.world,
    };
    eventually("our rules in Docker's chain", || pairs(&docker.world) == 2);
    drop_what_is_forwarded(&docker.world);
    assert_reached(&docker.world, 9090, "whale");
    assert_reached(&docker.world, 8080, "web");
    assert!(ours.reaches_outside("web"));
    ours.remove("web");
    assert_eq!(rules_with(&docker.world, "berth"), Vec::<String>::new());
    assert_reached(&docker.world, 9090, "whale");
    leave(&docker.world);
    docker.finish();
}

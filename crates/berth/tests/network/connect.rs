//! `network connect` and `disconnect`.

use crate::world::World;

fn addresses(world: &World, name: &str) -> Vec<String> {
    let text = world.ok(&["exec", name, "hostname", "-I"]);
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_running_container_gets_a_network_names_and_loses_them() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "--subnet", "10.50.0.0/24", "blue"]);
    world.ok(&["run", "-d", "--name", "web", "host", "sleep", "1000"]);
    world.ok(&[
        "run",
        "-d",
        "--name",
        "db",
        "--network",
        "blue",
        "host",
        "sleep",
        "1000",
    ]);
    world.ok(&[
        "network",
        "connect",
        "--ip",
        "10.50.0.9",
        "--alias",
        "www",
        "blue",
        "web",
    ]);
    assert_eq!(addresses(&world, "web"), ["10.210.0.2", "10.50.0.9"]);
    let found = world.ok(&[
        "exec",
        "db",
        "sh",
        "-c",
        "getent hosts www; getent hosts web",
    ]);
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(
        found.lines().all(|line| line.starts_with("10.50.0.9")),
        "{found}"
    );
    // The running container's own files say so, too.
    let files = "grep nameserver /etc/resolv.conf; grep -c ^10.50.0.9 /etc/hosts; getent hosts db";
    let files = world.ok(&["exec", "web", "sh", "-c", files]);
    assert!(
        files.starts_with("nameserver 127.0.0.11\n1\n10.50.0."),
        "{files}"
    );
    let done = world.run(&["network", "connect", "blue", "web"]);
    insta::assert_snapshot!(done.err.trim_end(), @"berth: container web is on network blue already");
    // It stays so over a restart.
    world.ok(&["stop", "-t", "0", "web"]);
    world.ok(&["start", "web"]);
    assert_eq!(addresses(&world, "web"), ["10.210.0.2", "10.50.0.9"]);
    world.ok(&["network", "disconnect", "bridge", "web"]);
    assert_eq!(addresses(&world, "web"), ["10.50.0.9"]);
    assert_eq!(world.leases("bridge"), Vec::<String>::new());
    world.ok(&["network", "disconnect", "blue", "web"]);
    assert_eq!(addresses(&world, "web"), Vec::<String>::new());
    assert_eq!(
        world.ok(&["exec", "db", "sh", "-c", "getent hosts web || echo gone"]),
        "gone"
    );
    let done = world.run(&["network", "disconnect", "blue", "web"]);
    insta::assert_snapshot!(done.err.trim_end(), @"berth: container web is not on network blue");
    world.ok(&["network", "disconnect", "-f", "blue", "web"]);
}

#[test]
fn a_container_that_does_not_run_is_connected_at_its_start() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "--subnet", "10.50.0.0/24", "blue"]);
    world.ok(&["create", "--name", "web", "host", "sleep", "1000"]);
    world.ok(&["network", "connect", "blue", "web"]);
    assert_eq!(world.leases("blue"), Vec::<String>::new());
    world.ok(&["start", "web"]);
    assert_eq!(addresses(&world, "web"), ["10.210.0.2", "10.50.0.2"]);
    let done = world.run(&["network", "connect", "--ip", "10.50.0.2", "blue", "web"]);
    assert_eq!(done.code, 1);
    world.ok(&[
        "create",
        "--name",
        "alone",
        "--network",
        "none",
        "host",
        "true",
    ]);
    let done = world.run(&["network", "connect", "blue", "alone"]);
    insta::assert_snapshot!(done.err.trim_end(), @"berth: cannot connect container alone: it was made without a network of its own; make it with --network");
    // What fails leaves the container as it was.
    world.ok(&["run", "-d", "--name", "other", "host", "sleep", "1000"]);
    let done = world.run(&["network", "connect", "--ip", "10.50.0.2", "blue", "other"]);
    assert!(done.err.contains("container web has it"), "{done:?}");
    assert_eq!(addresses(&world, "other"), ["10.210.0.3"]);
    world.ok(&["rm", "-f", "web", "other"]);
    assert_eq!(world.leases("blue"), Vec::<String>::new());
}

/// Runs a command that dies of a fault; builds with debug assertions know them.
fn die(world: &World, fault: &str, arguments: &[&str]) {
    let mut command = world.berth.command(arguments);
    command.env("BERTH_FAULT", fault);
    let done = crate::cli::finish(world.spawn(&mut command));
    assert_ne!(done.code, 0, "{fault}: {done:?}");
}

#[test]
fn who_dies_connecting_or_disconnecting_is_made_good() {
    let Some(world) = World::new() else { return };
    for name in ["blue", "red"] {
        world.ok(&["network", "create", name]);
    }
    let run = ["run", "-d", "--name", "web", "--network", "blue"];
    world.ok(&[&run[..], &["host", "sleep", "1000"]].concat());
    let connect = ["network", "connect", "red", "web"];
    let disconnect = ["network", "disconnect", "red", "web"];
    // Plugged, and not on record: once more makes one of it, and a recovery undoes it.
    die(&world, "kill-before container.networks 1", &connect);
    assert_eq!(addresses(&world, "web").len(), 2);
    world.ok(&connect);
    assert_eq!(addresses(&world, "web").len(), 2);
    assert_eq!(world.leases("red").len(), 1);
    // On record as gone, and still plugged: a recovery finishes it.
    die(&world, "kill-before container.wiring 1", &disconnect);
    world.ok(&["system", "restore"]);
    assert_eq!(addresses(&world, "web").len(), 1);
    assert!(world.leases("red").is_empty());
    // The same, and somebody disconnects it once more.
    world.ok(&connect);
    die(&world, "kill-before container.wiring 1", &disconnect);
    world.ok(&disconnect);
    assert!(world.leases("red").is_empty());
    // An address that was taken and not written down is nobody's.
    die(&world, "kill-before container.wiring 1", &connect);
    assert_eq!(world.leases("red").len(), 1);
    world.ok(&["system", "restore"]);
    assert!(world.leases("red").is_empty());
    world.ok(&["rm", "-f", "web"]);
    world.wait_for_interfaces(2);
}

/// As Docker tells them: what is connected while it does not run is connected at its start, and at its
/// end it leaves what it is on by then.
#[test]
fn events_tell_what_a_container_is_on_by_then() {
    let Some(world) = World::new() else { return };
    for (name, subnet) in [("blue", "10.50.0.0/24"), ("red", "10.51.0.0/24")] {
        world.ok(&["network", "create", "--subnet", subnet, name]);
    }
    let run = ["run", "-d", "--name", "web", "--network", "blue"];
    world.ok(&[&run[..], &["host", "sleep", "1000"]].concat());
    let told = || {
        let format = "{{.Action}} {{.Actor.Attributes.name}}";
        let events = ["events", "--until", "0s", "--filter", "type=network"];
        let of = ["--filter", "event=connect", "--filter", "event=disconnect"];
        world.ok(&[&events[..], &of, &["--format", format]].concat())
    };
    world.ok(&["network", "connect", "red", "web"]);
    world.ok(&["network", "disconnect", "blue", "web"]);
    world.ok(&["stop", "-t", "0", "web"]);
    assert_eq!(
        told(),
        "connect blue\nconnect red\ndisconnect blue\ndisconnect red"
    );
    world.ok(&["network", "connect", "blue", "web"]);
    world.ok(&["network", "disconnect", "red", "web"]);
    world.ok(&["start", "web"]);
    let told = told();
    let rest: Vec<&str> = told.lines().skip(4).collect();
    assert_eq!(rest, ["disconnect red", "connect blue"]);
    // Connected and then not started: both are told.
    let failing = ["run", "--rm", "--network", "red", "host", "/none"];
    assert_eq!(world.run(&failing).code, 127);
    let told = world.ok(&["events", "--until", "0s", "--format", "{{.Action}}"]);
    assert!(
        told.ends_with("create\nattach\nconnect\ndisconnect\ndestroy"),
        "{told}"
    );
}

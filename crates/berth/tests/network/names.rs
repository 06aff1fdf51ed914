//! Names of containers on networks that have names.

use crate::world::World;

const SLEEP: [&str; 3] = ["host", "sleep", "1000"];

fn start(world: &World, name: &str, flags: &[&str]) {
    let mut arguments = vec!["run", "-d", "--name", name];
    arguments.extend(flags);
    arguments.extend(SLEEP);
    world.ok(&arguments);
}

/// The address that a container finds for a name; empty when there is none.
fn look_up(world: &World, from: &str, name: &str) -> String {
    let line = format!("getent hosts {name} | cut -d' ' -f1");
    world.ok(&["exec", from, "sh", "-c", &line])
}

#[test]
fn names_aliases_and_addresses_are_found_on_ones_own_networks() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    world.ok(&["network", "create", "red"]);
    start(
        &world,
        "web",
        &["--network", "blue", "--network-alias", "www"],
    );
    start(&world, "db", &["--network", "blue", "--network", "red"]);
    start(&world, "far", &["--network", "red"]);
    let web = world.ok(&[
        "inspect",
        "-f",
        "{{.NetworkSettings.Networks.blue.IPAddress}}",
        "web",
    ]);
    assert_eq!(look_up(&world, "db", "web"), web);
    assert_eq!(look_up(&world, "db", "www"), web);
    assert_eq!(look_up(&world, "web", "web"), web, "itself");
    assert_eq!(look_up(&world, "far", "web"), "", "another network's");
    assert_ne!(look_up(&world, "far", "db"), "");
    let back = format!("getent hosts {web}");
    let back = world.ok(&["exec", "db", "sh", "-c", &back]);
    assert!(back.ends_with("web.blue"), "{back}");
    world.ok(&["rm", "-f", "web"]);
    assert_eq!(look_up(&world, "db", "web"), "");
}

/// Renamed, it is found by its new name at once, and by the old one not at all; its ports stay.
#[test]
fn a_new_name_is_found_at_once() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    start(
        &world,
        "web",
        &[
            "--network",
            "blue",
            "--network-alias",
            "www",
            "-p",
            "8080:80",
        ],
    );
    start(&world, "db", &["--network", "blue"]);
    let web = look_up(&world, "db", "web");
    assert_ne!(web, "");
    world.ok(&["rename", "web", "shop"]);
    assert_eq!(look_up(&world, "db", "shop"), web);
    assert_eq!(look_up(&world, "db", "www"), web, "an alias stays");
    let back = format!("getent hosts {web}");
    let back = world.ok(&["exec", "db", "sh", "-c", &back]);
    assert!(back.ends_with("shop.blue"), "{back}");
    assert!(
        world
            .ok(&["port", "shop"])
            .starts_with("80/tcp -> 0.0.0.0:8080")
    );
    // Another one may have the old name, and is who is found by it.
    start(&world, "web", &["--network", "blue"]);
    let other = look_up(&world, "db", "web");
    assert!(!other.is_empty() && other != web, "{other}");
    world.ok(&["stop", "-t", "0", "shop"]);
    world.ok(&["rename", "shop", "store"]);
    world.ok(&["start", "store"]);
    assert_eq!(look_up(&world, "db", "store"), web);
}

#[test]
fn a_resolver_that_was_killed_is_started_by_recover() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    start(&world, "a", &["--network", "blue"]);
    start(&world, "b", &["--network", "blue"]);
    assert_ne!(look_up(&world, "a", "b"), "");
    let resolver = world.resolver().unwrap();
    rustix::process::kill_process(resolver, rustix::process::Signal::KILL).unwrap();
    world.wait("the resolver to be gone", || world.resolver().is_none());
    world.ok(&["system", "restore"]);
    assert_ne!(look_up(&world, "a", "b"), "");
    assert_ne!(look_up(&world, "b", "a"), "");
    // It ends with the last container.
    world.ok(&["rm", "-f", "a", "b"]);
    world.wait("the resolver to end", || world.resolver().is_none());
}

#[test]
fn the_default_network_has_no_names_and_the_hosts_resolvers() {
    let Some(world) = World::new() else { return };
    start(&world, "a", &[]);
    let file = world.sh(
        "--dns 192.0.2.53 --dns-search example.org",
        "cat /etc/resolv.conf",
    );
    assert_eq!(file, "nameserver 192.0.2.53\nsearch example.org");
    let hosts = world.sh(
        "--add-host db:10.1.1.1 --add-host gw:host-gateway --hostname web --domainname example.org",
        "cat /etc/hosts /etc/hostname",
    );
    assert!(hosts.contains("10.1.1.1\tdb\n10.210.0.1\tgw\n"), "{hosts}");
    assert!(hosts.ends_with("\tweb.example.org web\nweb"), "{hosts}");
}

/// As Docker would, but for the servers that it asks without being told to.
#[test]
fn a_host_that_names_no_server_starts_containers_and_says_what_they_lack() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    world.ok(&["network", "create", "--internal", "red"]);
    let said = |flags: &str| {
        let file = "mount --bind /dev/null /etc/resolv.conf && exec \"$@\"";
        let mut command = std::process::Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            file,
            "sh",
        ]);
        let mut arguments = vec!["run", "--rm", "--name", "web"];
        arguments.extend(flags.split(' '));
        arguments.extend(["host", "echo", "runs"]);
        let berth = world.berth.command(&arguments);
        command.arg(berth.get_program()).args(berth.get_args());
        for (key, value) in berth.get_envs() {
            command.env(key, value.unwrap_or_default());
        }
        let done = crate::cli::finish(world.spawn(&mut command));
        assert_eq!((done.code, done.out.as_str()), (0, "runs\n"), "{done:?}");
        done.err
    };
    let why = "the host's /etc/resolv.conf names no server that it reaches; name a server with --dns, \
               or there\n";
    let warned = |what: &str| format!("berth: warning: container web {what}: {why}");
    let (all, others) = (
        "cannot look up names",
        "looks up names of its networks alone",
    );
    assert_eq!(said("--network bridge"), warned(all));
    assert_eq!(said("--network blue"), warned(others));
    for quiet in [
        "--network red",
        "--network none",
        "--network bridge --dns 192.0.2.53",
    ] {
        assert_eq!(said(quiet), "", "{quiet}");
    }
}

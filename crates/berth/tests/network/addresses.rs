//! Addresses, routes and files of containers on the default network.

use berth_testkit::Bundle;

use crate::world::World;

#[test]
fn the_default_network_gives_an_address_a_route_and_the_way_back() {
    let Some(world) = World::new() else { return };
    let seen = world.sh("", "hostname -I; cat /proc/net/route | wc -l; cat /etc/resolv.conf /etc/hostname >/dev/null; grep -c $(hostname) /etc/hosts; busybox ping -c 1 -W 5 10.210.0.1 >/dev/null && echo reached");
    let lines: Vec<&str> = seen.lines().map(str::trim).collect();
    assert_eq!(lines, ["10.210.0.2", "3", "1", "reached"], "{seen}");
    // Nothing of the container stays: the bridge does.
    world.wait_for_interfaces(1);
    assert!(world.interfaces()[0].starts_with("berth"));
    assert!(world.leases("bridge").is_empty());
}

#[test]
fn a_container_keeps_its_address_over_a_restart() {
    let Some(world) = World::new() else { return };
    world.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    world.ok(&["run", "-d", "--name", "b", "host", "sleep", "1000"]);
    let address = |name: &str| {
        world
            .ok(&["exec", name, "hostname", "-I"])
            .trim()
            .to_owned()
    };
    assert_eq!(
        (address("a"), address("b")),
        ("10.210.0.2".into(), "10.210.0.3".into())
    );
    world.ok(&["stop", "-t", "0", "a"]);
    assert_eq!(world.leases("bridge").len(), 2);
    world.ok(&["run", "--rm", "host", "true"]);
    world.ok(&["start", "a"]);
    assert_eq!(address("a"), "10.210.0.2");
    world.ok(&[
        "exec",
        "b",
        "busybox",
        "ping",
        "-c",
        "1",
        "-W",
        "5",
        "10.210.0.2",
    ]);
    world.ok(&["rm", "-f", "a", "b"]);
    assert!(world.leases("bridge").is_empty());
    world.wait_for_interfaces(1);
}

#[test]
fn an_image_without_these_files_gets_them_and_is_not_changed() {
    let Some(world) = World::new() else { return };
    let folder = world.berth.path("image");
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    std::fs::copy("/usr/bin/busybox", folder.join("bin/busybox")).unwrap();
    let tar = format!("tar -C {} -c .", folder.display());
    let archive = world.berth.path("root.tar");
    world.host(&format!("{tar} -f {}", archive.display()));
    world.ok(&["import", archive.to_str().unwrap(), "box"]);
    let run = ["run", "--name", "a", "box", "/bin/busybox", "cat"];
    let files = ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"];
    let seen = world.ok(&[&run[..], &files[..]].concat());
    assert!(seen.contains("10.210.0.2"), "{seen}");
    assert_eq!(world.ok(&["diff", "a"]), "");
}

#[test]
fn none_and_host_are_what_they_were() {
    let Some(world) = World::new() else { return };
    assert_eq!(world.sh("--network none", "hostname -I").trim(), "");
    assert_eq!(
        world.interfaces(),
        Vec::<String>::new(),
        "no bridge for nobody"
    );
    world.sh("", "true");
    let bridge = world.interfaces();
    let seen = world.sh("--net host", "tail -n +3 /proc/net/dev | cut -d: -f1");
    assert!(seen.contains(&bridge[0]), "{seen}");
}

#[test]
fn two_engines_beside_each_other_do_not_collide() {
    let Some(world) = World::new() else { return };
    world.ok(&["run", "-d", "host", "sleep", "1000"]);
    let second = crate::cli::Berth::new();
    let mut command = second.bare_command(&["run", "--rm", "host", "hostname", "-I"]);
    let done = crate::cli::finish(world.spawn(&mut command));
    assert_eq!((done.code, done.out.trim()), (0, "10.210.16.2"), "{done:?}");
}

#[test]
fn thirty_two_at_once_have_different_addresses() {
    let Some(world) = World::new() else { return };
    // They stay until all are there: an address that was given back may be had again.
    let run = ["run", "-d", "host", "sleep", "1000"];
    let started: Vec<_> = (0..32).map(|_| world.start(&run)).collect();
    let mut seen = std::collections::HashSet::new();
    for child in started {
        let done = crate::cli::finish(child);
        assert_eq!(done.code, 0, "{done:?}");
        let address = world.ok(&["exec", done.out.trim_end(), "hostname", "-I"]);
        assert!(seen.insert(address.clone()), "{address}");
    }
    assert_eq!(world.leases("bridge").len(), 32);
    let all = world.ok(&["ps", "-q"]);
    let all: Vec<&str> = ["rm", "-f"].into_iter().chain(all.lines()).collect();
    world.ok(&all);
    assert!(world.leases("bridge").is_empty());
    world.wait_for_interfaces(1);
}

/// An image cannot know what is in them.
#[test]
fn an_image_gets_its_files_on_every_network() {
    let Some(world) = World::new() else { return };
    let bundle = Bundle::new();
    let rootfs = bundle.rootfs();
    let archive = world.berth.path("root.tar");
    world.host(&format!(
        "tar -C {} -cf {} .",
        rootfs.display(),
        archive.display()
    ));
    world.ok(&["import", archive.to_str().unwrap(), "box:1"]);
    let seen = |flags: &[&str], line: &str| {
        let mut arguments = vec!["run", "--rm", "--hostname", "boat"];
        arguments
            .retain(|word| !(flags.contains(&"host") && matches!(*word, "--hostname" | "boat")));
        arguments.extend(flags);
        arguments.extend(["box:1", "sh", "-c", line]);
        world.ok(&arguments)
    };
    let all = "cat /etc/hostname /etc/hosts; stat -c %u:%g:%a /etc/hosts; echo x >> /etc/hosts";
    let alone = seen(&["--network", "none", "--add-host", "db:10.1.1.1"], all);
    assert!(alone.starts_with("boat\n127.0.0.1\tlocalhost\n"), "{alone}");
    assert!(alone.contains("\n10.1.1.1\tdb\n"), "{alone}");
    assert!(alone.ends_with("\n0:0:644"), "{alone}");
    let host = seen(&["--network", "host"], "cat /etc/hosts /etc/resolv.conf");
    let files = |names: [&str; 2]| {
        let texts = names.map(|name| std::fs::read_to_string(name).unwrap_or_default());
        texts.concat().trim_end().to_owned()
    };
    assert_eq!(host, files(["/etc/hosts", "/etc/resolv.conf"]));

    // Whoever shares a network shares them, and the root of a user namespace owns them.
    world.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--hostname",
        "a",
        "box:1",
        "sleep",
        "1000",
    ]);
    let own = world.ok(&["exec", "a", "cat", "/etc/hosts"]);
    world.ok(&[
        "run",
        "-d",
        "--name",
        "b",
        "--network",
        "container:a",
        "box:1",
        "sleep",
        "1000",
    ]);
    let line = [
        "run",
        "--rm",
        "--network",
        "container:b",
        "box:1",
        "cat",
        "/etc/hosts",
    ];
    assert_eq!(world.ok(&line), own);
    let mapped = seen(&["--userns", "private"], all);
    assert!(mapped.contains("\tboat\n"), "{mapped}");
    assert!(mapped.ends_with("\n0:0:644"), "{mapped}");
}

/// What a link-local address costs: a few packets that each of the other containers gets.
#[test]
fn a_network_without_ipv6_is_quiet_about_it() {
    let Some(world) = World::new() else { return };
    let addresses = "awk '{ print $4, $6 }' /proc/net/if_inet6 | sort";
    assert_eq!(world.sh("", addresses), "10 lo");
    world.ok(&["network", "create", "--ipv6", "both"]);
    assert_eq!(
        world.sh("--network both", addresses),
        "00 eth0\n10 lo\n20 eth0"
    );
}

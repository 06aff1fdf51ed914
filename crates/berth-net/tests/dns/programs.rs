//! Programs that people use, in a container's namespace.

use std::collections::HashSet;
use std::process::Command;

use crate::wire::{NOERROR, reply};
use crate::world::{Guest, World, can_run};

/// Runs a program in a container's namespace; `None` where it is not installed.
fn output(guest: &Guest, program: &str, arguments: &[&str]) -> Option<String> {
    let output = guest
        .namespace
        .run(|| Command::new(program).args(arguments).output());
    match output {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            berth_testkit::skip(&format!("{program} is not installed"));
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn world() -> (World, Guest) {
    let world = World::new();
    world.network("net");
    world.lease("net", 'b', "web", &["front"], &["10.0.0.2", "fd00::2"]);
    for n in 0..100 {
        let address = format!("10.0.1.{n}");
        world.lease("net", 'c', &format!("c{n}"), &["all"], &[&address]);
    }
    let known: std::sync::Arc<crate::world::Answers> =
        std::sync::Arc::new(|query, _| Some(reply(query, NOERROR, &[vec![192, 0, 2, 1]])));
    world.upstreams(vec![known]);
    let guest = Guest::new(&world, 'a', &["net"]);
    (world, guest)
}

#[test]
fn dig_reads_what_is_said() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world();
    let dig = |arguments: &[&str]| {
        let all: Vec<&str> = ["@127.0.0.11", "+tries=1"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        output(&guest, "dig", &all)
    };
    let Some(short) = dig(&["+short", "web"]) else {
        return;
    };
    assert_eq!(short, "10.0.0.2\n");
    assert_eq!(dig(&["+short", "web", "AAAA"]).unwrap(), "fd00::2\n");
    assert_eq!(dig(&["+short", "+tcp", "front"]).unwrap(), "10.0.0.2\n");
    assert_eq!(dig(&["+short", "-x", "10.0.0.2"]).unwrap(), "web.\n");
    assert_eq!(dig(&["+short", "a.example"]).unwrap(), "192.0.2.1\n");
    // Cut by UDP, it asks again by TCP by itself.
    let all = dig(&["+short", "+noedns", "all"]).unwrap();
    assert_eq!(
        all.lines()
            .filter(|line| line.starts_with("10.0.1."))
            .count(),
        100
    );
    let whole = dig(&["web", "+cookie", "+dnssec"]).unwrap();
    assert!(
        whole.contains("status: NOERROR") && whole.contains("EDNS: version: 0"),
        "{whole}"
    );
    assert!(
        !whole.contains("WARNING") && !whole.contains("malformed"),
        "{whole}"
    );
    let newer = dig(&["web", "+edns=1", "+noednsnegotiation"]).unwrap();
    assert!(newer.contains("status: BADVERS"), "{newer}");
}

/// Runs a command of a shell in a mount namespace of its own, where resolv.conf is a container's.
fn with_resolv_conf(world: &World, guest: &Guest, options: &str, command: &str) -> Option<String> {
    let file = world.state.path().join("container.conf");
    let text = format!("search lan.example\nnameserver 127.0.0.11\n{options}\n");
    std::fs::write(&file, text).unwrap();
    let script = format!(
        "mount --bind {} /etc/resolv.conf && {command}",
        file.display()
    );
    output(guest, "unshare", &["--mount", "sh", "-c", &script])
}

#[test]
fn the_c_librarys_resolver_finds_names() {
    if !can_run() {
        return;
    }
    let (world, guest) = world();
    // Names as they are come first, as in every container; -A since it has no interface but lo.
    let run = |command: &str| with_resolv_conf(&world, &guest, "options ndots:0", command);
    let Some(found) = run("getent -A ahosts web") else {
        return;
    };
    let addresses: HashSet<&str> = found
        .split_whitespace()
        .filter(|word| word.contains("0.2") || word.contains("::"))
        .collect();
    assert_eq!(addresses, HashSet::from(["10.0.0.2", "fd00::2"]), "{found}");
    for (command, expected) in [
        ("getent -A ahostsv4 front", "10.0.0.2 STREAM front"),
        ("getent hosts 10.0.0.2", "10.0.0.2 web"),
        ("getent hosts fd00::2", "fd00::2 web"),
        ("getent -A ahostsv4 a.example", "192.0.2.1 STREAM a.example"),
    ] {
        let said = run(command).unwrap();
        let words: Vec<&str> = said
            .lines()
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect();
        assert_eq!(words.join(" "), expected, "{said}");
    }
    let all = run("getent -A ahostsv4 all").unwrap();
    assert_eq!(
        all.lines().filter(|line| line.contains("STREAM")).count(),
        100
    );
    // By TCP alone; and with a search domain, which is asked for outside.
    let run = |options: &str, command: &str| with_resolv_conf(&world, &guest, options, command);
    let by_tcp = run("options use-vc ndots:0", "getent -A ahostsv4 web").unwrap();
    assert!(by_tcp.starts_with("10.0.0.2 "), "{by_tcp}");
    let searched = run("options ndots:1", "getent -A ahostsv4 nobody").unwrap();
    assert!(
        searched.contains("192.0.2.1") && searched.contains("nobody.lan.example"),
        "{searched}"
    );
}

#[test]
fn busyboxs_resolver_finds_names() {
    if !can_run() {
        return;
    }
    let (world, guest) = world();
    let said = output(&guest, "busybox", &["nslookup", "web", "127.0.0.11"]);
    let Some(said) = said else {
        return;
    };
    assert!(
        said.contains("10.0.0.2") && said.contains("fd00::2"),
        "{said}"
    );
    let said = with_resolv_conf(&world, &guest, "", "busybox nslookup 10.0.0.2").unwrap();
    assert!(said.contains("web"), "{said}");
}

#[test]
fn nft_reads_what_was_set_up() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world();
    let Some(table) = output(&guest, "nft", &["list", "ruleset"]) else {
        return;
    };
    let port = guest.port;
    // Older programs show the priority as a number.
    let table = table.replace("priority -100", "priority dstnat");
    let lines: Vec<&str> = table.lines().map(str::trim).collect();
    for expected in [
        "table ip berth_dns {".to_owned(),
        "type nat hook output priority dstnat; policy accept;".to_owned(),
        format!("ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:{port}"),
        format!("ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:{port}"),
    ] {
        // A comment may follow.
        let is_there = lines.iter().any(|line| line.starts_with(&expected));
        assert!(is_there, "{expected} is not in\n{table}");
    }
}

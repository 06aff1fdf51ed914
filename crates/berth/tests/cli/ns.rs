//! `berth ns`, compared with lsns(8), and `berth who`.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::Berth;
use crate::world::{ALL, World, has, run};

/// The columns that both have, and whose values must be the same.
const COLUMNS: &str = "NS,TYPE,NPROCS,PID,PPID,UID,USER,PNS,ONS,COMMAND";

/// The rows of a table in its raw form, by namespace.
fn table(text: &str) -> BTreeMap<String, Vec<String>> {
    let row = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    text.lines()
        .map(row)
        .map(|row| (row[0].clone(), row))
        .collect()
}

fn lsns() -> BTreeMap<String, Vec<String>> {
    table(&run("lsns", &["-lrn", "-o", COLUMNS]).out)
}

/// The PID namespace in which a process that may not be looked at counts for us, by its PIDs, and
/// not for lsns, which needs its link.
fn is_counted_otherwise(namespace: &str) -> bool {
    let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid"));
    let own = link("self").unwrap();
    link("1").is_err() && own.to_str().unwrap() == format!("pid:[{namespace}]")
}

#[test]
fn every_namespace_is_what_lsns_says() {
    if !has("lsns") {
        return;
    }
    let berth = Berth::new();
    // The command of the second world holds what each escapes.
    let deep = "exec unshare -p -f -m -n --mount-proc --kill-child sh -c 'sleep 1001 & # a\\nb\n#\té\nexec sleep 1000'";
    let world = World::new(ALL, deep, 1000);
    let wanted: Vec<String> = world.own().into_iter().map(|(_, inode)| inode).collect();
    assert!(wanted.len() >= 7, "{wanted:?}");
    let mut same = BTreeSet::new();
    let mut differ = BTreeMap::new();
    // Other tests start and end processes: what two runs of lsns agree on is compared, and counts
    // as different only if it never was the same.
    for _ in 0..20 {
        let before = lsns();
        let ours = table(&berth.ok(&["ns", "-r", "-n", "-o", COLUMNS]));
        let after = lsns();
        for (ns, row) in before
            .iter()
            .filter(|(ns, row)| after.get(*ns) == Some(row))
        {
            let found = ours.get(ns);
            if is_counted_otherwise(ns) {
                assert!(found.is_some());
            } else if found == Some(row) {
                same.insert(ns.clone());
                differ.remove(ns);
            } else if !same.contains(ns) {
                differ.insert(ns.clone(), (row.clone(), found.cloned()));
            }
        }
        // What ended meanwhile cannot become the same any more.
        differ.retain(|ns, _| after.contains_key(ns));
        if differ.is_empty() && wanted.iter().all(|ns| same.contains(ns)) {
            break;
        }
    }
    assert!(differ.is_empty(), "lsns and we: {differ:#?}");
    let missing: Vec<_> = wanted.iter().filter(|ns| !same.contains(*ns)).collect();
    assert!(missing.is_empty(), "never compared: {missing:?}");
}

#[test]
fn flags_are_those_of_lsns() {
    if !has("lsns") {
        return;
    }
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1002", 1002);
    for flags in [
        &["-rn", "-o", "NS,TYPE,NPROCS"][..],
        &["-r", "-o", "ns,type,pid", "-t", "net", "-t", "uts"],
        &["-n", "-o", "NS,TYPE,PID,COMMAND", "-t", "user"],
    ] {
        let mut arguments = vec!["-p", world.pid.as_str()];
        arguments.extend(flags);
        let mut ours = vec!["ns"];
        ours.extend(&arguments);
        // lsns gives up where a process of the host ends while it reads it: then it is asked anew.
        crate::support::eventually("the same rows", || {
            let (theirs, ours) = (run("lsns", &arguments).out, berth.ok(&ours));
            let rows = (rows_of(&world, &ours), rows_of(&world, &theirs));
            let lines = (ours.lines().count(), theirs.lines().count());
            let same = rows.0 == rows.1 && !rows.0.is_empty() && lines.0 == lines.1;
            if !same {
                eprintln!("{flags:?}: {lines:?} {rows:?}");
            }
            same
        });
    }
}

/// The rows of a world's own namespaces, without padding: of those that it shares with the host
/// the numbers are in motion.
fn rows_of(world: &World, text: &str) -> Vec<String> {
    let own: Vec<String> = world.own().into_iter().map(|(_, inode)| inode).collect();
    let is_own = |line: &&str| own.iter().any(|inode| line.contains(inode.as_str()));
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().filter(is_own).map(squeeze).collect()
}

#[test]
fn trees_are_those_of_lsns() {
    if !has("lsns") {
        return;
    }
    let berth = Berth::new();
    let deep = "sleep 1014 & exec unshare -p -f --kill-child sh -c 'exec sleep 1013'";
    let world = World::new(ALL, deep, 1013);
    let user = world.namespace("user");
    for arguments in [
        &["-Tparent", "-p", &world.pid, "-o", "NS,TYPE,PNS"][..],
        &["--tree=owner", "-p", &world.pid, "-n", "-o", "NS,TYPE,PNS"],
        // What they hang below is shown, although it is of another kind.
        &["-T", "-t", "net", "-p", &world.pid, "-o", "NS,TYPE"],
        &["-n", "-o", "PID,PPID,COMMAND", &user],
        &["-l", &user, "-o", "NS,PID,COMMAND"],
        &["-rn", "-o", "NS,TYPE,PID", &user],
        &["-W", "-t", "net", "-p", &world.pid, "-o", "NS,NSFS"],
    ] {
        let mut ours = vec!["ns"];
        ours.extend(arguments);
        // Of what the world shares with the host, lines and numbers are in motion.
        let pids = world.pid.clone() + " ";
        let chosen = |text: &str| {
            let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut own = rows_of(&world, text);
            let lines = text.lines().filter(|line| line.contains(&pids));
            own.extend(lines.map(squeeze));
            own.sort();
            own
        };
        crate::support::eventually("the same tree", || {
            let (theirs, ours) = (run("lsns", arguments).out, berth.ok(&ours));
            let (theirs, ours) = (chosen(&theirs), chosen(&ours));
            let same = theirs == ours && !ours.is_empty();
            if !same {
                eprintln!("{arguments:?}: {theirs:#?} {ours:#?}");
            }
            same
        });
    }
    let heading = berth.ok(&["ns", "-t", "net"]);
    let heading = heading.lines().next().unwrap();
    assert!(
        heading.contains(" NETNSID NSFS ") && !heading.contains("PNS"),
        "{heading}"
    );
    let apart = berth.ok(&["ns", "-T", "parent", "-p", &world.pid, "-o", "NS"]);
    let attached = berth.ok(&["ns", "-Tparent", "-p", &world.pid, "-o", "NS"]);
    assert_eq!(apart, attached);
    assert_eq!(berth.ok(&["ns", "-T", &user]), berth.ok(&["ns", &user]));
}

/// The lines of a table from inside a process's network namespace, without padding.
fn seen_from(world: &World, words: &[&str]) -> BTreeSet<String> {
    let mut all = vec!["-n", "-t", world.pid.as_str()];
    all.extend(words);
    let done = run("nsenter", &all);
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    done.out.lines().map(squeeze).collect()
}

#[test]
fn network_numbers_are_those_of_the_readers_namespace() {
    if rustix::process::geteuid().is_root() && has("lsns") && has_ip() {
        let berth = Berth::new();
        let (one, other) = (
            World::new(&["-n"], "exec sleep 1011", 1011),
            World::new(&["-n"], "exec sleep 1012", 1012),
        );
        let pair = format!("link add va type veth peer name vb netns {}", other.pid);
        let mut make = vec!["ip"];
        make.extend(pair.split(' '));
        seen_from(&one, &make);
        let ours = berth.command(&["ns", "-t", "net", "-n", "-o", "NS,NETNSID"]);
        let mut words = vec![ours.get_program().to_str().unwrap().to_owned()];
        words.extend(ours.get_args().map(|a| a.to_str().unwrap().to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // The other end has a number here; we ourselves have none.
        let expected = [
            format!("{} 0", other.namespace("net")),
            format!("{} unassigned", one.namespace("net")),
        ];
        // Namespaces of other tests come and go.
        crate::support::eventually("the same numbers", || {
            let theirs = seen_from(&one, &["lsns", "-n", "-t", "net", "-o", "NS,NETNSID"]);
            let ours = seen_from(&one, &words);
            expected.iter().all(|line| ours.contains(line)) && theirs.is_subset(&ours)
        });
    }
}

/// Whether there is the `ip` of iproute2, which busybox's is not.
fn has_ip() -> bool {
    let version = std::process::Command::new("ip").arg("-V").output();
    let found = version.is_ok_and(|v| v.stdout.starts_with(b"ip utility, iproute2"));
    if !found {
        berth_testkit::skip("no ip of iproute2");
    }
    found
}

#[test]
fn trees_and_one_namespace() {
    let berth = Berth::new();
    let deep = "exec unshare -p -f --kill-child sh -c 'exec sleep 1003'";
    let world = World::new(ALL, deep, 1003);
    let pidns = world.namespace("pid");
    let tree = berth.ok(&["ns", "-t", "pid", "--tree=parent", "-n", "-o", "NS,PNS"]);
    let line = tree
        .lines()
        .find(|line| line.contains(&format!("─{pidns} ")))
        .unwrap();
    assert!(
        !line.starts_with(['├', '└']),
        "it is two levels deep: {line}"
    );
    let owners = berth.ok(&["ns", "-T", "-o", "NS,TYPE"]);
    assert!(owners.lines().nth(1).unwrap().contains("user"), "{owners}");
    let one = berth.ok(&["ns", "-n", "-o", "PID,COMMAND", &pidns]);
    assert_eq!(one.trim(), format!("{} sleep 1003", world.pid));
    let as_link = berth.ok(&["ns", "-n", "-o", "PID", &format!("pid:[{pidns}]")]);
    assert_eq!(as_link.trim(), world.pid);
    let json = berth.ok(&["ns", "--json", &pidns]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["namespaces"][0]["id"], pidns.as_str());
    assert_eq!(json["namespaces"][0]["level"], 2);
    assert_eq!(json["keepers"][0]["how"], "process");
    assert_eq!(json["keepers"][0]["pid"].to_string(), world.pid);
}

#[test]
fn a_container_is_named() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let table = berth.ok(&["ns", "-p", "a", "-n", "-o", "TYPE,CONTAINER"]);
    let of_a = table.lines().filter(|line| line.ends_with(" a")).count();
    assert!(of_a >= 6, "{table}");
    let who = berth.ok(&["who", "a"]);
    let host = berth.ok(&["pid", "a"]);
    assert!(
        who.lines().filter(|line| line.contains(&host)).count() >= 6,
        "{who}"
    );
}

#[test]
fn who_by_number_by_path_and_by_process() {
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1004", 1004);
    let net = world.namespace("net");
    let by_number = berth.ok(&["who", &net]);
    assert!(
        by_number
            .lines()
            .any(|l| l.contains(" process ") && l.contains(&world.pid)),
        "{by_number}"
    );
    let by_path = berth.ok(&["who", &format!("/proc/{}/ns/net", world.pid)]);
    assert_eq!(by_path, by_number);
    let json = berth.ok(&["who", "--json", &format!("host:{}", world.pid)]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let kinds = json["namespaces"].as_array().unwrap();
    assert_eq!(kinds.len(), world.own().len());
}

#[test]
fn who_follows_a_mount() {
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1005", 1005);
    let file = berth.path("blue");
    std::fs::write(&file, "").unwrap();
    let link = format!("/proc/{}/ns/net", world.pid);
    let path = file.to_str().unwrap();
    // Mounted in a mount namespace that ends with the command; the test's own stays as it is.
    let inside = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", inside, "sh", &link, path]);
    let who = berth.command(&["who", "--json", path]);
    command.arg(who.get_program()).args(who.get_args());
    let output = command.output().unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(json["namespaces"][0]["id"], world.namespace("net").as_str());
    let plain = berth.run(&["who", path]);
    assert_eq!(plain.code, 1);
    assert!(plain.err.contains("it is no namespace"), "{}", plain.err);
}

#[test]
fn what_is_not_there_is_said() {
    let berth = Berth::new();
    for (arguments, code, part) in [
        (&["ns", "1"][..], 1, "no namespace 1 exists"),
        (&["ns", "web"], 125, "not a namespace"),
        (&["ns", "-p", "4194304"], 1, "no process"),
        (&["ns", "-o", "NSS"], 125, "did you mean NS?"),
        (&["ns", "-t", "foo"], 125, "invalid value"),
        (&["ns", "-l", "-T"], 125, "exclude each other"),
        (&["ns", "-Tfoo"], 125, "give process, parent or owner"),
        (&["who", "1"], 1, "no namespace 1 exists"),
        (&["who", "/nonexistent"], 1, "there is no such file"),
        (&["who", "nosuch"], 1, "or a namespace's number"),
        (
            &["who", &format!("host:{}", std::process::id())],
            1,
            "has no namespace of its own",
        ),
    ] {
        let done = berth.run(arguments);
        assert_eq!(
            (done.code, done.out.as_str()),
            (code, ""),
            "{arguments:?}: {done:?}"
        );
        assert!(done.err.contains(part), "{arguments:?}: {}", done.err);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    }
}

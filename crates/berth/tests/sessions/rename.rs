//! `rename`.

use crate::support::{Berth, eventually};
use crate::world::wait_in_poll;

#[test]
fn a_container_has_its_new_name_everywhere_and_its_old_one_nowhere() {
    let berth = Berth::new();
    let id = berth.ok(&["run", "-d", "--name", "old", "host", "sleep", "1000"]);
    berth.ok(&["exec", "-d", "old", "sleep", "1000"]);
    assert_eq!(berth.ok(&["rename", "old", "new"]), "");
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "new");
    assert_eq!(
        berth.ok(&["inspect", "-f", "{{.Id}} {{.Name}}", "new"]),
        format!("{id} /new")
    );
    assert_eq!(berth.run(&["inspect", "old"]).code, 1);
    assert_eq!(berth.ok(&["exec", "new", "echo", "inside"]), "inside");
    assert_eq!(
        berth.ok(&["exec", "ls", "--format", "{{.Container}}"]),
        "new"
    );
    let pid = berth.ok(&["pid", "new"]);
    assert!(berth.ok(&["pid", &pid]).contains("new"), "the map knows it");
    // The old one is free, and by id it works too.
    berth.ok(&["create", "--name", "old", "host", "true"]);
    berth.ok(&["rename", &id[..12], "newer"]);
    berth.ok(&["stop", "-t", "0", "newer"]);
    berth.ok(&["rename", "newer", "newest"]);
    berth.ok(&["start", "newest"]);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "newest");
    let names = std::fs::read_dir(berth.path("root/names")).unwrap().count();
    assert_eq!(names, 2);
}

#[test]
fn names_that_cannot_be_are_refused_and_nothing_is_lost() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "a", "host", "true"]);
    let id = berth.ok(&["create", "--name", "b", "host", "true"]);
    let taken = berth.run(&["rename", "a", "b"]);
    assert_eq!(taken.code, 1);
    let text = format!("the name \"b\" is taken by container {}", &id[..12]);
    assert!(taken.err.contains(&text), "{}", taken.err);
    let same = berth.run(&["rename", "a", "a"]);
    assert_eq!(same.code, 1);
    insta::assert_snapshot!(same.err, @"berth: container a is called so already");
    assert_eq!(berth.run(&["rename", "a", "no/name"]).code, 125);
    assert_eq!(berth.run(&["rename", "nosuch", "c"]).code, 1);
    assert_eq!(berth.run(&["rename", "a"]).code, 125);
    let mut names: Vec<String> = berth
        .ok(&["ps", "-a", "--format", "{{.Names}}"])
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

/// Of many who want one name, one gets it; nobody loses the name that it had.
#[test]
fn one_of_many_gets_a_name() {
    let berth = Berth::new();
    let ids: Vec<String> = (0..6)
        .map(|n| berth.ok(&["create", "--name", &format!("c{n}"), "host", "true"]))
        .collect();
    let children: Vec<_> = ids
        .iter()
        .map(|id| berth.spawn(&["rename", id, "it"]))
        .collect();
    let codes = children
        .into_iter()
        .map(|child| crate::support::finish(child).code);
    assert_eq!(codes.filter(|code| *code == 0).count(), 1);
    let listed = berth.ok(&["ps", "-a", "--format", "{{.Names}}"]);
    assert_eq!(listed.lines().filter(|name| *name == "it").count(), 1);
    assert_eq!(
        listed.lines().filter(|name| name.starts_with('c')).count(),
        5
    );
    for name in listed.lines() {
        berth.ok(&["inspect", name]);
    }
}

/// A client that is attached goes on under the new name.
#[test]
fn attached_clients_do_not_notice() {
    let berth = Berth::new();
    let script = "while ! read line; do :; done; exit 6";
    berth.ok(&["run", "-di", "--name", "a", "host", "sh", "-c", script]);
    let mut client = berth.spawn(&["attach", "a"]);
    wait_in_poll(&client);
    berth.ok(&["rename", "a", "b"]);
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), b"x\n").unwrap();
    assert_eq!(crate::support::exit_code(&mut client), 6);
    eventually("its end", || berth.ok(&["wait", "b"]) == "6");
}

//! What a scope selects, and what it says of what is not there.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod rich;
mod support;

use std::collections::BTreeSet;

use berth_base::ErrorClass;
use berth_map::model::World;
use berth_map::scope::{Role, Scope, ScopeError, Selection};
use rich::{crowded, sketch};
use support::{Fake, FakeHost, assemble, run_file, three_levels};

fn select(world: &World, text: &str) -> Result<Selection, ScopeError> {
    world.select(&text.parse::<Scope>()?)
}

fn pids(world: &World, selection: &Selection, role: Role) -> BTreeSet<u32> {
    let processes = world.processes().iter();
    let found = processes.filter(|p| selection.role(p.pid) == role);
    found.map(|p| p.pid.get()).collect()
}

fn shown(world: &World, text: &str) -> BTreeSet<u32> {
    pids(world, &select(world, text).unwrap(), Role::Shown)
}

#[test]
fn every_kind_of_scope() {
    let world = sketch();
    let web = BTreeSet::from([1589, 1799, 1800, 2411]);
    for text in ["docker/shop-web", "docker/aaaa", "pid:200", "pid:[200]"] {
        assert_eq!(shown(&world, text), web, "{text}");
    }
    // The namespace of networks: without the shell that left it.
    assert_eq!(shown(&world, "net:204"), BTreeSet::from([1589, 1799, 1800]));
    // A thread of web lives in the host's.
    assert!(shown(&world, "net:104").is_superset(&BTreeSet::from([1, 1589, 2411, 7001])));
    // A container's PID, and below.
    assert_eq!(shown(&world, "docker/shop-web:29"), BTreeSet::from([1799]));
    assert!(
        shown(&world, "docker/kind-node").contains(&6025),
        "what is inside of it too"
    );
    assert_eq!(shown(&world, "5999").len(), 43);
    assert_eq!(shown(&world, "host:5999"), shown(&world, "5999"));
    assert_eq!(shown(&world, "containerd").len(), 42);
    assert!(shown(&world, "docker").is_superset(&web));
    assert!(!shown(&world, "docker").contains(&1558));
}

#[test]
fn ancestors_are_context() {
    let world = sketch();
    let selection = select(&world, "containerd/api").unwrap();
    let context = pids(&world, &selection, Role::Context);
    assert_eq!(context, BTreeSet::from([1, 1560, 5492, 5999]));
    assert_eq!(selection.shown(), Some(42));
    let whole = Selection::default();
    assert!(whole.is_whole() && whole.shown().is_none());
}

#[test]
fn a_namespace_without_processes_shows_its_holder() {
    let world = sketch();
    let selection = select(&world, "net:3144").unwrap();
    assert!(pids(&world, &selection, Role::Shown).is_empty());
    let context = pids(&world, &selection, Role::Context);
    assert_eq!(context, BTreeSet::from([1, 2396]));
    let held = rich::ns(berth_base::NamespaceKind::Net, 3144);
    assert!(selection.has_namespace(held));
    let other = rich::ns(berth_base::NamespaceKind::Mnt, 3145);
    assert!(!selection.has_namespace(other));
}

#[test]
fn an_intruder_in_a_containers_pid_namespace_is_part_of_it() {
    let world = three_levels().world();
    // "side" joined web's PID namespace; "inner" and "deep" are further in.
    let web = BTreeSet::from([500, 501, 502, 510, 520, 521, 522, 600]);
    assert_eq!(shown(&world, "web"), web);
    assert_eq!(shown(&world, "side"), BTreeSet::from([600]));
}

#[test]
fn what_is_not_there_is_said_so() {
    let host = three_levels();
    host.record_run(&run_file('e', "gone", &Fake::new(&[900], 1, "x"), true));
    let world = host.world();
    let cases = [
        (
            "net:4026532300",
            ErrorClass::NotFound,
            "no namespace net:[4026532300] is known",
        ),
        (
            "net:200",
            ErrorClass::NotFound,
            "net:[200] does not exist, but pid:[200] does",
        ),
        (
            "4242",
            ErrorClass::NotFound,
            "no process has the host PID 4242",
        ),
        (
            "web:99",
            ErrorClass::NotFound,
            "no process has PID 99 in container web",
        ),
        (
            "nosuch",
            ErrorClass::NotFound,
            "no running container is called",
        ),
        (
            "gone",
            ErrorClass::Conflict,
            "container gone is not running",
        ),
        (
            "docker",
            ErrorClass::NotFound,
            "no container of docker is running",
        ),
        ("net:x", ErrorClass::Invalid, "not a namespace"),
        (
            "\x1b[2J",
            ErrorClass::NotFound,
            "no running container is called",
        ),
        ("", ErrorClass::NotFound, "no running container"),
    ];
    for (text, class, words) in cases {
        let error = select(&world, text).unwrap_err();
        assert!(error.to_string().contains(words), "{text:?}: {error}");
        assert_eq!(error.class(), class, "{text:?}");
        assert!(!error.to_string().contains('\x1b'));
    }
}

#[test]
fn rings_and_chains_of_parents_end() {
    let mut all = vec![Fake::new(&[10], 12, "a"), Fake::new(&[12], 10, "b")];
    all.extend((100..20_000).map(|n| Fake::new(&[n], n - 1, "deep")));
    let world = assemble(&all, Vec::new());
    assert_eq!(shown(&world, "10"), BTreeSet::from([10, 12]));
    let selection = select(&world, "19999").unwrap();
    assert_eq!(pids(&world, &selection, Role::Context).len(), 19_899);
    assert_eq!(shown(&world, "100").len(), 19_900);
}

#[test]
fn an_engine_with_many_containers() {
    let world = crowded(2000, 60);
    assert_eq!(shown(&world, "docker").len(), 240);
    let host = FakeHost::new(&[Fake::new(&[1], 0, "init")]);
    assert!(select(&host.world(), "podman").is_err());
}

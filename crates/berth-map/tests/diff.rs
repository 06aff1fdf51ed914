//! Diffs between snapshots: what they say, and that they lead from one to the other.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::sync::Arc;

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_map::attribute::KnownContainer;
use berth_map::model::{
    CgroupEntry, CgroupSet, Change, Diff, Engine, Evidence, EvidenceKind, Holder, Parts, Process,
    Thread, World,
};
use proptest::prelude::*;
use support::{Fake, id, parts, pid, three_levels};

fn container(digit: char, init: &Process) -> KnownContainer {
    KnownContainer {
        engine: Engine::Berth,
        id: id(digit),
        name: format!("c{digit}"),
        init: init.pid,
        pid_namespace: init.pid_namespace(),
        own_pid_namespace: init.is_namespace_init(),
        cgroup_dirs: Vec::new(),
        image: None,
        pod: None,
        evidence: Evidence {
            kind: EvidenceKind::RunFile,
            detail: "test".to_owned(),
        },
    }
}

/// A random process of a small universe, so that two draws have much in common.
fn process() -> impl Strategy<Value = Process> {
    let place = (
        1..14u32,
        0..3u64,
        prop::option::weighted(0.5, 1..4u32),
        0..4u64,
    );
    let looks = (
        "[a-c]",
        prop_oneof![Just('S'), Just('Z'), Just('T')],
        0..3usize,
        0..3u32,
        0..14u32,
    );
    (place, looks).prop_map(
        |((number, start, inner, net), (comm, state, group, uid, parent))| {
            let pids: Vec<u32> = [Some(number), inner].into_iter().flatten().collect();
            let fake = Fake::new(&pids, parent, &comm)
                .state(state)
                .ns("net", 104 + net);
            let fake = match inner {
                Some(_) => fake.ns("pid", 200 + u64::from(number % 3)),
                None => fake,
            };
            let path = ["/", "/berth/x", "/system.slice"][group].to_owned();
            let path = match group {
                1 => format!("/docker/{}", id('d')),
                _ => path,
            };
            let entry = CgroupEntry {
                hierarchy: 0,
                controllers: String::new(),
                path,
            };
            Process {
                start_ticks: start,
                uid,
                cgroups: Arc::new(CgroupSet {
                    entries: vec![entry],
                }),
                ..fake.process()
            }
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let known = prop::collection::vec((0..14usize, 0..3usize), 0..3);
    let held = prop::collection::vec((0..4u64, 1..14u32, 0..5u32), 0..3);
    let strays = prop::collection::vec((1..14u32, 50..60u32), 0..3);
    let all = (
        prop::collection::vec(process(), 1..12),
        known,
        held,
        strays,
        0..2usize,
    );
    all.prop_map(|(processes, known, held, strays, warned)| {
        let mut parts: Parts = parts(processes);
        let mut digits = Vec::new();
        for (at, digit) in known {
            let digit = ['a', 'b', 'c'][digit];
            let init = &parts.processes[at % parts.processes.len()];
            if !digits.contains(&digit) {
                digits.push(digit);
                parts.known.push(container(digit, init));
            }
        }
        for (net, owner, fd) in held {
            let net = NamespaceId {
                kind: NamespaceKind::Net,
                inode: 104 + net,
            };
            let holder = Holder::Descriptor {
                pid: pid(owner),
                fd,
            };
            parts.details.holders.entry(net).or_default().push(holder);
        }
        for (leader, tid) in strays {
            let thread = Thread {
                tid: pid(tid),
                tids: vec![tid],
                namespaces: parts.host.namespaces,
                comm: "t".to_owned(),
                state: 'S',
                start_ticks: 1,
            };
            parts
                .details
                .threads
                .entry(pid(leader))
                .or_default()
                .push(thread);
        }
        parts.warnings = vec!["x".to_owned(); warned];
        World::assemble(parts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_diff_leads_from_old_to_new(old in world(), new in world()) {
        let diff = Diff::between(&old, &new);
        prop_assert_eq!(diff.apply(&old), new.clone());
        prop_assert_eq!(diff.is_empty(), old == new);
        let back = Diff::between(&new, &old);
        prop_assert_eq!(back.apply(&new), old);
        prop_assert_eq!(diff.started.len(), back.ended.len());
        prop_assert_eq!(diff.changed.len(), back.changed.len());
        prop_assert!(diff.changed.iter().all(|changed| !changed.changes.is_empty()));
    }

    #[test]
    fn nothing_changed_is_no_diff(world in world()) {
        let diff = Diff::between(&world, &world.clone());
        prop_assert!(diff.is_empty());
    }
}

/// A world of two processes and what becomes of the second.
fn changed(change: impl Fn(&mut Process)) -> Diff {
    let first = Fake::new(&[1], 0, "init").process();
    let second = Fake::new(&[9], 1, "sh").process();
    let mut after = second.clone();
    change(&mut after);
    let old = World::assemble(parts(vec![first.clone(), second]));
    let new = World::assemble(parts(vec![first, after]));
    Diff::between(&old, &new)
}

fn one_change(change: impl Fn(&mut Process)) -> Change {
    let diff = changed(change);
    assert!(diff.started.is_empty() && diff.ended.is_empty());
    let [one] = diff.changed.as_slice() else {
        panic!("{diff:?}")
    };
    let [change] = one.changes.as_slice() else {
        panic!("{one:?}")
    };
    change.clone()
}

#[test]
fn a_reused_pid_is_an_end_and_a_start() {
    let diff = changed(|p| p.start_ticks += 1);
    assert_eq!(diff.ended.len(), 1);
    assert_eq!(diff.ended[0].pid, pid(9));
    assert_eq!(diff.started[0].process.pid, pid(9));
    assert!(diff.changed.is_empty());
}

#[test]
fn each_change_has_its_name() {
    let net = |inode| NamespaceId {
        kind: NamespaceKind::Net,
        inode,
    };
    let joined = one_change(|p| p.namespaces.insert(net(7)));
    let was = joined_from(&joined);
    assert_eq!(was, Some(net(104)));
    assert_eq!(
        one_change(|p| p.state = 'T'),
        Change::State { from: 'S', to: 'T' }
    );
    assert_eq!(
        one_change(|p| p.comm = "x".into()),
        Change::Comm { from: "sh".into() }
    );
    assert_eq!(
        one_change(|p| p.parent = None),
        Change::Reparented {
            from: HostPid::new(1),
            to: None
        }
    );
    assert_eq!(one_change(|p| p.uid = 5), Change::Uid { from: 0, to: 5 });
    assert_eq!(one_change(|p| p.cgroups = Arc::default()), Change::Cgroups);
    assert_eq!(
        one_change(|p| p.links = berth_map::model::Links::Denied),
        Change::Other
    );
}

fn joined_from(change: &Change) -> Option<NamespaceId> {
    match change {
        Change::Namespace { from, .. } => *from,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_that_ends_takes_its_processes_and_namespaces_along() {
    let host = three_levels();
    let old = host.world();
    for gone in [500, 501, 502, 510, 520, 521, 522, 600] {
        host.remove(gone);
    }
    let new = host.world();
    let diff = Diff::between(&old, &new);
    let names: Vec<&str> = diff
        .containers_gone
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(names, ["web", "side"]);
    assert_eq!(diff.ended.len(), 8);
    let pid_namespaces = diff
        .namespaces_gone
        .iter()
        .filter(|id| id.kind == NamespaceKind::Pid);
    assert_eq!(
        pid_namespaces.map(|id| id.inode).collect::<Vec<_>>(),
        [200, 300]
    );
    // The containers that stay have other places now, and nothing is said about their processes.
    assert!(diff.changed.is_empty(), "{:?}", diff.changed);
    assert_eq!(diff.apply(&old), new);
    let back = Diff::between(&new, &old);
    assert_eq!(back.containers_appeared.len(), 2);
    assert_eq!(back.apply(&new), old);
}

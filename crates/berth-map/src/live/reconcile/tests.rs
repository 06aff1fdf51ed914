//! A source that loses events, and one that has none.

use std::sync::Arc;

use berth_base::{NamespaceId, NamespaceKind};

use super::*;
use crate::model::{
    CgroupEntry, CgroupSet, Details, Extent, Host, Links, NamespaceSet, Parts, Source,
};

const SECOND: u64 = 1_000_000_000;

fn pid(number: u32) -> HostPid {
    HostPid::new(number).unwrap()
}

fn net(inode: u64) -> NamespaceId {
    NamespaceId {
        kind: NamespaceKind::Net,
        inode,
    }
}

fn process(number: u32, start_ticks: u64) -> Process {
    Process {
        pid: pid(number),
        pids: vec![number],
        namespaces: [net(1)].into_iter().collect(),
        links: Links::Read,
        parent: HostPid::new(1),
        comm: "x".to_owned(),
        state: 'S',
        start_ticks,
        cgroups: cgroup("/"),
        uid: 0,
        kernel_thread: false,
    }
}

fn cgroup(path: &str) -> Arc<CgroupSet> {
    Arc::new(CgroupSet {
        entries: vec![CgroupEntry {
            hierarchy: 0,
            controllers: String::new(),
            path: path.to_owned(),
        }],
    })
}

fn zombie(number: u32, start_ticks: u64) -> Process {
    Process {
        state: 'Z',
        namespaces: NamespaceSet::default(),
        ..process(number, start_ticks)
    }
}

fn world(processes: &[Process]) -> World {
    World::assemble(Parts {
        source: Source::Bpf,
        extent: Extent::Host,
        host: Host::default(),
        processes: processes.to_vec(),
        namespaces: Vec::new(),
        known: Vec::new(),
        stale: Vec::new(),
        details: Details::default(),
        warnings: Vec::new(),
    })
}

fn event(number: u32, kind: EventKind) -> Event {
    Event {
        at: BootTime(SECOND),
        pid: pid(number),
        kind,
    }
}

fn exited(number: u32) -> Event {
    event(number, EventKind::Exited(Exit::Code(0)))
}

fn forked(number: u32) -> Event {
    let kind = EventKind::Forked {
        parent: None,
        pids: vec![number],
        pid_namespace: None,
        comm: "x".to_owned(),
    };
    event(number, kind)
}

fn find(
    reconciler: &mut Reconciler,
    source: EventSource,
    old: &World,
    new: &World,
    at: BootTime,
) -> Vec<Event> {
    reconciler.missing(source, (old, new, &Diff::between(old, new)), at)
}

/// What is told of two frames after these events, as short words.
fn missing(
    source: EventSource,
    told: &[Event],
    old: &[Process],
    new: &[Process],
) -> Vec<(u32, &'static str)> {
    let (old, new) = (world(old), world(new));
    let mut reconciler = Reconciler::default();
    reconciler.hear(told, &old);
    words(&find(
        &mut reconciler,
        source,
        &old,
        &new,
        BootTime(2 * SECOND),
    ))
}

fn words(events: &[Event]) -> Vec<(u32, &'static str)> {
    let word = |event: &Event| match &event.kind {
        EventKind::Forked { .. } => "forked",
        EventKind::Executed { .. } => "executed",
        EventKind::Exited(_) => "exited",
        EventKind::CgroupMoved { .. } => "moved",
        EventKind::NamespacesChanged {
            how: Joined::Setns, ..
        } => "joined",
        EventKind::NamespacesChanged {
            how: Joined::Unshare,
            ..
        } => "unshared",
    };
    let mut words: Vec<_> = events.iter().map(|e| (e.pid.get(), word(e))).collect();
    words.sort_unstable();
    words
}

#[test]
fn what_was_lost_is_found_and_what_was_told_is_not_told_again() {
    let old = [process(1, 1), process(5, 1), process(6, 1), process(7, 1)];
    let new = [
        process(1, 1),
        process(7, 150),
        process(8, 150),
        process(9, 150),
    ];
    let told = [exited(5), forked(8), exited(7), forked(7)];
    assert_eq!(
        missing(EventSource::Bpf, &told, &old, &new),
        [(6, "exited"), (9, "forked")]
    );
    let all = missing(EventSource::Snapshots, &[], &old, &new);
    let expected = [
        (5, "exited"),
        (6, "exited"),
        (7, "exited"),
        (7, "forked"),
        (8, "forked"),
        (9, "forked"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn births_that_are_found_have_their_time() {
    let (old, new) = (
        world(&[process(1, 1)]),
        world(&[process(1, 1), process(5, 150)]),
    );
    let mut reconciler = Reconciler::default();
    let events = find(
        &mut reconciler,
        EventSource::Bpf,
        &old,
        &new,
        BootTime(2 * SECOND),
    );
    assert_eq!(events[0].at, BootTime(1_500_000_000));
    let events = find(
        &mut reconciler,
        EventSource::Bpf,
        &old,
        &new,
        BootTime(SECOND),
    );
    // Never later than the frame.
    assert_eq!(events[0].at, BootTime(SECOND));
}

#[test]
fn a_zombie_ends_once() {
    let alive = [process(1, 1), process(5, 1)];
    let dead = [process(1, 1), zombie(5, 1)];
    let worlds = [&alive[..], &dead, &alive[..1]].map(world);
    let at = BootTime(2 * SECOND);
    for (source, told, expected) in [
        (EventSource::Bpf, vec![exited(5)], [vec![], vec![]]),
        (
            EventSource::Snapshots,
            vec![],
            [vec![(5, "exited")], vec![]],
        ),
        // Whether a zombie's end was lost shows when it is gone.
        (
            EventSource::Connector,
            vec![],
            [vec![], vec![(5, "exited")]],
        ),
    ] {
        let mut reconciler = Reconciler::default();
        reconciler.hear(&told, &worlds[0]);
        let first = words(&find(&mut reconciler, source, &worlds[0], &worlds[1], at));
        let second = words(&find(&mut reconciler, source, &worlds[1], &worlds[2], at));
        assert_eq!([first, second], expected, "{source:?}");
    }
}

#[test]
fn an_end_while_the_frame_was_taken_is_not_told_again_at_the_next() {
    let (with, without) = (
        world(&[process(1, 1), process(5, 1)]),
        world(&[process(1, 1)]),
    );
    let mut reconciler = Reconciler::default();
    let late = [exited(5)];
    reconciler.hear(&late, &with);
    let at = BootTime(2 * SECOND);
    let source = EventSource::Bpf;
    assert!(find(&mut reconciler, source, &with, &with, at).is_empty());
    reconciler.hear(&late, &with);
    let wanted = reconciler.wanted(at).map(|(want, _)| want);
    assert_eq!(wanted, Some(Want::Happened));
    assert!(find(&mut reconciler, source, &with, &without, at).is_empty());
    assert_eq!(reconciler.wanted(at), None);
}

#[test]
fn who_is_on_his_way_out_wants_another_frame() {
    let (with, without) = (world(&[process(5, 1)]), world(&[]));
    let mut reconciler = Reconciler::default();
    reconciler.hear(&[exited(5)], &with);
    let (at, source) = (BootTime(2 * SECOND), EventSource::Bpf);
    assert!(find(&mut reconciler, source, &with, &with, at).is_empty());
    let wanted = reconciler.wanted(at).map(|(want, _)| want);
    assert_eq!(wanted, Some(Want::Happened));
    assert!(find(&mut reconciler, source, &with, &without, at).is_empty());
}

#[test]
fn moves_and_namespaces_are_found_where_the_source_tells_none() {
    let old = [
        process(1, 1),
        process(5, 1),
        process(6, 1),
        process(7, 1),
        process(8, 1),
    ];
    let mut new = old.clone();
    new[1].cgroups = cgroup("/berth/x");
    new[2].namespaces = [net(2)].into_iter().collect();
    new[3].comm = "y".to_owned();
    new[4] = zombie(8, 1);
    let told = [exited(8)];
    let found = missing(EventSource::Connector, &told, &old, &new);
    assert_eq!(found, [(5, "moved"), (6, "unshared")]);
    let found = missing(EventSource::Snapshots, &told, &old, &new);
    assert_eq!(found, [(5, "moved"), (6, "unshared"), (7, "executed")]);
    // Into one that was there.
    let mut old = old.to_vec();
    old.push(Process {
        namespaces: [net(2)].into_iter().collect(),
        ..process(9, 1)
    });
    new[3].comm = "x".to_owned();
    let mut new = new.to_vec();
    new.push(old[5].clone());
    let found = missing(EventSource::Connector, &told, &old, &new);
    assert_eq!(found, [(5, "moved"), (6, "joined")]);
}

#[test]
fn short_lives_want_no_frame() {
    let latest = world(&[process(1, 1), process(5, 1)]);
    let mut reconciler = Reconciler::default();
    let now = BootTime(SECOND + 10_000_000);
    reconciler.hear(&[forked(9)], &latest);
    let (want, left) = reconciler.wanted(now).unwrap();
    assert_eq!((want, left), (Want::Happened, Duration::from_millis(20)));
    reconciler.hear(&[exited(9)], &latest);
    assert_eq!(reconciler.wanted(now), None);
    reconciler.hear(&[exited(5)], &latest);
    assert_eq!(
        reconciler.wanted(now),
        Some((Want::Happened, Duration::ZERO))
    );
    let moved = event(1, EventKind::CgroupMoved { path: None });
    reconciler.hear(&[moved], &latest);
    assert_eq!(
        reconciler.wanted(now),
        Some((Want::Reshaped, Duration::ZERO))
    );
}

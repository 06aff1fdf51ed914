//! The history of a view: what it remembers, how it corrects itself, and that it is bounded.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::sync::Arc;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::World;
use berth_map::live::{BootTime, Event, EventKind, Exit, History, Update};
use proptest::prelude::*;
use support::updates::{events, executed, exited, forked, frame, ms, numbers};
use support::{Fake, assemble, pid, three_levels};

fn web() -> Arc<World> {
    Arc::new(three_levels().world())
}

#[test]
fn a_life_that_no_frame_saw_is_remembered_with_its_container() {
    let world = web();
    let mut history = History::default();
    history.apply(&frame(ms(60_000), &world));
    history.apply(&events([
        forked(ms(60_010), &[900, 50], 510),
        executed(ms(60_011), 900, "date"),
        exited(ms(60_015), 900, 3),
    ]));
    let lives: Vec<_> = history.lives(ms(60_000), ms(61_000)).collect();
    let [life] = &lives[..] else {
        panic!("{lives:?}");
    };
    assert_eq!(life.pids, [900, 50]);
    assert_eq!(life.comm.as_ref(), "date");
    assert_eq!(life.container.as_deref(), Some("web"));
    assert_eq!(life.parent, Some(pid(510)));
    assert_eq!(life.pid_namespace.unwrap().inode, 200);
    assert_eq!((life.born, life.ended), (ms(60_010), Some(ms(60_015))));
    assert_eq!(life.exit, Some(Exit::Code(3)));
    assert_eq!(history.life(pid(900)).as_ref(), Some(life));
    assert_eq!(history.lives(ms(60_020), ms(61_000)).count(), 0);
    let counted = history.density(ms(60_000), ms(60_400), 4);
    assert_eq!((counted[0].started, counted[0].ended), (1, 1));
    assert!(counted[1..].iter().all(|slot| slot.started == 0));
}

#[test]
fn the_past_has_who_lived_then_and_the_present_who_lives_now() {
    let world = web();
    let mut history = History::default();
    history.apply(&frame(ms(60_000), &world));
    assert!(Arc::ptr_eq(&history.present().unwrap(), &world));
    history.apply(&events([
        forked(ms(61_000), &[900, 50], 500),
        exited(ms(62_000), 501, 0),
        forked(ms(63_000), &[901], 1),
        exited(ms(64_000), 900, 0),
    ]));
    let at = |time| history.at(ms(time)).unwrap();
    let before = numbers(&world);
    assert_eq!(numbers(&at(60_500)), before);
    let second = at(61_500);
    assert!(second.process(pid(900)).is_some() && second.process(pid(501)).is_some());
    let owner = second
        .owner(pid(900))
        .and_then(|index| second.container(index));
    assert_eq!(owner.unwrap().name, "web");
    assert_eq!(second.processes().len(), before.len() + 1);
    let third = at(63_500);
    assert!(third.process(pid(901)).is_some() && third.process(pid(501)).is_none());
    let now = history.present().unwrap();
    assert!(now.process(pid(901)).is_some() && now.process(pid(900)).is_none());
}

#[test]
fn a_container_that_is_gone_is_back_in_the_past() {
    let world = web();
    let mut history = History::default();
    history.apply(&frame(ms(60_000), &world));
    let inside = [500, 501, 502, 510, 520, 521, 522];
    let ends = inside.map(|number| exited(ms(61_000), number, 0));
    history.apply(&events(ends));
    let left: Vec<Fake> = vec![
        Fake::new(&[1], 0, "systemd"),
        Fake::new(&[400], 1, "berth-keeper"),
    ];
    let after = Arc::new(assemble(&left, Vec::new()));
    history.apply(&frame(ms(62_000), &after));
    assert_eq!(numbers(&history.present().unwrap()), [1, 400]);
    let past = history.at(ms(60_500)).unwrap();
    let (index, container) = past
        .indexed_containers()
        .find(|(_, container)| container.name == "web")
        .unwrap();
    assert_eq!(container.init, Some(pid(500)));
    assert_eq!(past.owner(pid(501)), Some(index));
    // Joined to web's PID namespace, and gone as well.
    assert!(
        past.containers()
            .iter()
            .any(|container| container.name == "side")
    );
    let deepest = past.process(pid(522)).unwrap();
    let chain: Vec<_> = past
        .pid_namespaces(deepest)
        .into_iter()
        .map(|n| n.unwrap().inode)
        .collect();
    assert_eq!(chain, [100, 200, 300]);
    assert!(history.present().unwrap().containers().is_empty());
}

#[test]
fn what_is_older_than_ten_minutes_is_forgotten() {
    let world = web();
    let mut history = History::default();
    history.apply(&frame(ms(60_000), &world));
    for second in 60..800u64 {
        let at = ms(second * 1_000);
        history.apply(&events([
            forked(at, &[900], 1),
            exited(BootTime(at.0 + 1), 900, 0),
        ]));
    }
    let now = history.now();
    assert_eq!(now.0 - history.earliest().0, 600_000_000_000);
    assert_eq!(history.len(), 601);
    assert_eq!(history.complete_since(), ms(60_000));
    let total: u32 = history
        .density(ms(0), ms(900_000), 9)
        .iter()
        .map(|s| s.ended)
        .sum();
    assert!((600..=602).contains(&total), "{total}");
}

#[test]
fn a_storm_with_hostile_names_is_bounded() {
    let world = web();
    let mut history = History::default();
    history.apply(&frame(ms(60_000), &world));
    for number in 0..150_000u64 {
        let at = BootTime(60_000_000_000 + number * 1_000_000);
        let comm = format!("n{number}");
        history.apply(&events([
            forked(at, &[900, 50], 510),
            executed(at, 900, &comm),
            exited(at, 900, 0),
        ]));
    }
    // So many different names are not kept; what is forgotten is said.
    assert!(
        (30_000..=70_000).contains(&history.len()),
        "{}",
        history.len()
    );
    assert!(history.complete_since() > ms(100_000));
    let first = history.lives(ms(0), history.now()).next().unwrap();
    assert!(first.ended.unwrap() >= history.complete_since());
}

#[test]
fn namespaces_change_where_events_say_so() {
    let world = web();
    let mut history = History::default();
    history.apply(&frame(ms(60_000), &world));
    let net = NamespaceId {
        kind: NamespaceKind::Net,
        inode: 777,
    };
    history.apply(&events([
        Event {
            at: ms(60_100),
            pid: pid(400),
            kind: EventKind::NamespacesChanged {
                how: berth_map::live::Joined::Unshare,
                namespaces: [net].into_iter().collect(),
            },
        },
        exited(ms(60_200), 400, 0),
    ]));
    let past = history.at(ms(60_150)).unwrap();
    assert!(past.process(pid(400)).is_some());
    let empty = Arc::new(assemble(&[Fake::new(&[1], 0, "init")], Vec::new()));
    history.apply(&frame(ms(61_000), &empty));
    let past = history.at(ms(60_150)).unwrap();
    let keeper = past.process(pid(400)).unwrap();
    assert_eq!(keeper.namespaces.of(NamespaceKind::Net), Some(net));
    assert_eq!(past.namespace(net).unwrap().processes, 1);
}

/// A process of a made-up host: in ticks of 10 ms.
#[derive(Clone, Debug)]
struct Span {
    number: u32,
    born: u64,
    end: u64,
}

/// Processes of few PIDs, each of which is used several times, one after the other.
fn spans() -> impl Strategy<Value = Vec<Span>> {
    let turns = prop::collection::vec((1..80u64, 10..80u64), 1..6);
    prop::collection::vec(turns, 1..6).prop_map(|all| {
        let mut spans = vec![Span {
            number: 1,
            born: 0,
            end: u64::MAX,
        }];
        for (number, turns) in (2..).zip(all) {
            let mut at = 0;
            for (life, pause) in turns {
                let born = at + pause;
                at = born + life;
                let end = at;
                spans.push(Span { number, born, end });
            }
        }
        spans
    })
}

fn tick(ticks: u64) -> BootTime {
    BootTime(ticks.saturating_mul(10_000_000))
}

/// Who lives at a time.
fn living(spans: &[Span], ticks: u64) -> Vec<&Span> {
    let mut living: Vec<_> = spans
        .iter()
        .filter(|s| s.born <= ticks && ticks < s.end)
        .collect();
    living.sort_by_key(|span| span.number);
    living
}

fn snapshot(spans: &[Span], ticks: u64) -> Arc<World> {
    let processes = living(spans, ticks).into_iter().map(|span| {
        let mut process = Fake::new(&[span.number], 1, "x").process();
        process.start_ticks = span.born;
        process
    });
    Arc::new(World::assemble(support::parts(processes.collect())))
}

/// What a view gets until a time: frames now and then, and those events that are not lost.
fn updates(spans: &[Span], frames: &[u64], lost: &[bool], until: u64) -> Vec<Update> {
    let mut all: Vec<(u64, Event)> = Vec::new();
    for span in spans {
        all.push((span.born, forked(tick(span.born), &[span.number], 1)));
        all.push((span.end, exited(tick(span.end), span.number, 0)));
    }
    // An end before the birth of who gets the PID.
    all.sort_by_key(|(at, event)| (*at, matches!(event.kind, EventKind::Forked { .. })));
    let mut lost = lost.iter().cycle();
    let mut all: std::collections::VecDeque<_> =
        all.into_iter().filter(|_| !lost.next().unwrap()).collect();
    let mut updates = Vec::new();
    for at in frames.iter().copied().filter(|at| *at <= until) {
        let mut told = Vec::new();
        while all.front().is_some_and(|(time, _)| *time <= at) {
            told.extend(all.pop_front().map(|(_, event)| event));
        }
        updates.push(events(told));
        updates.push(frame(tick(at), &snapshot(spans, at)));
    }
    let rest = all.into_iter().take_while(|(at, _)| *at <= until);
    updates.push(events(rest.map(|(_, event)| event)));
    updates
}

fn pids_and_births(world: &World) -> Vec<(u32, u64)> {
    let processes = world.processes().iter();
    processes.map(|p| (p.pid.get(), p.start_ticks)).collect()
}

proptest! {
    #[test]
    fn any_past_is_what_it_was(
        spans in spans(),
        frames in prop::collection::btree_set(60..600u64, 1..8),
        asked in prop::collection::vec(0..600u64, 10),
    ) {
        let frames: Vec<u64> = frames.into_iter().collect();
        let mut history = History::default();
        for update in updates(&spans, &frames, &[false], 600) {
            history.apply(&update);
        }
        for at in asked.into_iter().filter(|at| *at >= frames[0]) {
            let truth: Vec<_> = living(&spans, at).iter().map(|s| (s.number, s.born)).collect();
            let told = pids_and_births(&history.at(tick(at)).unwrap());
            prop_assert_eq!(told, truth, "at {}", at);
        }
        let ends = spans.iter().filter(|s| s.end >= frames[0] && s.end <= 600).count();
        let lives = history.lives(tick(frames[0]), tick(600));
        prop_assert_eq!(lives.filter(|life| life.ended.is_some()).count(), ends);
    }

    #[test]
    fn whatever_is_lost_the_next_frame_is_right(
        spans in spans(),
        frames in prop::collection::btree_set(60..600u64, 2..8),
        lost in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let frames: Vec<u64> = frames.into_iter().collect();
        let last = frames[frames.len() - 1];
        let mut history = History::default();
        for update in updates(&spans, &frames, &lost, last) {
            history.apply(&update);
            for at in [0, frames[0], last] {
                if let Some(world) = history.at(tick(at)) {
                    prop_assert!(world.processes().is_sorted_by_key(|p| p.pid));
                }
            }
        }
        let truth: Vec<_> = living(&spans, last).iter().map(|s| (s.number, s.born)).collect();
        // Who was just born may be missing in a frame, and stays until the next one where his end
        // was lost.
        let mut told = pids_and_births(&history.present().unwrap());
        told.retain(|life| truth.contains(life) || last - life.1 > 5);
        prop_assert_eq!(told, truth);
    }
}

#[test]
fn a_container_has_a_timeline_of_its_own() {
    let world = web();
    let mut history = History::default();
    history.apply(&frame(ms(60_000), &world));
    history.apply(&events([
        // On the host, in the container, and in the one nested in it.
        forked(ms(60_010), &[900], 1),
        forked(ms(60_020), &[901, 50], 510),
        forked(ms(60_030), &[902, 51, 3], 521),
        exited(ms(60_110), 900, 0),
        exited(ms(60_120), 901, 0),
        exited(ms(60_130), 902, 0),
    ]));
    let namespace = |inode| NamespaceId {
        kind: NamespaceKind::Pid,
        inode,
    };
    let of = |inode| {
        let span = (ms(60_000), ms(60_200));
        let lives = history.lives_inside(span, namespace(inode));
        let pids: Vec<Vec<u32>> = lives.map(|life| life.pids).collect();
        let counted = history.density_inside(span, 2, namespace(inode));
        let counts: Vec<_> = counted.iter().map(|s| (s.started, s.ended)).collect();
        (pids, counts)
    };
    assert_eq!(of(200), (vec![vec![50], vec![51, 3]], vec![(2, 0), (0, 2)]));
    assert_eq!(of(300), (vec![vec![3]], vec![(1, 0), (0, 1)]));
    assert_eq!(of(999), (Vec::new(), vec![(0, 0), (0, 0)]));
    // The host's own is everybody's.
    let (pids, counts) = of(100);
    assert_eq!((pids.len(), counts), (3, vec![(3, 0), (0, 3)]));
}

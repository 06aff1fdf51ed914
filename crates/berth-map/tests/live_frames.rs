//! What the history of a view learns from frames: who came and went without an event, or before it.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::sync::Arc;

use berth_map::World;
use berth_map::live::{Exit, History};
use support::updates::{events, exited, forked, frame, frame_with, ms, numbers};
use support::{Fake, assemble, pid};

#[test]
fn frames_correct_what_events_missed() {
    let process = |number| Fake::new(&[number], 1, "x");
    let first = Arc::new(assemble(&[process(1), process(5), process(6)], Vec::new()));
    let mut history = History::default();
    history.apply(&frame(ms(20_000), &first));
    history.apply(&events([forked(ms(20_100), &[7], 1)]));
    // 5 and 7 have ended, 8 has begun, 6 is another process: nobody told.
    let mut late = Fake::new(&[6], 1, "y").process();
    late.start_ticks = 2_050;
    let mut eight = process(8).process();
    eight.start_ticks = 2_040;
    let parts = support::parts(vec![process(1).process(), late, eight]);
    let second = Arc::new(World::assemble(parts));
    history.apply(&frame_with(ms(21_000), &second, 9));
    let mut lives: Vec<_> = history.lives(ms(20_000), ms(21_000)).collect();
    lives.sort_by_key(|life| (life.pid, life.born));
    let told: Vec<_> = lives
        .iter()
        .map(|life| (life.pid.get(), life.ended.is_some(), life.exit))
        .collect();
    let unknown = Some(Exit::Unknown);
    assert_eq!(
        told,
        [
            (5, true, unknown),
            (6, true, unknown),
            (6, false, None),
            (7, true, unknown),
            (8, false, None)
        ]
    );
    assert_eq!(history.complete_since(), ms(21_000));
    // The end of 5 comes late, and tells how.
    history.apply(&events([exited(ms(20_500), 5, 4)]));
    assert_eq!(history.life(pid(5)).unwrap().exit, Some(Exit::Code(4)));
    assert_eq!(numbers(&history.present().unwrap()), [1, 6, 8]);
}

#[test]
fn a_zombie_stays_and_ends_once() {
    let alive = Fake::new(&[5], 1, "x");
    let dead = alive.clone().state('Z');
    let one = Fake::new(&[1], 0, "init");
    let worlds = [&[one.clone(), alive][..], &[one.clone(), dead], &[one]];
    let [first, second, third] = worlds.map(|fakes| Arc::new(assemble(fakes, Vec::new())));
    let mut history = History::default();
    history.apply(&frame(ms(20_000), &first));
    history.apply(&events([exited(ms(20_100), 5, 1)]));
    assert_eq!(numbers(&history.present().unwrap()), [1]);
    history.apply(&frame(ms(20_200), &second));
    assert_eq!(numbers(&history.present().unwrap()), [1, 5]);
    history.apply(&frame(ms(20_300), &third));
    let ends = history
        .lives(ms(0), ms(30_000))
        .filter(|life| life.ended.is_some());
    assert_eq!(ends.count(), 1);
    assert_eq!(history.life(pid(5)).unwrap().exit, Some(Exit::Code(1)));
}

#[test]
fn a_birth_that_a_frame_told_first_counts_once() {
    let one = Fake::new(&[1], 0, "init");
    let first = Arc::new(assemble(std::slice::from_ref(&one), Vec::new()));
    let mut child = Fake::new(&[5], 1, "x").process();
    child.start_ticks = 2_010;
    let second = World::assemble(support::parts(vec![one.process(), child]));
    let mut history = History::default();
    history.apply(&frame(ms(20_000), &first));
    history.apply(&frame(ms(20_200), &Arc::new(second)));
    history.apply(&events([forked(ms(20_104), &[5], 1)]));
    assert_eq!(history.lives(ms(0), ms(30_000)).count(), 1);
    let started: u32 = history
        .density(ms(0), ms(30_000), 3)
        .iter()
        .map(|s| s.started)
        .sum();
    assert_eq!(started, 1);
}

/// One that came and went while a frame was taken, which still has it: the next one has not.
#[test]
fn who_ended_before_a_frame_that_has_it_lived_once() {
    let one = Fake::new(&[1], 0, "init");
    let without = Arc::new(assemble(std::slice::from_ref(&one), Vec::new()));
    let mut child = Fake::new(&[5], 1, "x").process();
    child.start_ticks = 2_010;
    let with = World::assemble(support::parts(vec![one.process(), child]));
    let mut history = History::default();
    history.apply(&frame(ms(20_000), &without));
    history.apply(&events([
        forked(ms(20_104), &[5], 1),
        exited(ms(20_105), 5, 3),
    ]));
    history.apply(&frame(ms(20_200), &Arc::new(with)));
    let last = World::assemble(support::parts(vec![one.process()]));
    history.apply(&frame(ms(20_400), &Arc::new(last)));
    let lives: Vec<_> = history.lives(ms(0), ms(30_000)).collect();
    assert_eq!(lives.len(), 1, "{lives:?}");
    assert_eq!(lives[0].exit, Some(Exit::Code(3)));
}

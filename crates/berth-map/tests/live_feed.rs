//! A feed of this host, with processes that the tests start.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_base::HostPid;
use berth_map::Sources;
use berth_map::live::{
    BootTime, EventKind, EventSource, Exit, Feed, Frame, History, Subscription, Update,
    WatchOptions,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn feed() -> Feed {
    Feed::watch(
        Sources::host("/run/berth").unwrap(),
        WatchOptions::default(),
    )
    .unwrap()
}

/// Reads until something is seen, or fails.
fn until<T>(view: &Subscription, mut look: impl FnMut(&Update) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = view.next(Duration::from_millis(200)).and_then(|u| look(&u)) {
            return found;
        }
    }
    panic!("nothing came for {PATIENCE:?}");
}

fn first_frame(view: &Subscription) -> Arc<Frame> {
    until(view, |update| match update {
        Update::Frame(frame) => Some(Arc::clone(frame)),
        _ => None,
    })
}

#[test]
fn a_short_life_is_seen_from_birth_to_its_exit_code() {
    let feed = feed();
    let view = feed.subscribe();
    let mut history = History::default();
    let frame = first_frame(&view);
    history.apply(&Update::Frame(Arc::clone(&frame)));
    let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
    let pid = HostPid::new(child.id()).unwrap();
    child.wait().unwrap();
    if frame.health.events == EventSource::Snapshots {
        // It lived between two frames; there is nothing to see.
        assert!(!frame.health.notes.is_empty());
        return;
    }
    until(&view, |update| {
        history.apply(update);
        history.life(pid).filter(|life| life.ended.is_some())
    });
    let life = history.life(pid).unwrap();
    assert_eq!(life.exit, Some(Exit::Code(7)));
    assert_eq!(life.parent, HostPid::new(std::process::id()));
    assert_eq!(life.comm.as_ref(), "sh");
    assert!(life.born > frame.at && life.ended.unwrap() > life.born);
    assert!(life.born.until(life.ended.unwrap()) < PATIENCE);
}

#[test]
fn frames_go_on_and_share_what_did_not_change() {
    let feed = feed();
    let view = feed.subscribe();
    let first = first_frame(&view);
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = HostPid::new(child.id()).unwrap();
    let with_child = until(&view, |update| match update {
        Update::Frame(frame) => frame
            .world
            .process(pid)
            .is_some()
            .then(|| Arc::clone(frame)),
        _ => None,
    });
    assert!(with_child.number > first.number && with_child.at > first.at);
    child.kill().unwrap();
    child.wait().unwrap();
    until(&view, |update| match update {
        Update::Frame(frame) => frame.world.process(pid).is_none().then_some(()),
        _ => None,
    });
}

#[test]
fn who_subscribes_later_gets_a_fresh_frame_soon() {
    let feed = feed();
    drop(feed.subscribe());
    std::thread::sleep(Duration::from_millis(300));
    let before = Instant::now();
    let view = feed.subscribe();
    let old = first_frame(&view);
    let new = first_frame(&view);
    assert!(new.number > old.number);
    assert!(old.at.until(new.at) >= Duration::from_millis(300));
    assert!(before.elapsed() < PATIENCE);
}

#[test]
fn a_view_that_never_reads_slows_nobody() {
    let feed = feed();
    let lazy = feed.subscribe();
    let view = feed.subscribe();
    let frame = first_frame(&view);
    if frame.health.events == EventSource::Snapshots {
        return;
    }
    let storm = storm(400);
    let mut births = 0;
    let mut last = BootTime(0);
    until(&view, |update| {
        if let Update::Events(events) = update {
            for event in events.iter() {
                let is_ours = matches!(&event.kind, EventKind::Forked { parent, .. } if *parent == Some(storm));
                births += u32::from(is_ours);
                last = last.max(event.at);
            }
        }
        (births >= 400).then_some(())
    });
    assert_eq!(view.missed(), 0);
    assert!(last > frame.at);
    // All of it waits for the lazy one, in order, the newest frame alone.
    let waiting: Vec<Update> = std::iter::from_fn(|| lazy.try_next()).collect();
    let frames = waiting
        .iter()
        .filter(|u| matches!(u, Update::Frame(_)))
        .count();
    assert!(frames <= 1, "{frames} frames wait");
}

/// Starts so many processes that end at once; returns the shell that did.
fn storm(count: u32) -> HostPid {
    let script = format!("i=0; while [ $i -lt {count} ]; do (:) ; i=$((i+1)); done");
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = HostPid::new(child.id()).unwrap();
    assert!(child.wait().unwrap().success());
    pid
}

#[test]
fn a_storm_is_counted_and_nothing_is_hidden() {
    /// As many as a guest without a processor of its own makes in ten seconds.
    const CHILDREN: u32 = 800;
    let feed = feed();
    let view = feed.subscribe();
    let mut history = History::default();
    let frame = first_frame(&view);
    history.apply(&Update::Frame(Arc::clone(&frame)));
    if frame.health.events == EventSource::Snapshots {
        return;
    }
    let shell = storm(CHILDREN);
    let mut lost = 0;
    until(&view, |update| {
        history.apply(update);
        // How many were lost is told by frames: by one after the end, then.
        let Update::Frame(frame) = update else {
            return None;
        };
        lost = frame.health.lost;
        let is_over = history.life(shell).is_some_and(|life| life.ended.is_some());
        is_over.then_some(())
    });
    let children: Vec<_> = history
        .lives(frame.at, history.now())
        .filter(|life| life.parent == Some(shell))
        .collect();
    if lost == 0 {
        assert_eq!(children.len(), CHILDREN as usize);
        assert!(children.iter().all(|life| life.exit == Some(Exit::Code(0))));
    }
    assert!(children.len() <= CHILDREN as usize);
}

#[test]
fn dropping_a_feed_ends_its_thread_at_once() {
    let feed = feed();
    let view = feed.subscribe();
    let before = Instant::now();
    drop(feed);
    assert!(before.elapsed() < Duration::from_secs(2));
    assert!(view.try_next().is_some());
}

#[test]
fn a_host_that_cannot_be_read_for_a_moment_is_tried_again() {
    let host = support::three_levels();
    let feed = Feed::watch(host.sources(), WatchOptions::default()).unwrap();
    let view = feed.subscribe();
    let first = first_frame(&view);
    let (proc, aside) = (host.proc(), host.proc().with_extension("aside"));
    std::fs::create_dir(&aside).unwrap();
    for number in first.world.processes().iter().map(|p| p.pid.to_string()) {
        std::fs::rename(proc.join(&number), aside.join(&number)).unwrap();
    }
    std::thread::sleep(Duration::from_secs(1));
    for entry in std::fs::read_dir(&aside).unwrap() {
        let entry = entry.unwrap();
        std::fs::rename(entry.path(), proc.join(entry.file_name())).unwrap();
    }
    let number = first.world.processes().len();
    let after = Instant::now();
    until(&view, |update| match update {
        Update::Frame(frame) => {
            let is_later = first.at.until(frame.at) >= Duration::from_secs(1);
            (is_later && frame.world.processes().len() == number).then_some(())
        }
        Update::End(why) => panic!("{why:?}"),
        Update::Events(_) => None,
    });
    assert!(after.elapsed() < PATIENCE);
}

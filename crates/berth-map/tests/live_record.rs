//! Recording this host and playing it again.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use berth_base::HostPid;
use berth_map::live::{
    BootTime, Event, EventKind, EventSource, Exit, Feed, Frame, Health, History, Recorder,
    Recording, ReplayOptions, Subscription, Update, WatchOptions,
};
use berth_map::{Sources, World};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

fn until<T>(view: &Subscription, mut look: impl FnMut(&Update) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = view
            .next(Duration::from_millis(200))
            .and_then(|update| look(&update))
        {
            return found;
        }
    }
    panic!("nothing came for {PATIENCE:?}");
}

fn next_frame(view: &Subscription) -> Arc<Frame> {
    until(view, |update| match update {
        Update::Frame(frame) => Some(Arc::clone(frame)),
        _ => None,
    })
}

/// Records until a process has begun and ended; returns its PID.
fn record(path: &Path) -> (HostPid, EventSource) {
    let sources = Sources::host("/run/berth").unwrap();
    let feed = Feed::watch(sources, WatchOptions::default()).unwrap();
    let view = feed.subscribe();
    let source = next_frame(&view).health.events;
    let recording = Recording::start(path, &feed).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
    let pid = HostPid::new(child.id()).unwrap();
    child.wait().unwrap();
    let mut history = History::default();
    if source != EventSource::Snapshots {
        until(&view, |update| {
            history.apply(update);
            history.life(pid).filter(|life| life.ended.is_some())
        });
        next_frame(&view);
    }
    assert_eq!(recording.failure(), None);
    let bytes = recording.stop().unwrap();
    assert_eq!(bytes, std::fs::metadata(path).unwrap().len());
    (pid, source)
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    (folder, path)
}

fn fast() -> ReplayOptions {
    ReplayOptions {
        speed: 100.0,
        ..ReplayOptions::default()
    }
}

#[test]
fn a_recording_shows_what_happened() {
    let (_folder, path) = place();
    let (pid, source) = record(&path);
    let feed = Feed::replay(&path, fast()).unwrap();
    let player = feed.player().unwrap();
    let view = feed.subscribe();
    let mut history = History::default();
    let why = until(&view, |update| {
        history.apply(update);
        match update {
            Update::End(why) => Some(why.clone()),
            _ => None,
        }
    });
    assert_eq!(why, None);
    assert!(player.is_at_end());
    assert_eq!(view.missed(), 0);
    if source != EventSource::Snapshots {
        let life = history.life(pid).unwrap();
        assert_eq!(life.exit, Some(Exit::Code(7)));
        let past = history.at(life.born).unwrap();
        assert!(past.process(pid).is_some());
    }

    // Once more from the beginning.
    let last = history.latest().unwrap().number;
    player.set_paused(true);
    player.jump(BootTime(0));
    // Wherever the jump is under way, nobody is told that it is not.
    for _ in 0..20_000 {
        assert_eq!(player.position(), player.span().0);
        assert!(!player.is_at_end());
    }
    let frame = next_frame(&view);
    assert!(frame.number < last);
    assert_eq!(frame.at, player.span().0);
    history.apply(&Update::Frame(frame));
    assert!(history.is_empty());
    player.set_paused(false);
    until(&view, |update| {
        matches!(update, Update::End(None)).then_some(())
    });
}

#[test]
fn a_cut_recording_says_so_at_its_end() {
    let (_folder, path) = place();
    record(&path);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
    let feed = Feed::replay(&path, fast()).unwrap();
    let view = feed.subscribe();
    let why = until(&view, |update| match update {
        Update::End(why) => Some(why.clone()),
        _ => None,
    });
    assert!(why.unwrap().contains("cut off"));
}

#[test]
fn the_clock_waits_for_a_view_and_stands_when_told() {
    let (_folder, path) = place();
    record(&path);
    let feed = Feed::replay(&path, ReplayOptions::default()).unwrap();
    let player = feed.player().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(player.position(), player.span().0);
    player.set_paused(true);
    let view = feed.subscribe();
    next_frame(&view);
    assert!(view.next(Duration::from_millis(200)).is_none());
    assert_eq!(player.position(), player.span().0);
    player.set_speed(f64::NAN);
    assert!((player.speed() - 1.0).abs() < 1e-9);
    player.set_speed(1e9);
    player.set_paused(false);
    until(&view, |update| {
        matches!(update, Update::End(_)).then_some(())
    });
    assert_eq!(player.position(), player.span().1);
}

#[test]
fn a_recorded_storm_waits_for_views_but_not_for_ever() {
    let (_folder, path) = place();
    let sources = Sources::host("/run/berth").unwrap();
    let world = Arc::new(World::discover(&sources).unwrap());
    let mut recorder = Recorder::create(&path).unwrap();
    let frame = |number: u64| {
        Update::Frame(Arc::new(Frame {
            number,
            at: BootTime(number),
            wall: SystemTime::UNIX_EPOCH,
            world: Arc::clone(&world),
            health: Health::default(),
        }))
    };
    recorder.write(&frame(1), 0).unwrap();
    let event = Event {
        at: BootTime(2),
        pid: HostPid::new(4_000_000).unwrap(),
        kind: EventKind::Exited(Exit::Unknown),
    };
    for _ in 0..1_000 {
        let events = vec![event.clone(); 100];
        recorder.write(&Update::Events(events.into()), 0).unwrap();
    }
    recorder.write(&frame(3), 0).unwrap();
    recorder.finish().unwrap();

    let feed = Feed::replay(&path, fast()).unwrap();
    let player = feed.player().unwrap();
    player.set_paused(true);
    let (lazy, view) = (feed.subscribe(), feed.subscribe());
    player.set_paused(false);
    let mut seen = 0;
    until(&view, |update| match update {
        Update::Events(events) => {
            seen += events.len();
            None
        }
        Update::End(_) => Some(()),
        Update::Frame(_) => None,
    });
    assert_eq!(seen, 100_000);
    assert_eq!(view.missed(), 0);
    assert!(lazy.missed() > 80_000);
}

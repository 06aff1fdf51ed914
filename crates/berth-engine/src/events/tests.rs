//! The journal under many writers, and read across rotations.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_base::state::{EventKind, EventRecord};
use berth_runtime::journal::append;

use super::{EventLimits, EventReader, aged, folder, journal, rotate};

fn event(writer: usize, number: usize) -> EventRecord {
    EventRecord::new(EventKind::Volume, "create", format!("{writer} {number}"))
}

/// As the engine writes: append, then rotate where it is time.
fn write(root: &Path, limits: EventLimits, event: EventRecord) {
    let length = append(&journal(root), &[event]).unwrap();
    if length >= limits.file_bytes {
        rotate::rotate(root, limits).unwrap();
    }
}

fn numbers(events: &[EventRecord]) -> Vec<usize> {
    let number = |event: &EventRecord| event.id.split(' ').nth(1)?.parse().ok();
    events.iter().filter_map(number).collect()
}

fn read(reader: &mut EventReader) -> Vec<EventRecord> {
    std::iter::from_fn(|| reader.next_event()).collect()
}

#[test]
fn the_journal_is_bounded_and_keeps_the_youngest() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder(dir.path())).unwrap();
    let limits = EventLimits {
        file_bytes: 4_000,
        files: 3,
    };
    for n in 0..500 {
        write(dir.path(), limits, event(0, n));
    }
    let bytes: u64 = (0..5)
        .filter_map(|age| std::fs::metadata(aged(dir.path(), age)).ok())
        .map(|file| file.len())
        .sum();
    assert!(bytes < 3 * 4_200, "{bytes}");
    let all = numbers(&read(&mut EventReader::open(dir.path(), None)));
    assert_eq!(all.last(), Some(&499));
    assert_eq!(all, (all[0]..500).collect::<Vec<_>>());
    assert!(all.len() > 80, "{}", all.len());
    // Fewer are kept from now on.
    let fewer = EventLimits { files: 2, ..limits };
    for n in 500..600 {
        write(dir.path(), fewer, event(0, n));
    }
    assert!(!aged(dir.path(), 2).exists());
}

/// Readers that follow see each event of four writers once and in the order of its writer, while the
/// journal is rotated every few lines.
#[test]
fn followers_miss_nothing_and_see_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder(dir.path())).unwrap();
    // As many files as all of them take, so that a reader may be slow.
    let limits = EventLimits {
        file_bytes: 2_000,
        files: 200,
    };
    const EACH: usize = 500;
    let over = AtomicBool::new(false);
    let root = dir.path();
    let follow = || {
        let mut reader = EventReader::open_at_end(root);
        let mut seen = Vec::new();
        loop {
            let last = over.load(Ordering::SeqCst);
            seen.extend(read(&mut reader));
            if last {
                assert!(!reader.has_missed());
                return seen;
            }
        }
    };
    let seen = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(follow)).collect();
        // Both are at the end of nothing.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                scope.spawn(move || (0..EACH).for_each(|n| write(root, limits, event(writer, n))))
            })
            .collect();
        writers.into_iter().for_each(|w| w.join().unwrap());
        over.store(true, Ordering::SeqCst);
        let seen = readers.into_iter().map(|r| r.join().unwrap());
        seen.collect::<Vec<_>>()
    });
    assert!(aged(root, 3).exists(), "nothing was rotated");
    for events in seen {
        for writer in 0..4 {
            let own: Vec<EventRecord> = events
                .iter()
                .filter(|event| event.id.starts_with(&format!("{writer} ")))
                .cloned()
                .collect();
            assert_eq!(numbers(&own), (0..EACH).collect::<Vec<_>>(), "{writer}");
        }
    }
}

#[test]
fn a_reader_that_slept_through_everything_says_so() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder(dir.path())).unwrap();
    let limits = EventLimits {
        file_bytes: 500,
        files: 2,
    };
    write(dir.path(), limits, event(0, 0));
    let mut reader = EventReader::open(dir.path(), None);
    assert_eq!(numbers(&read(&mut reader)), [0]);
    for n in 1..100 {
        write(dir.path(), limits, event(0, n));
    }
    let seen = numbers(&read(&mut reader));
    assert!(reader.has_missed());
    assert!(!reader.has_missed());
    assert_eq!(seen.last(), Some(&99));
}

#[test]
fn who_comes_late_to_a_rotation_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder(dir.path())).unwrap();
    let limits = EventLimits {
        file_bytes: 100,
        files: 2,
    };
    append(&journal(dir.path()), &[event(0, 0), event(0, 1)]).unwrap();
    // Somebody is writing.
    let held = std::fs::File::open(journal(dir.path())).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockShared).unwrap();
    rotate::rotate(dir.path(), limits).unwrap();
    assert!(!aged(dir.path(), 1).exists());
    drop(held);
    rotate::rotate(dir.path(), limits).unwrap();
    assert!(aged(dir.path(), 1).exists());
    // Too short to be rotated.
    append(&journal(dir.path()), &[event(0, 2)]).unwrap();
    let big = EventLimits {
        file_bytes: 1 << 20,
        ..limits
    };
    rotate::rotate(dir.path(), big).unwrap();
    assert!(journal(dir.path()).exists());
}

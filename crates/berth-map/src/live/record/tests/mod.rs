mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::block::{self, FileHeader, HEADER_LEN, Kind, VERSION};
use super::{Reader, RecordError, Recorder, ReplayError};
use crate::live::{BootTime, Update};
use fixture::{all_events, any_world, frame, pid, process, small, world};

struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("recording")
    }

    fn record(&self, updates: &[Update]) -> Vec<u8> {
        fs::remove_file(self.path()).ok();
        let mut recorder = Recorder::create(self.path()).unwrap();
        for update in updates {
            recorder.write(update, 0).unwrap();
        }
        let bytes = recorder.finish().unwrap();
        let written = fs::read(self.path()).unwrap();
        assert_eq!(bytes, written.len() as u64);
        written
    }

    fn open(&self, bytes: &[u8]) -> Result<Reader, ReplayError> {
        fs::write(self.path(), bytes).unwrap();
        Reader::open(&self.path())
    }
}

fn read_all(reader: &mut Reader) -> Vec<Update> {
    std::iter::from_fn(|| reader.next())
        .map(|item| item.update)
        .collect()
}

/// Updates have no equality, since frames are compared by what they hold.
fn assert_same(left: &[Update], right: &[Update]) {
    assert_eq!(left.len(), right.len());
    for pair in left.iter().zip(right) {
        match pair {
            (Update::Frame(a), Update::Frame(b)) => {
                assert_eq!(a.world, b.world);
                assert_eq!((a.number, a.at, a.wall), (b.number, b.at, b.wall));
                assert_eq!(a.health, b.health);
            }
            (Update::Events(a), Update::Events(b)) => assert_eq!(a, b),
            other => panic!("{other:?}"),
        }
    }
}

fn sample() -> Vec<Update> {
    let small = Arc::new(small());
    let other = Arc::new(world(
        vec![process(1, &[], 1, "init"), process(5, &[], 4, "x")],
        None,
    ));
    vec![
        Update::Frame(frame(1, &small)),
        Update::Events(all_events().into()),
        Update::Frame(frame(2, &other)),
        Update::Frame(frame(3, &other)),
        Update::Events(all_events().into()),
        // A minute later: whole again.
        Update::Frame(frame(70, &small)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_recorded_is_what_is_replayed(worlds in prop::collection::vec(any_world(), 1..6)) {
        let scene = Scene::new();
        let updates: Vec<Update> = (1..)
            .zip(worlds)
            .map(|(number, world)| Update::Frame(frame(number, &Arc::new(world))))
            .collect();
        let bytes = scene.record(&updates);
        let mut reader = scene.open(&bytes).unwrap();
        assert_same(&read_all(&mut reader), &updates);
        prop_assert_eq!(reader.end_line(), None);
    }

    #[test]
    fn damaged_recordings_do_no_harm(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let scene = Scene::new();
        let mut bytes = scene.record(&sample());
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        if let Ok(mut reader) = scene.open(&bytes) {
            prop_assert!(read_all(&mut reader).len() <= sample().len());
        }
    }

    #[test]
    fn hostile_payloads_do_no_harm(kind in 1..4u8, payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let scene = Scene::new();
        let mut bytes = scene.record(&sample()[..1]);
        bytes.truncate(bytes.len() - HEADER_LEN);
        let kind = [Kind::Whole, Kind::Changed, Kind::Events][usize::from(kind - 1)];
        bytes.extend(block::pack(kind, BootTime(9), &payload).unwrap());
        let mut reader = scene.open(&bytes).unwrap();
        prop_assert!(read_all(&mut reader).len() <= 2);
    }
}

#[test]
fn everything_survives_and_sets_of_cgroups_are_shared() {
    let scene = Scene::new();
    let bytes = scene.record(&sample());
    let mode = fs::metadata(scene.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut reader = scene.open(&bytes).unwrap();
    assert_eq!(
        reader.span(),
        (BootTime(1_000_000_000), BootTime(70_000_000_000))
    );
    let read = read_all(&mut reader);
    assert_same(&read, &sample());
    assert_eq!(reader.end_line(), None);
    let (Update::Frame(first), Update::Frame(same)) = (&read[2], &read[3]) else {
        panic!("{read:?}");
    };
    assert!(Arc::ptr_eq(&first.world, &same.world));
    let Update::Frame(first) = &read[0] else {
        panic!("{read:?}");
    };
    let sets = [3, 4].map(|number| Arc::clone(&first.world.process(pid(number)).unwrap().cgroups));
    assert!(Arc::ptr_eq(&sets[0], &sets[1]));
}

#[test]
fn cut_off_at_any_byte_it_shows_what_is_whole() {
    let scene = Scene::new();
    let bytes = scene.record(&sample());
    let mut most = 0;
    for len in 0..bytes.len() {
        match scene.open(&bytes[..len]) {
            Ok(mut reader) => {
                let read = read_all(&mut reader);
                assert_same(&read, &sample()[..read.len()]);
                assert!(read.len() >= most, "{len}");
                most = read.len();
                let line = reader.end_line().unwrap();
                assert!(line.contains("cut off") && !line.contains('\n'), "{line}");
            }
            Err(ReplayError::NotARecording { .. }) => assert!(len < 12),
            Err(ReplayError::NoFrame { why, .. }) => {
                assert!(most == 0 && why.contains("cut off"), "{why}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(most, sample().len());
}

#[test]
fn one_can_begin_at_any_whole_frame() {
    let scene = Scene::new();
    let bytes = scene.record(&sample());
    let mut reader = scene.open(&bytes).unwrap();
    reader.seek(BootTime(69_999_999_999));
    assert_eq!(read_all(&mut reader).len(), 6);
    reader.seek(BootTime(70_000_000_000));
    assert_same(&read_all(&mut reader), &sample()[5..]);
    reader.seek(BootTime(0));
    assert_eq!(read_all(&mut reader).len(), 6);
}

#[test]
fn after_a_damaged_block_the_next_whole_frame_counts() {
    let scene = Scene::new();
    let mut bytes = scene.record(&sample());
    // In the payload of the second block.
    let first = Reader::open(&scene.path()).unwrap().header_at_test(12);
    let second = 12 + HEADER_LEN + first;
    bytes[second + HEADER_LEN] ^= 1;
    let mut reader = scene.open(&bytes).unwrap();
    let read = read_all(&mut reader);
    assert_eq!(read.len(), 2);
    let Update::Frame(last) = &read[1] else {
        panic!("{read:?}");
    };
    assert_eq!(last.number, 70);
    assert!(last.health.notes[1].contains(&format!("damaged at byte {second}")));
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let scene = Scene::new();
    let mut bytes = scene.record(&sample());
    let header = FileHeader {
        version: VERSION + 1,
    };
    bytes[..12].copy_from_slice(&header.to_bytes());
    let error = scene.open(&bytes).err().unwrap().to_string();
    assert!(
        error.contains("is of version 2") && error.contains("reads version 1"),
        "{error}"
    );
    let error = scene
        .open(b"#!/bin/sh and so on")
        .err()
        .unwrap()
        .to_string();
    assert!(error.ends_with("is not a recording of the map"), "{error}");
}

#[test]
fn nothing_is_overwritten_and_a_full_disk_is_named() {
    let scene = Scene::new();
    fs::write(scene.path(), "precious").unwrap();
    let error = Recorder::create(scene.path()).err().unwrap();
    assert!(matches!(error, RecordError::Exists { .. }), "{error}");
    assert_eq!(fs::read_to_string(scene.path()).unwrap(), "precious");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let error = Recorder::on("x".into(), full).err().unwrap();
    assert!(matches!(error, RecordError::Full { .. }), "{error}");
    assert!(error.to_string().contains("no space is left"), "{error}");
}

#[test]
fn the_reason_of_an_end_is_told() {
    let scene = Scene::new();
    let small = Arc::new(small());
    let mut recorder = Recorder::create(scene.path()).unwrap();
    recorder.write(&Update::Frame(frame(1, &small)), 5).unwrap();
    recorder
        .write(
            &Update::End(Some("the \u{1b}[1mprocfs is gone".to_owned())),
            5,
        )
        .unwrap();
    let mut reader = Reader::open(&scene.path()).unwrap();
    let read = read_all(&mut reader);
    let Update::Frame(frame) = &read[0] else {
        panic!("{read:?}");
    };
    // What the recorder missed counts as lost.
    assert_eq!(frame.health.lost, 6);
    assert_eq!(reader.end_line(), Some("the \\x1b[1mprocfs is gone"));
}

/// The format is a promise: when this fails, raise [`VERSION`] and keep reading the old one.
#[test]
fn recordings_of_the_first_version_can_be_read() {
    let scene = Scene::new();
    let mut reader = scene.open(include_bytes!("../version-1")).unwrap();
    let read = read_all(&mut reader);
    assert_eq!(reader.end_line(), None);
    assert_eq!(read.len(), sample().len());
    for pair in read.iter().zip(&sample()) {
        match pair {
            (Update::Frame(a), Update::Frame(b)) => {
                assert_eq!((a.number, a.at, a.wall), (b.number, b.at, b.wall));
                assert_eq!(a.health, b.health);
                assert_eq!(a.world.processes(), b.world.processes());
                assert_eq!(a.world.details(), b.world.details());
                assert_eq!(a.world.stale(), b.world.stale());
                // Whom processes belong to is for the attribution to change.
                assert_eq!(a.world.containers().len(), b.world.containers().len());
            }
            (Update::Events(a), Update::Events(b)) => assert_eq!(a, b),
            other => panic!("{other:?}"),
        }
    }
}

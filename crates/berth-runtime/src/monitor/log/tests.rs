use super::*;
use std::path::Path;

/// A configuration with a log in a folder.
pub(super) fn config(folder: &Path, log: LogConfig) -> MonitorConfig {
    let json = serde_json::json!({
        "version": 1, "id": "0".repeat(64), "name": "a", "run": 1, "spec": "/none",
        "root": {"kind": "host"}, "persistent_dir": folder, "volatile_dir": folder,
        "cache_dir": folder, "joined": [], "init": false, "on_exit": [],
        "client_handles_exit": false, "log": log,
        "stdio": {"terminal": false, "stdin": false, "stdin_once": false, "attached": false,
                  "size": [0, 0]},
    });
    serde_json::from_value(json).unwrap()
}

pub(super) fn json_file(folder: &Path, max_bytes: u64, max_files: u32) -> LogConfig {
    LogConfig {
        path: folder.join("log.json"),
        max_bytes,
        max_files,
        ..LogConfig::default()
    }
}

fn open(folder: &Path, log: LogConfig) -> Log {
    Log::open(&config(folder, log)).unwrap()
}

/// The records of a file.
pub(super) fn records(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The texts of all files, the oldest first.
pub(super) fn texts(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("log.json"))
        .collect();
    names.sort();
    names
        .iter()
        .rev()
        .flat_map(|name| records(&folder.join(name)))
        .map(|record| record["log"].as_str().unwrap().trim_end().to_owned())
        .collect()
}

#[test]
fn lines_are_joined_across_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    log.append(Stream::Stdout, b"one\ntw");
    log.append(Stream::Stderr, b"oops\n");
    log.append(Stream::Stdout, b"o\nrest");
    log.finish();
    let records = records(&folder.path().join("log.json"));
    let texts: Vec<_> = records.iter().map(|r| r["log"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one\n", "oops\n", "two\n", "rest"]);
    assert_eq!(records[1]["stream"], "stderr");
}

#[test]
fn long_lines_are_split_and_odd_bytes_kept_legal() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    let mut long = vec![b'a'; MAX_LINE + 10];
    long.extend_from_slice(b"\x1b\"\\\xff\n");
    log.append(Stream::Stdout, &long);
    let records = records(&folder.path().join("log.json"));
    assert_eq!(records[0]["log"].as_str().unwrap().len(), MAX_LINE);
    assert_eq!(records[1]["log"], "aaaaaaaaaa\u{1b}\"\\\u{fffd}\n");
}

#[test]
fn turned_files_are_in_order_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 1000, 3));
    for number in 0..100 {
        log.append(Stream::Stdout, format!("{number}\n").as_bytes());
    }
    let texts = texts(folder.path());
    let last: Vec<_> = (100 - texts.len()..100).map(|n| n.to_string()).collect();
    assert!(texts.len() > 20, "{texts:?}");
    assert_eq!(texts, last);
    for name in ["log.json", "log.json.1", "log.json.2"] {
        let length = folder.path().join(name).metadata().unwrap().len();
        assert!((1..=1000).contains(&length), "{name}: {length}");
    }
    assert!(!folder.path().join("log.json.3").exists());
}

#[test]
fn one_file_alone_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 500, 1));
    for number in 0..20 {
        log.append(Stream::Stdout, format!("{number}\n").as_bytes());
    }
    assert_eq!(texts(folder.path()).last().unwrap(), "19");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_log_that_is_removed_or_emptied_under_us_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.json");
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    log.append(Stream::Stdout, b"one\n");
    std::fs::remove_file(&path).unwrap();
    log.append(Stream::Stdout, b"two\n");
    assert_eq!(texts(folder.path()), ["two"]);
    std::fs::write(&path, "").unwrap();
    log.append(Stream::Stdout, b"three\n");
    assert_eq!(texts(folder.path()), ["three"]);
    std::fs::remove_dir_all(folder.path()).unwrap();
    log.append(Stream::Stdout, b"four\n");
    std::fs::create_dir(folder.path()).unwrap();
    log.append(Stream::Stdout, b"five\n");
    let left = texts(folder.path());
    assert!(left[0].starts_with("berth: 1 record of output lost here: "));
    assert_eq!(left[1..], ["five"]);
}

#[test]
fn what_a_killed_writer_left_half_written_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.json");
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    log.append(Stream::Stdout, b"one\ntwo\n");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let mut log = open(folder.path(), json_file(folder.path(), 0, 0));
    log.append(Stream::Stdout, b"three\n");
    assert_eq!(texts(folder.path()), ["one", "three"]);
}

#[test]
fn local_keeps_every_byte_and_cuts_torn_frames_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.local");
    let config = || LogConfig {
        path: path.clone(),
        driver: LogDriver::Local,
        ..LogConfig::default()
    };
    open(folder.path(), config()).append(Stream::Stdout, b"one\n\xff\x00\n");
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(local::whole(&whole), (whole.len(), 2));
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    open(folder.path(), config()).append(Stream::Stderr, b"three\n");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(local::whole(&bytes), (bytes.len(), 2));
    assert!(bytes.windows(6).any(|window| window == b"three\n"));
    assert!(!bytes.contains(&0xff));
}

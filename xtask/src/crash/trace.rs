//! The journal that berth-persist writes: what was done at which point, in order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Failure, Outcome};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rename,
    Exchange,
    Link,
    Unlink,
    RemoveDir,
    MakeDir,
    SyncFile,
    SyncDir,
    SyncFilesystem,
}

/// One operation of a program.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pid: u64,
    pub(super) point: String,
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    /// Where a rename or link leads; for [`Kind::SyncFile`] a copy of what the file held.
    pub(super) to: PathBuf,
    /// It succeeded.
    pub(super) done: bool,
}

/// A place to crash at: the NTH time, from 1, that a process passes a point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) point: String,
    pub(super) nth: u64,
}

/// Reads a trace; none where nothing was done.
///
/// # Errors
/// It is no trace.
pub(super) fn read(path: &Path) -> Outcome<Vec<Entry>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::file("read", path, &error)),
    };
    text.lines().map(parse).collect()
}

fn parse(line: &str) -> Outcome<Entry> {
    let broken = || Failure::new(format!("the trace has a line that is none: {line}"));
    let value: Value = serde_json::from_str(line).map_err(|_| broken())?;
    let text = |name: &str| value[name].as_str();
    let kind = match text("op").ok_or_else(broken)? {
        "rename" => Kind::Rename,
        "exchange" => Kind::Exchange,
        "link" => Kind::Link,
        "unlink" => Kind::Unlink,
        "rmdir" => Kind::RemoveDir,
        "mkdir" => Kind::MakeDir,
        "fsync-file" => Kind::SyncFile,
        "fsync-dir" => Kind::SyncDir,
        "syncfs" => Kind::SyncFilesystem,
        _ => return Err(broken()),
    };
    Ok(Entry {
        pid: value["pid"].as_u64().ok_or_else(broken)?,
        point: text("point").ok_or_else(broken)?.to_owned(),
        kind,
        path: text("path").ok_or_else(broken)?.into(),
        to: text("to").unwrap_or_default().into(),
        done: value["done"].as_bool().ok_or_else(broken)?,
    })
}

/// The places that a whole run passed, with whether the operation succeeded there. Each process
/// counts for itself; where several pass the same, the first says.
pub(super) fn places(entries: &[Entry]) -> BTreeMap<Place, bool> {
    let mut passed: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for entry in entries {
        let nth = passed.entry((entry.pid, &entry.point)).or_insert(0);
        *nth += 1;
        let place = Place {
            point: entry.point.clone(),
            nth: *nth,
        };
        places.entry(place).or_insert(entry.done);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_for_each_process() {
        let line = |pid: u32, point: &str, done: bool| {
            format!(r#"{{"pid":{pid},"point":"{point}","op":"mkdir","path":"/a","done":{done}}}"#)
        };
        let entries: Vec<Entry> = [
            line(1, "a", true),
            line(1, "a", false),
            line(2, "a", true),
            line(2, "b", true),
        ]
        .iter()
        .map(|line| parse(line).unwrap())
        .collect();
        let places: Vec<(String, u64, bool)> = places(&entries)
            .into_iter()
            .map(|(place, done)| (place.point, place.nth, done))
            .collect();
        let expected = [("a", 1, true), ("a", 2, false), ("b", 1, true)];
        assert_eq!(
            places,
            expected.map(|(p, nth, done)| (p.to_owned(), nth, done))
        );
        assert!(parse("{}").is_err());
    }
}

//! Appending to the journal of events.
//!
//! Several processes write at once, engines and monitors: each line is one write(2) on a descriptor
//! with O_APPEND, which the kernel does whole or not at all as far as others can see. Only whoever moves
//! the journal out of the way needs the writers to be elsewhere, so a writer holds a shared lock, and
//! checks below it that its file is still the journal. Nothing is synced: a loss of power may cost the
//! last lines, and readers skip one that is torn.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use berth_base::state::EventRecord;
use rustix::fs::{FlockOperation, flock};

/// How often the lock is tried for: whoever holds it alone renames a file or two, unless it was
/// stopped in the middle of that. Then it is written all the same.
const TRIES: u32 = 50;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(1);
/// Longer lines lose their labels.
const LINE_MAX: usize = 64 << 10;
/// What stays of the attributes of such a line.
const KEPT: [&str; 7] = [
    "container",
    "execID",
    "exitCode",
    "image",
    "name",
    "signal",
    "type",
];

/// Appends events in one write, in a folder that exists; answers how long the journal is now.
pub fn append(path: &Path, events: &[EventRecord]) -> io::Result<u64> {
    let mut lines = Vec::new();
    for event in events {
        lines.extend_from_slice(&line(event)?);
    }
    let (mut file, metadata) = open(path)?;
    let written = file.write(&lines)?;
    if written < lines.len() {
        // The disk is full. What was written has no end, and is skipped.
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(metadata.len().saturating_add(lines.len() as u64))
}

fn line(event: &EventRecord) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(event)?;
    if bytes.len() > LINE_MAX {
        let mut short = event.clone();
        short.attributes.retain(|key, value| {
            KEPT.contains(&key.as_str()) && value.len() < LINE_MAX / (2 * KEPT.len())
        });
        short.action = short.action.chars().take(1_000).collect();
        bytes = serde_json::to_vec(&short)?;
    }
    bytes.push(b'\n');
    Ok(bytes)
}

/// Opens the journal, which is made where it is missing, with a shared lock on it.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    loop {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(berth_persist::NO_WAIT)
            .open(path)?;
        let mut tries = 0;
        while let Err(errno) = flock(&file, FlockOperation::NonBlockingLockShared) {
            tries += 1;
            if tries >= TRIES || errno != rustix::io::Errno::WOULDBLOCK {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let metadata = file.metadata()?;
        match std::fs::metadata(path) {
            Ok(found) if found.ino() == metadata.ino() => return Ok((file, metadata)),
            // Moved out of the way since it was opened.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_base::state::EventKind;

    #[test]
    fn events_are_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let event = EventRecord::new(EventKind::Volume, "create", "data").with("driver", "local");
        let first = append(&path, &[event.clone(), event.clone()]).unwrap();
        let second = append(&path, std::slice::from_ref(&event)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            (first, second),
            (text.len() as u64 / 3 * 2, text.len() as u64)
        );
        for line in text.lines() {
            assert!(
                line.starts_with(r#"{"v":1,"time":0,"type":"volume""#),
                "{line}"
            );
            assert_eq!(serde_json::from_str::<EventRecord>(line).unwrap(), event);
        }
        assert!(append(&dir.path().join("none/journal.jsonl"), &[event]).is_err());
    }

    #[test]
    fn a_line_is_bounded_whatever_the_labels() {
        let mut event = EventRecord::new(EventKind::Container, "exec_start: ".repeat(9_000), "1")
            .with("exitCode", "3");
        for n in 0..2_000 {
            event = event.with(&format!("label{n}"), "x".repeat(100));
        }
        let bytes = line(&event).unwrap();
        assert!(bytes.len() < LINE_MAX, "{}", bytes.len());
        let read: EventRecord = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read.attributes.len(), 1);
    }
}

//! The journal of events: what happened to containers, images, networks and volumes.
//!
//! No daemon keeps it: whoever does something appends a line to `ROOT/events/journal.jsonl`, engines
//! here and monitors in `berth-runtime`. It is bounded: the writer that fills a file moves it out of
//! the way. An event that cannot be written is lost, and what was done stays done.

mod reader;
mod record;
mod rotate;
#[cfg(test)]
mod tests;
mod write;

pub use reader::{EventReader, EventsFrom};
pub use record::{EventObject, PruneKind};
pub(crate) use record::{container, image, network, volume};

use std::path::{Path, PathBuf};

/// How much the journal may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLimits {
    /// Bytes after which a file is full.
    pub file_bytes: u64,
    /// How many files are kept, the one that is written among them; at least 2.
    pub files: u32,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self {
            file_bytes: 4 << 20,
            files: 2,
        }
    }
}

/// The folder of the journal.
fn folder(root: &Path) -> PathBuf {
    root.join("events")
}

/// The file that is written.
fn journal(root: &Path) -> PathBuf {
    folder(root).join("journal.jsonl")
}

/// The file that was written `age` files ago.
fn aged(root: &Path, age: u32) -> PathBuf {
    match age {
        0 => journal(root),
        age => folder(root).join(format!("journal.jsonl.{age}")),
    }
}

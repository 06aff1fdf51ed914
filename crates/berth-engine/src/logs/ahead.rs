//! Files of a log that come while it is followed, opened as soon as they are there: a reader who is
//! slower than the log is turned would find them gone.
//!
//! A file that is open is kept by the kernel until we have read it, whatever becomes of its name. So
//! a thread opens each new one at once. The space that such files take is bounded by their number:
//! those beyond it are only noted, and opened when it is their turn, should they still be there. What
//! went meanwhile, or before the thread could look, is told of where it is missing.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use berth_base::Timestamp;

use super::follow::Changes;
use super::part::{Format, Part};
use super::series;

/// How many files are kept open at most for a reader.
const MOST_OPEN: usize = 16;
/// How often the thread looks whether anybody still reads.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A part of a log that a reader has missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whole files and their bytes, as far as they were seen.
    seen: Option<(u64, u64)>,
    /// The first record of the last file before it.
    after: Option<u64>,
    /// The first record after it.
    before: Option<u64>,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seen {
            Some((1, bytes)) => write!(f, "1 file of {bytes} bytes is missing here")?,
            Some((files, bytes)) => write!(f, "{files} files of {bytes} bytes are missing here")?,
            None => {
                f.write_str("files of it may be missing here, gone before they could be opened")?
            }
        }
        let time = |nanos: Option<u64>| nanos.map(Timestamp::from_nanos);
        match (time(self.after), time(self.before)) {
            (Some(after), Some(before)) => write!(f, ", between {after} and {before}"),
            (None, Some(before)) => write!(f, ", before {before}"),
            _ => Ok(()),
        }
    }
}

/// A file that waits for its reader.
struct Waiting {
    /// The time of its first record; none as long as it is empty.
    first: Option<u64>,
    bytes: u64,
    /// Absent: only noted.
    part: Option<Part>,
    /// What is missing before it.
    gap: Option<Gap>,
}

/// The files that are newer than those a reader has.
pub(super) struct Ahead {
    newest: PathBuf,
    format: Format,
    /// The newest file that was opened, by a descriptor of our own.
    last: Option<Part>,
    /// The time of its first record, or of the last file that had any.
    seen: Option<u64>,
    waiting: VecDeque<Waiting>,
    /// What is missing before the next that comes.
    missing: Option<Gap>,
}

impl Ahead {
    pub(super) fn new(newest: &Path, format: Format) -> Self {
        Self {
            newest: newest.to_owned(),
            format,
            last: None,
            seen: None,
            waiting: VecDeque::new(),
            missing: None,
        }
    }

    /// Begins behind what a reader has opened.
    pub(super) fn begin<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p mut Part>,
    ) -> io::Result<()> {
        for part in parts {
            self.seen = part.first_time().max(self.seen);
            self.last = Some(part.reopened()?);
        }
        Ok(())
    }

    /// Opens what has come.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let inode = match std::fs::metadata(&self.newest) {
            Ok(metadata) => metadata.ino(),
            // Removed, or being turned.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.last.as_ref().is_some_and(|part| part.inode() == inode) {
            return Ok(());
        }
        // It may have been empty when it was opened, or emptied since.
        let last = self.last.as_mut().and_then(Part::first_time_now);
        self.seen = last.max(self.seen);
        let mut found = series::open(&self.newest, self.format)?;
        let mut times = found.iter_mut().filter_map(Part::first_time);
        // A log that somebody removed leaves no older files than the new one; a turn does.
        let is_gone = last.is_some() && times.all(|time| Some(time) > last) && found.len() > 1;
        let mut gap = is_gone.then_some(Gap {
            seen: None,
            after: last,
            before: None,
        });
        for mut part in found {
            let first = part.first_time();
            if let Some(noted) = self
                .waiting
                .iter_mut()
                .find(|w| first.is_some() && w.first == first)
            {
                noted.bytes = part.length();
                continue;
            }
            // An empty one is the newest.
            if first.is_some() && first <= self.seen {
                continue;
            }
            self.last = Some(part.reopened()?);
            self.waiting.push_back(Waiting {
                first,
                bytes: part.length(),
                part: Some(part),
                gap: gap.take().map(|gap| Gap {
                    before: first,
                    ..gap
                }),
            });
        }
        for waiting in &mut self.waiting {
            if let Some(part) = &mut waiting.part {
                waiting.first = part.first_time();
                waiting.bytes = part.length();
            }
            self.seen = waiting.first.max(self.seen);
        }
        // The oldest are the next to go, so it is these that are kept open.
        for waiting in self.waiting.iter_mut().skip(MOST_OPEN) {
            waiting.part.take_if(|_| waiting.first.is_some());
        }
        Ok(())
    }

    /// What has come since, in order, each with what is missing before it.
    pub(super) fn take(&mut self) -> io::Result<Vec<(Part, Option<Gap>)>> {
        let mut there = match self.waiting.iter().any(|waiting| waiting.part.is_none()) {
            true => series::open(&self.newest, self.format)?,
            false => Vec::new(),
        };
        let mut taken = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            let Waiting {
                first,
                bytes,
                part,
                gap,
            } = waiting;
            let again = there.iter_mut().position(|part| part.first_time() == first);
            let part = part.or_else(|| Some(there.swap_remove(again?)));
            let Some(part) = part else {
                let (files, total) = self.missing.as_ref().and_then(|m| m.seen).unwrap_or((0, 0));
                self.missing = Some(Gap {
                    seen: Some((files + 1, total + bytes)),
                    after: self.missing.as_ref().map_or(first, |missing| missing.after),
                    before: None,
                });
                continue;
            };
            let missing = self.missing.take().map(|missing| Gap {
                before: first,
                ..missing
            });
            taken.push((part, missing.or(gap)));
        }
        Ok(taken)
    }
}

/// [`Ahead`], of a reader and its thread.
pub(super) type Shared = Arc<Mutex<Ahead>>;

pub(super) fn locked(ahead: &Mutex<Ahead>) -> MutexGuard<'_, Ahead> {
    // Whoever panicked left whole parts behind.
    ahead.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread; it ends when nobody reads any more.
pub(super) fn watch(folder: &Path, ahead: &Shared) -> io::Result<()> {
    let Some(changes) = Changes::of_names(folder) else {
        return Ok(());
    };
    let ahead: Weak<Mutex<Ahead>> = Arc::downgrade(ahead);
    let run = move || {
        while let Some(ahead) = ahead.upgrade() {
            if locked(&ahead).look().is_err() {
                // The reader looks as well, and says why it cannot read.
            }
            drop(ahead);
            changes.wait(LOOK_EVERY);
        }
    };
    std::thread::Builder::new()
        .name("log-ahead".to_owned())
        .spawn(run)
        .map(drop)
}

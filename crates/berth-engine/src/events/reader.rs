//! Reading events, and following them across rotations without missing or doubling one.
//!
//! A file is left only once it is known to be no longer the journal: whoever moved it held a lock that
//! no writer shares, so what is read after that is all there will ever be.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use berth_base::Timestamp;
use berth_base::state::EventRecord;
use rustix::fs::inotify;

use super::{aged, folder};
use crate::{Engine, EngineError, store::StoreError};

/// Longest line that is kept; writers write far shorter ones.
const MAX_LINE: u64 = 1 << 20;
/// How a line begins, up to the number of its version.
const BEGIN: &[u8] = br#"{"v":"#;
/// Files that are looked for, whatever the limits are now.
const AGES: u32 = 1_000;

/// Reads the journal, oldest event first.
pub struct EventReader {
    root: PathBuf,
    /// What is read now.
    file: Option<Segment>,
    /// It is no longer the journal.
    is_left: bool,
    changes: Option<OwnedFd>,
    missed: bool,
}

struct Segment {
    reader: BufReader<File>,
    inode: u64,
    /// A line that was not complete yet.
    partial: Vec<u8>,
}

impl Engine {
    /// Reads the events from the beginning, or those that come from now on. Files in which nothing is
    /// as young as `since` are passed over; the first event may be older all the same.
    ///
    /// # Errors
    /// The folder of events is missing and cannot be made.
    pub fn events(&self, from: EventsFrom) -> Result<EventReader, EngineError> {
        let path = folder(self.store().root());
        if !path.is_dir() {
            // To be watched.
            self.make_events_folder()
                .map_err(|e| StoreError::io("make", &path, e))?;
        }
        let root = self.store().root();
        Ok(match from {
            EventsFrom::Now => EventReader::open_at_end(root),
            EventsFrom::Time(since) => EventReader::open(root, Some(since)),
        })
    }
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsFrom {
    /// With what happens next.
    Now,
    /// With the first file that may hold something as young as this.
    Time(Timestamp),
}

impl EventReader {
    /// Begins with the oldest file.
    pub(crate) fn open(root: &Path, since: Option<Timestamp>) -> Self {
        let mut reader = Self::watching(root);
        let mut files = chain(root);
        if let Some(since) = since {
            let young = |file: &(u64, File)| {
                let changed = file.1.metadata().and_then(|m| m.modified());
                changed.map_or(true, |time| Timestamp::from(time) >= since)
            };
            let old = files.iter().take_while(|file| !young(file)).count();
            files.drain(..old.min(files.len().saturating_sub(1)));
        }
        reader.file = files.into_iter().next().map(Segment::new);
        reader
    }

    /// Begins with what is written after this call.
    pub(crate) fn open_at_end(root: &Path) -> Self {
        let mut reader = Self::watching(root);
        reader.file = chain(root).into_iter().last().map(Segment::new);
        if let Some(segment) = &mut reader.file
            && segment.reader.seek(SeekFrom::End(0)).is_err()
        {
            // A file that cannot be sought is no journal: it is read from its beginning.
        }
        reader
    }

    /// The watch is there before anything is opened, so that nothing comes between (inotify(7)).
    fn watching(root: &Path) -> Self {
        let watch = || {
            let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
            let descriptor = inotify::init(flags).ok()?;
            let events = inotify::WatchFlags::MODIFY
                | inotify::WatchFlags::CREATE
                | inotify::WatchFlags::MOVED_TO;
            inotify::add_watch(&descriptor, folder(root), events).ok()?;
            Some(descriptor)
        };
        Self {
            changes: watch(),
            root: root.to_owned(),
            file: None,
            is_left: false,
            missed: false,
        }
    }

    /// Readable when there may be more; `None` where the host has no more watches to give, so that the
    /// caller has to look again now and then.
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.changes.as_ref().map(AsFd::as_fd)
    }

    /// Empties the queue of changes, of which only the arrival matters; before [`Self::next_event`].
    pub fn forget_changes(&self) {
        let Some(changes) = &self.changes else {
            return;
        };
        let mut buffer = [0u8; 4096];
        while matches!(rustix::io::read(changes, &mut buffer), Ok(1..)) {}
    }

    /// Whether files came and went while nobody read, and events with them; tells it once.
    pub fn has_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }

    /// Takes the next event; `None` at the end as it is now. Torn lines are skipped.
    pub fn next_event(&mut self) -> Option<EventRecord> {
        loop {
            if let Some(segment) = &mut self.file
                && let Some(event) = segment.next_event()
            {
                return Some(event);
            }
            if !self.advance() {
                return None;
            }
        }
    }

    /// Goes on to the next file where this one is over; whether there may be more to read.
    fn advance(&mut self) -> bool {
        let mut files = chain(&self.root);
        let Some(segment) = &self.file else {
            self.file = match files.is_empty() {
                true => None,
                false => Some(Segment::new(files.remove(0))),
            };
            return self.file.is_some();
        };
        let at = files.iter().position(|(inode, _)| *inode == segment.inode);
        match at {
            // The journal, or the last one that was it, and nobody has begun a new one.
            Some(at) if at + 1 == files.len() => return false,
            _ if !self.is_left => {
                // What was written between our look at its end and its leaving.
                self.is_left = true;
                return true;
            }
            _ => {}
        }
        let next = match at {
            Some(at) => at + 1,
            None => {
                self.missed = true;
                0
            }
        };
        self.is_left = false;
        if next >= files.len() {
            self.file = None;
            return false;
        }
        self.file = Some(Segment::new(files.remove(next)));
        true
    }
}

/// Opens all files of the journal, the oldest first, none of them twice and none left out.
fn chain(root: &Path) -> Vec<(u64, File)> {
    loop {
        let mut files = Vec::new();
        let mut missing = 0;
        for age in 0..AGES {
            match berth_persist::open(&aged(root, age))
                .and_then(|file| Ok((file.metadata()?.ino(), file)))
            {
                Ok((inode, file)) => files.push((age, inode, file)),
                // A rotation that was cut short leaves a gap.
                Err(_) if missing < 2 => missing += 1,
                Err(_) => break,
            }
        }
        // Rotated while they were opened?
        let in_place = |(age, inode, _): &(u32, u64, File)| {
            std::fs::metadata(aged(root, *age)).is_ok_and(|found| found.ino() == *inode)
        };
        if files.iter().all(in_place) {
            let files = files.into_iter().rev();
            return files.map(|(_, inode, file)| (inode, file)).collect();
        }
    }
}

impl Segment {
    fn new((inode, file): (u64, File)) -> Self {
        Self {
            reader: BufReader::with_capacity(64 << 10, file),
            inode,
            partial: Vec::new(),
        }
    }

    fn next_event(&mut self) -> Option<EventRecord> {
        loop {
            let room = MAX_LINE.saturating_sub(self.partial.len() as u64);
            let mut limited = (&mut self.reader).take(room);
            match limited.read_until(b'\n', &mut self.partial) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // An unreadable file has no more events.
                Err(_) => return None,
            }
            let complete = self.partial.ends_with(b"\n");
            if !complete && (self.partial.len() as u64) < MAX_LINE {
                return None;
            }
            let line = std::mem::take(&mut self.partial);
            if let Some(event) = parse(&line) {
                return Some(event);
            }
        }
    }
}

/// Reads a line, or what was written behind a line that has no end.
fn parse(line: &[u8]) -> Option<EventRecord> {
    if let Ok(event) = serde_json::from_slice(line) {
        return Some(event);
    }
    let begins = |at: usize| {
        let rest = line.get(at..)?.strip_prefix(BEGIN)?;
        rest.first()?.is_ascii_digit().then_some(())
    };
    let at = (1..line.len()).rev().find(|at| begins(*at).is_some())?;
    serde_json::from_slice(line.get(at..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_torn_line_is_read() {
        let whole =
            r#"{"v":1,"time":7,"type":"volume","action":"create","id":"a","attributes":{"v":"1"}}"#;
        let event = parse(whole.as_bytes()).unwrap();
        assert_eq!(event.time_nanos, 7);
        for cut in 1..whole.len() {
            let torn = format!("{}{whole}\n", &whole[..cut]);
            assert_eq!(parse(torn.as_bytes()).as_ref(), Some(&event), "{cut}");
            assert_eq!(parse(format!("{}\n", &whole[..cut]).as_bytes()), None);
        }
        let zeros = [vec![0; 4096], whole.as_bytes().to_vec()].concat();
        assert_eq!(parse(&zeros).as_ref(), Some(&event));
    }
}

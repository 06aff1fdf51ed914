//! Output on its way to where it is kept.
//!
//! We cut output into records, a line each, and give them to a file or to the journal, whole or
//! not at all. What cannot be kept is counted and said as soon as that is possible; nothing here
//! waits, fails the container or allocates for each line. Reading logs is the engine's.

mod file;
mod journal;
mod json;
mod local;
mod lost;
mod stamp;

use std::mem;
use std::os::fd::BorrowedFd;

use berth_base::state::{LogConfig, LogDriver, MonitorConfig};

use file::LogFile;
use journal::Journal;
use json::JsonLines;
use lost::Lost;
use stamp::Clock;

/// Docker's limit: a longer line becomes several records, all but the last without newline.
const MAX_LINE: usize = 16 * 1024;
/// So much is put into one write(2); a single record may be longer.
const BATCH: usize = 64 * 1024;

/// Which stream a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// How records look in a file.
enum Framing {
    Json(JsonLines),
    Local,
}

/// Where records go.
enum Sink {
    File { file: LogFile, framing: Framing },
    Journal(Journal),
}

/// Cuts output into records and keeps them; holds the unfinished line of each stream.
pub(super) struct Log {
    sink: Sink,
    partial: [Vec<u8>; 2],
    clock: Clock,
    lost: Lost,
    /// Encoded records, and how many, which one write is to take.
    batch: Vec<u8>,
    records: u64,
    batch_limit: usize,
}

impl Log {
    /// A log as configured; `None` where none is kept. A file that cannot be opened now is tried
    /// again with each write.
    pub(super) fn open(config: &MonitorConfig) -> Option<Self> {
        let log = config.log.as_ref()?;
        let sink = match log.driver {
            LogDriver::None => return None,
            LogDriver::JsonFile => Sink::File {
                file: LogFile::open(log, file::Kind::Json),
                framing: Framing::Json(JsonLines::new(&log.fields)),
            },
            LogDriver::Local => Sink::File {
                file: LogFile::open(log, file::Kind::Local),
                framing: Framing::Local,
            },
            LogDriver::Journald => Sink::Journal(Journal::new(log)),
        };
        Some(Self {
            sink,
            partial: [Vec::new(), Vec::new()],
            clock: Clock::default(),
            lost: Lost::new(&config.volatile_dir, config.run),
            batch: Vec::new(),
            records: 0,
            batch_limit: batch_limit(log),
        })
    }

    /// Takes output as it comes; whole lines are written at once.
    pub(super) fn append(&mut self, stream: Stream, mut bytes: &[u8]) {
        self.begin();
        let mut partial = mem::take(&mut self.partial[stream as usize]);
        while !bytes.is_empty() {
            let room = bytes.len().min(MAX_LINE - partial.len());
            let (window, _) = bytes.split_at(room);
            let line_end = memchr::memchr(b'\n', window);
            let (head, rest) = bytes.split_at(line_end.map_or(room, |end| end + 1));
            bytes = rest;
            if line_end.is_none() && partial.len() + head.len() < MAX_LINE {
                partial.extend_from_slice(head);
            } else if partial.is_empty() {
                self.record(stream, head);
            } else {
                partial.extend_from_slice(head);
                self.record(stream, &partial);
                partial.clear();
            }
        }
        self.partial[stream as usize] = partial;
        self.flush();
    }

    /// Writes what no newline ended, and what waits for the journal.
    pub(super) fn finish(&mut self) {
        self.begin();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let partial = mem::take(&mut self.partial[stream as usize]);
            if !partial.is_empty() {
                self.record(stream, &partial);
            }
        }
        self.flush();
        match &mut self.sink {
            Sink::Journal(journal) => journal.finish(&mut self.lost),
            Sink::File { file, .. } => file.finish(),
        }
    }

    /// The journal's socket, while records wait for it.
    pub(super) fn wants_write(&self) -> Option<BorrowedFd<'_>> {
        match &self.sink {
            Sink::File { .. } => None,
            Sink::Journal(journal) => journal.wants_write(),
        }
    }

    /// Whether the container has to wait until the journal has read more.
    pub(super) fn holds_up(&self) -> bool {
        match &self.sink {
            Sink::File { .. } => false,
            Sink::Journal(journal) => journal.holds_up(),
        }
    }

    /// Goes on where [`Self::wants_write`] said so.
    pub(super) fn write_waiting(&mut self) {
        if let Sink::Journal(journal) = &mut self.sink {
            journal.write_waiting(&mut self.lost);
        }
    }

    /// One time for the records of a batch; first of them is the one that says what was lost.
    fn begin(&mut self) {
        self.batch.clear();
        self.records = 0;
        self.clock.tick();
        if let Sink::File { framing, .. } = &mut self.sink {
            if let Framing::Json(json) = framing {
                json.begin(self.clock.text());
            }
            if let Some(words) = self.lost.words() {
                match framing {
                    Framing::Json(json) => {
                        json.push_lost(&mut self.batch, &words, self.lost.untold());
                    }
                    Framing::Local => {
                        let flags = local::STDERR | local::LOST;
                        local::push(&mut self.batch, flags, self.clock.nanos(), words.as_bytes());
                    }
                }
            }
        }
    }

    fn record(&mut self, stream: Stream, line: &[u8]) {
        match &mut self.sink {
            Sink::Journal(journal) => journal.send(stream, line, &mut self.lost),
            Sink::File { framing, .. } => {
                match framing {
                    Framing::Json(json) => json.push(&mut self.batch, stream, line),
                    Framing::Local => {
                        let flags = match stream {
                            Stream::Stdout => local::STDOUT,
                            Stream::Stderr => local::STDERR,
                        };
                        local::push(&mut self.batch, flags, self.clock.nanos(), line);
                    }
                }
                self.records += 1;
                if self.batch.len() >= self.batch_limit {
                    self.flush();
                    self.begin();
                }
            }
        }
    }

    /// Writes the batch. A record that says what was lost is not one of the container's.
    fn flush(&mut self) {
        let Sink::File { file, .. } = &mut self.sink else {
            return;
        };
        if self.batch.is_empty() {
            return;
        }
        let said = u64::from(self.lost.untold() > 0);
        match file.write(&self.batch) {
            Ok(()) => self.lost.told(),
            Err(cut) => {
                if cut.kept >= said {
                    self.lost.told();
                }
                let kept = cut.kept.saturating_sub(said);
                self.lost.add(self.records.saturating_sub(kept), &cut.why);
            }
        }
        self.batch.clear();
        self.records = 0;
        // A single long record must not stay with us.
        self.batch.shrink_to(2 * BATCH);
    }
}

/// Small files are to be turned near their limit, not a batch before it.
fn batch_limit(log: &LogConfig) -> usize {
    match usize::try_from(log.max_bytes / 8) {
        Ok(0) if log.max_bytes == 0 => BATCH,
        Ok(eighth) => eighth.min(BATCH),
        Err(_) => BATCH,
    }
}

#[cfg(test)]
mod tests;

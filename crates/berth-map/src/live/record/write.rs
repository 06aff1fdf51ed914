//! Writing a recording.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::block::{self, FileHeader, Kind, VERSION};
use super::{RecordError, disk};
use crate::live::{BootTime, Feed, Frame, Subscription, Update};

/// How long one has to read from a whole frame to any other, at most.
const WHOLE_EVERY: Duration = Duration::from_secs(60);

/// A whole frame comes earlier where the changes since the last have become so many times larger.
const CHANGES_PER_WHOLE: u64 = 4;

/// Changes that are never worth a whole frame, in bytes.
const FEW_CHANGES: u64 = 256 * 1024;

/// How soon a recording notices that it is to stop.
const TICK: Duration = Duration::from_millis(200);
/// Updates that are written once a recording is told to end, at most.
const MOST_AT_END: usize = 1024;

/// Writes updates to a file, which only its owner may read.
///
/// Each update is one write(2), so that a crash of this process leaves all before it. Where one
/// fails, what it wrote is cut off again.
pub struct Recorder {
    path: PathBuf,
    file: File,
    len: u64,
    before: Option<Arc<Frame>>,
    whole_at: BootTime,
    whole_len: u64,
    changed_len: u64,
}

impl Recorder {
    /// Makes the file. One that exists is not overwritten.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, RecordError> {
        let path = path.into();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RecordError::Exists { path });
            }
            Err(source) => return Err(RecordError::Create { path, source }),
        };
        Self::on(path, file)
    }

    /// Begins with an empty file.
    pub(super) fn on(path: PathBuf, file: File) -> Result<Self, RecordError> {
        let mut recorder = Self {
            path,
            file,
            len: 0,
            before: None,
            whole_at: BootTime(0),
            whole_len: 0,
            changed_len: 0,
        };
        recorder.append(&FileHeader { version: VERSION }.to_bytes())?;
        Ok(recorder)
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Records an update. `missed` are the events that were not handed over so far
    /// ([`Subscription::missed`]); they count as lost.
    pub fn write(&mut self, update: &Update, missed: u64) -> Result<(), RecordError> {
        match update {
            Update::Frame(frame) => self.write_frame(frame, missed),
            Update::Events(events) => {
                let (Some(last), Some(_)) = (events.last(), &self.before) else {
                    // Nobody could read them without a frame.
                    return Ok(());
                };
                let payload = disk::encode_events(events);
                self.changed_len += self.write_block(Kind::Events, last.at, &payload)?;
                Ok(())
            }
            Update::End(why) => self.end(why.as_deref()),
        }
    }

    /// Marks the end, so that a reader knows that nothing was cut off. Returns the bytes written.
    pub fn finish(mut self) -> Result<u64, RecordError> {
        self.end(None)?;
        Ok(self.len)
    }

    fn end(&mut self, why: Option<&str>) -> Result<(), RecordError> {
        let at = self.before.as_ref().map_or(BootTime(0), |frame| frame.at);
        self.write_block(Kind::End, at, why.unwrap_or_default().as_bytes())?;
        Ok(())
    }

    fn write_frame(&mut self, frame: &Arc<Frame>, missed: u64) -> Result<(), RecordError> {
        let is_due = self.whole_at.until(frame.at) >= WHOLE_EVERY
            || self.changed_len > FEW_CHANGES.max(CHANGES_PER_WHOLE * self.whole_len);
        match self.before.take() {
            Some(before) if !is_due => {
                let payload = disk::encode_changed(&before.world, frame, missed);
                self.changed_len += self.write_block(Kind::Changed, frame.at, &payload)?;
            }
            _ => {
                let payload = disk::encode_whole(frame, missed);
                self.whole_len = self.write_block(Kind::Whole, frame.at, &payload)?;
                self.whole_at = frame.at;
                self.changed_len = 0;
            }
        }
        self.before = Some(Arc::clone(frame));
        Ok(())
    }

    /// Returns the block's length.
    fn write_block(&mut self, kind: Kind, at: BootTime, bytes: &[u8]) -> Result<u64, RecordError> {
        let packed = block::pack(kind, at, bytes);
        let block = packed.map_err(|bytes| RecordError::TooLarge {
            path: self.path.clone(),
            bytes,
        })?;
        self.append(&block)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<u64, RecordError> {
        if let Err(source) = self.file.write_all(bytes) {
            // A device that cannot be cut leaves half a block, which readers leave out.
            self.file.set_len(self.len).ok();
            let path = self.path.clone();
            return Err(match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    RecordError::Full { path }
                }
                _ => RecordError::Write { path, source },
            });
        }
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.len += len;
        Ok(len)
    }
}

/// A recording that goes on in a thread of its own. Dropping it ends it.
pub struct Recording {
    state: Arc<State>,
    thread: Option<JoinHandle<Result<u64, RecordError>>>,
}

#[derive(Default)]
struct State {
    is_over: AtomicBool,
    bytes: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Recording {
    /// Records a feed from now on.
    pub fn start(path: impl AsRef<Path>, feed: &Feed) -> Result<Self, RecordError> {
        let recorder = Recorder::create(path.as_ref())?;
        let view = feed.subscribe();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let done = record(recorder, &view, &shared);
            if let Err(error) = &done {
                let mut failure = shared
                    .failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *failure = Some(error.to_string());
            }
            done
        });
        Ok(Self {
            state,
            thread: Some(thread),
        })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    /// Why nothing is recorded any more, in one line, where that is so.
    pub fn failure(&self) -> Option<String> {
        let failure = self.state.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the recording; returns the bytes written.
    pub fn stop(mut self) -> Result<u64, RecordError> {
        match self.end() {
            Some(done) => done,
            None => Ok(self.bytes()),
        }
    }

    fn end(&mut self) -> Option<Result<u64, RecordError>> {
        self.state.is_over.store(true, Ordering::Relaxed);
        // A panic in there has been printed; there is nothing to add.
        self.thread.take()?.join().ok()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`, or has asked for the failure.
        drop(self.end());
    }
}

fn record(mut recorder: Recorder, view: &Subscription, state: &State) -> Result<u64, RecordError> {
    while !state.is_over.load(Ordering::Relaxed) {
        let Some(update) = view.next(TICK) else {
            continue;
        };
        recorder.write(&update, view.missed())?;
        state.bytes.store(recorder.bytes(), Ordering::Relaxed);
        if matches!(update, Update::End(_)) {
            return Ok(recorder.bytes());
        }
    }
    // What waits by now has happened before the end; in a storm there would always be more.
    for update in std::iter::from_fn(|| view.try_next()).take(MOST_AT_END) {
        recorder.write(&update, view.missed())?;
        if matches!(update, Update::End(_)) {
            return Ok(recorder.bytes());
        }
    }
    recorder.finish()
}

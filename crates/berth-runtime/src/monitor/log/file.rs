//! A log file that is turned before it grows too long.
//!
//! `log.json` is the newest, `log.json.1` the one before, and so on; compressed ones end in `.gz`.
//! Turning is renames from the oldest on, so that a crash between any two leaves every record in
//! a file and the files in their order, with a gap in their numbers at most; the next turn closes
//! that gap. Whoever compresses takes the same lock before it gives a file its new name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use berth_base::state::LogConfig;
use berth_persist::{At, Op, Replace, perform};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::local;

/// How records are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Local,
}

/// What a write that failed has kept.
#[derive(Debug)]
pub(super) struct Cut {
    /// Whole records that are in the file.
    pub(super) kept: u64,
    pub(super) why: io::Error,
}

/// The newest file and how it is turned.
pub(super) struct LogFile {
    path: PathBuf,
    kind: Kind,
    file: Option<File>,
    max_bytes: u64,
    max_files: u32,
    pack: Vec<String>,
    packer: Option<OwnedFd>,
    /// A turn found one at work, which may have looked for the last time before.
    is_left: bool,
}

impl LogFile {
    /// Opens the newest file. One that cannot be opened now is tried again with each write.
    pub(super) fn open(config: &LogConfig, kind: Kind) -> Self {
        Self {
            file: open_whole(&config.path, kind).ok(),
            path: config.path.clone(),
            kind,
            max_bytes: config.max_bytes,
            max_files: config.max_files.max(1),
            pack: config.pack.clone(),
            packer: None,
            is_left: false,
        }
    }

    /// Nothing is written any more: what the last packer came too late for is another's.
    pub(super) fn finish(&mut self) {
        if self.is_left {
            self.packer = None;
            self.start_packer();
        }
    }

    /// Writes whole records, or as many of them as there is room for.
    pub(super) fn write(&mut self, records: &[u8]) -> Result<(), Cut> {
        let none_kept = |why| Cut { kept: 0, why };
        let mut length = self.length().map_err(none_kept)?;
        let added = records.len() as u64;
        let is_full = self.max_bytes > 0 && length > 0 && length + added > self.max_bytes;
        // A file that cannot be turned grows on: better long than lost.
        if is_full && self.turn().is_ok() {
            length = self.length().map_err(none_kept)?;
        }
        let Some(file) = &mut self.file else {
            return Err(none_kept(io::ErrorKind::NotFound.into()));
        };
        let mut written = 0;
        while let Some(rest) = records.get(written..).filter(|rest| !rest.is_empty()) {
            let why = match file.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(more) => {
                    written += more;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let part = records.get(..written).unwrap_or_default();
            let (whole, kept) = self.kind.whole(part);
            if whole < written && file.set_len(length + whole as u64).is_err() {
                // A torn record stays, which readers skip.
            }
            return Err(Cut { kept, why });
        }
        Ok(())
    }

    /// The length of the newest file, which is made anew where it was removed under us. It may
    /// have been emptied as well.
    fn length(&mut self) -> io::Result<u64> {
        if let Some(file) = &self.file {
            let metadata = file.metadata()?;
            if metadata.nlink() > 0 {
                return Ok(metadata.len());
            }
            self.file = None;
        }
        let file = open_whole(&self.path, self.kind)?;
        let length = file.metadata()?.len();
        self.file = Some(file);
        Ok(length)
    }

    /// Gives every file the next number, and begins a new one.
    fn turn(&mut self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let lock = File::open(folder)?;
        // Held for two renames by others. A stopped one must not stop us: then a write later.
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let oldest = self.max_files - 1;
        if oldest == 0 {
            remove(&self.path)?;
        } else {
            let free = (1..oldest).find(|number| !self.has(*number));
            let free = free.unwrap_or(oldest);
            for path in self.variants(free) {
                remove(&path)?;
            }
            for number in (1..free).rev() {
                for (from, to) in self.variants(number).iter().zip(self.variants(number + 1)) {
                    rename("log.turn.shift", from, &to)?;
                }
            }
            let [first, _] = self.variants(1);
            rename("log.turn.newest", &self.path, &first)?;
        }
        self.file = None;
        drop(lock);
        if oldest > 0 {
            self.start_packer();
        }
        Ok(())
    }

    /// The names that the file of a number can have.
    fn variants(&self, number: u32) -> [PathBuf; 2] {
        let path = self.path.display();
        [format!("{path}.{number}"), format!("{path}.{number}.gz")].map(PathBuf::from)
    }

    fn has(&self, number: u32) -> bool {
        self.variants(number)
            .iter()
            .any(|path| path.symlink_metadata().is_ok())
    }

    /// Compresses in a process of its own: its memory is not ours for as long as the container
    /// lives, and output does not wait for it. Whatever a running one comes too late for, the next
    /// does, at the latest that of [`Self::finish`]. The monitor reaps it with its other children.
    fn start_packer(&mut self) {
        let Some((program, arguments)) = self.pack.split_first() else {
            return;
        };
        self.is_left = self.packer.as_ref().is_some_and(is_alive);
        if self.is_left {
            return;
        }
        // by path: what the engine asked for in monitor.json
        let started = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        // By its pidfd: whoever reaps it leaves its number to another child.
        self.packer = started.ok().and_then(|child| {
            let pid = Pid::from_child(&child);
            pidfd_open(pid, PidfdFlags::empty()).ok()
        });
    }
}

impl Kind {
    /// How many bytes and records at the beginning are whole.
    fn whole(self, bytes: &[u8]) -> (usize, u64) {
        match self {
            Self::Json => {
                let whole = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
                let records = memchr::memchr_iter(b'\n', bytes).count();
                (whole, records as u64)
            }
            Self::Local => local::whole(bytes),
        }
    }

    /// Whether a file with this end has no torn record.
    fn ends_whole(self, tail: &[u8]) -> bool {
        match self {
            Self::Json => tail.ends_with(b"\n"),
            Self::Local => local::ends_whole(tail),
        }
    }
}

/// Whether a process has not ended: its pidfd is not readable (pidfd_open(2)).
fn is_alive(pidfd: &OwnedFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)) == Ok(0)
}

/// Opens a log for appending, mode 0600, and cuts off what a killed writer left half written.
fn open_whole(path: &Path, kind: Kind) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.custom_flags(berth_persist::NO_WAIT);
    let mut file = options.open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(file);
    }
    let tail = read_from(&mut file, length.saturating_sub(local::TAIL as u64))?;
    if !kind.ends_whole(&tail) {
        // Frames are found from the beginning alone. Rare, and a file is not long.
        let bytes = read_from(&mut file, 0)?;
        let (whole, _) = kind.whole(&bytes);
        file.set_len(whole as u64)?;
    }
    Ok(file)
}

fn read_from(file: &mut File, start: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Renames; a file that is not there need not be.
fn rename(point: berth_persist::Point, from: &Path, to: &Path) -> io::Result<()> {
    absent_is_fine(perform(
        point,
        Op::Rename {
            from: At::path(from),
            to: At::path(to),
            replace: Replace::Yes,
        },
    ))
}

fn remove(path: &Path) -> io::Result<()> {
    absent_is_fine(perform("log.turn.remove", Op::Unlink(At::path(path))))
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

//! The container's output on its way to our standard output and error.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::attach::Shown;

/// A pipe that poll(2) calls writable takes this much without blocking (pipe(7), PIPE_BUF).
const PIPE_CHUNK: usize = 4096;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// What writing came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All of it, or as much as went.
    Progress,
    /// The reader of standard output is gone.
    Closed,
    /// Another failure, a full disk for one.
    Failed(Errno),
}

/// One packet's worth of output, written piece by piece.
pub(super) struct Output {
    out: Sink,
    error: Sink,
    pending: Vec<u8>,
    written: usize,
    stream: Stream,
    shown: Shown,
    error_closed: bool,
}

/// A descriptor to write to, and how much of it at once.
struct Sink {
    descriptor: OwnedFd,
    chunk: usize,
}

impl Output {
    /// Writes to our standard output and error.
    pub(super) fn new(out: OwnedFd, error: OwnedFd, shown: Shown) -> Self {
        Self {
            out: Sink::new(out),
            error: Sink::new(error),
            pending: Vec::new(),
            written: 0,
            stream: Stream::Out,
            shown,
            error_closed: false,
        }
    }

    /// Takes bytes; only while nothing is pending.
    pub(super) fn put(&mut self, stream: Stream, bytes: &[u8]) {
        let is_shown = match stream {
            Stream::Out => self.shown.stdout,
            Stream::Error => self.shown.stderr && !self.error_closed,
        };
        if !is_shown {
            return;
        }
        self.stream = stream;
        self.written = 0;
        self.pending.clear();
        self.pending.extend_from_slice(bytes);
    }

    /// Whether there is any output to wait for.
    pub(super) const fn is_shown(&self) -> bool {
        self.shown.any()
    }

    /// Where pending bytes go, if there are any.
    pub(super) fn pending(&self) -> Option<BorrowedFd<'_>> {
        let waits = self.written < self.pending.len();
        waits.then(|| self.sink().descriptor.as_fd())
    }

    const fn sink(&self) -> &Sink {
        match self.stream {
            Stream::Out => &self.out,
            Stream::Error => &self.error,
        }
    }

    /// Writes once, after poll(2) said that it will not block.
    pub(super) fn write(&mut self) -> Written {
        let left = self.pending.get(self.written..).unwrap_or(&[]);
        match self.sink().write(left) {
            Ok(length) => self.written += length,
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Nobody reads our standard error: the container need not care.
            Err(_) if self.stream == Stream::Error => {
                self.error_closed = true;
                self.written = self.pending.len();
            }
            Err(Errno::PIPE) => return Written::Closed,
            Err(errno) => return Written::Failed(errno),
        }
        Written::Progress
    }
}

impl Sink {
    /// Files take all at once, anything else could block on more than a page.
    fn new(descriptor: OwnedFd) -> Self {
        let chunk = match fstat(&descriptor) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                usize::MAX
            }
            _ => PIPE_CHUNK,
        };
        Self { descriptor, chunk }
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let piece = bytes.get(..bytes.len().min(self.chunk)).unwrap_or(bytes);
        rustix::io::write(&self.descriptor, piece)
    }
}

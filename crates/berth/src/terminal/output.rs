//! The container's output on its way to our standard output and error.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

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
    pending: Vec<u8>,
    written: usize,
    stream: Stream,
    out_chunk: usize,
    error_chunk: usize,
    error_closed: bool,
}

impl Output {
    /// Our standard output and error.
    pub(super) fn new() -> Self {
        Self {
            pending: Vec::new(),
            written: 0,
            stream: Stream::Out,
            out_chunk: chunk(io::stdout().as_fd()),
            error_chunk: chunk(io::stderr().as_fd()),
            error_closed: false,
        }
    }

    /// Takes bytes; only while nothing is pending.
    pub(super) fn put(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Error && self.error_closed {
            return;
        }
        self.stream = stream;
        self.written = 0;
        self.pending.clear();
        self.pending.extend_from_slice(bytes);
    }

    /// Where pending bytes go, if there are any.
    pub(super) fn pending(&self) -> Option<Stream> {
        (self.written < self.pending.len()).then_some(self.stream)
    }

    /// Writes once, after poll(2) said that it will not block.
    pub(super) fn write(&mut self) -> Written {
        let left = self.pending.get(self.written..).unwrap_or(&[]);
        let result = match self.stream {
            Stream::Out => write_some(io::stdout().as_fd(), left, self.out_chunk),
            Stream::Error => write_some(io::stderr().as_fd(), left, self.error_chunk),
        };
        match result {
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

fn write_some(fd: BorrowedFd<'_>, bytes: &[u8], chunk: usize) -> Result<usize, Errno> {
    let piece = bytes.get(..bytes.len().min(chunk)).unwrap_or(bytes);
    rustix::io::write(fd, piece)
}

/// How much to write at once: files take all, anything else could block on more than a page.
fn chunk(fd: BorrowedFd<'_>) -> usize {
    match fstat(fd) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => usize::MAX,
        _ => PIPE_CHUNK,
    }
}

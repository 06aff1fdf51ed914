//! Standard output: data, buffered, and quiet when its reader leaves.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};

use berth_base::{ErrorClass, escape_untrusted};
use berth_map::json::{self, Layout};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::failure::Failure;

/// Standard output.
///
/// A closed pipe is no error: whatever is written after it vanishes, and
/// [`Output::is_closed`] tells loops that they may end. On a terminal, characters that could
/// steer it are escaped; elsewhere text passes as it is.
pub(crate) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    is_terminal: bool,
    is_closed: bool,
}

impl Output {
    /// Opens standard output.
    pub(crate) fn stdout() -> Self {
        // A descriptor of our own: std's Stdout would buffer by lines a second time.
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let writer: Box<dyn Write> = match rustix::io::fcntl_dupfd_cloexec(&stdout, 3) {
            Ok(own) => Box::new(File::from(own)),
            // Closed from the start: nobody reads.
            Err(_) => Box::new(io::sink()),
        };
        Self {
            writer: BufWriter::with_capacity(32 * 1024, writer),
            is_terminal,
            is_closed: false,
        }
    }

    /// Lets go of standard output: its reader sees its end, and what is written after it vanishes.
    pub(crate) fn let_go(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.writer = BufWriter::new(Box::new(io::sink()));
        Ok(())
    }

    /// Writes text and ends the line.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.text(text)?;
        self.bytes(b"\n")
    }

    /// Writes text.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        if !self.is_terminal {
            return self.bytes(text.as_bytes());
        }
        // Line breaks and tabs of a listing are ours.
        for part in text.split_inclusive(['\n', '\t']) {
            let body = part.trim_end_matches(['\n', '\t']);
            let end = part.get(body.len()..).unwrap_or("");
            self.bytes(escape_untrusted(body).as_bytes())?;
            self.bytes(end.as_bytes())?;
        }
        Ok(())
    }

    /// Writes bytes as they are: a container's own output.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.is_closed {
            return Ok(());
        }
        let result = self.writer.write_all(bytes);
        self.settle(result)
    }

    /// Writes a document as JSON and ends the line: indented for eyes, compact for a program,
    /// which reads that in half the time.
    pub(crate) fn document(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        let layout = match self.is_terminal {
            true => Layout::Indented,
            false => Layout::Compact,
        };
        if !self.is_closed {
            let written = json::write(document, layout, &mut self.writer);
            match written.map_err(|error| (error.io_error_kind(), error)) {
                Ok(()) => {}
                Err((Some(_), error)) => self.settle(Err(error.into()))?,
                Err((None, error)) => {
                    return Err(Failure::new(ErrorClass::Internal, error.to_string()));
                }
            }
        }
        self.bytes(b"\n")
    }

    /// Hands everything written so far to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.is_closed {
            return Ok(());
        }
        let result = self.writer.flush();
        self.settle(result)
    }

    /// Whether a terminal shows what is written.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether the reader is known to have left.
    pub(crate) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Asks whether the reader has left, without writing (poll(2): POLLERR on a pipe without a
    /// reader).
    pub(crate) fn probe_closed(&mut self) -> bool {
        let stdout = io::stdout();
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if matches!(poll(&mut fds, Some(&now)), Ok(1..)) {
            let [fd] = &fds;
            self.is_closed |= fd.revents().contains(PollFlags::ERR);
        }
        self.is_closed
    }

    fn settle(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::new(
                ErrorClass::Unavailable,
                format!("cannot write to standard output: {error}"),
            )),
        }
    }
}

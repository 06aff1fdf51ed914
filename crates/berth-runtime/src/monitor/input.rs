//! Standard input on its way from clients to a process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// The write side of a process's standard input, or a terminal's master, non-blocking.
///
/// What the process does not take yet waits here; while anything waits, the client is not read,
/// so a process that never reads costs one packet of memory.
pub(super) struct Input {
    target: Option<OwnedFd>,
    waiting: Vec<u8>,
    /// Close the target once nothing waits.
    ending: bool,
}

impl Input {
    /// Input that goes to `target`, or nowhere.
    pub(super) const fn new(target: Option<OwnedFd>) -> Self {
        Self {
            target,
            waiting: Vec::new(),
            ending: false,
        }
    }

    /// The descriptor to poll for writing, when something waits.
    pub(super) fn wants_write(&self) -> Option<BorrowedFd<'_>> {
        if self.waiting.is_empty() {
            None
        } else {
            self.target.as_ref().map(AsFd::as_fd)
        }
    }

    /// Whether a client's next packet can be taken.
    pub(super) const fn has_room(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.target.is_some() && !self.ending {
            self.waiting.extend_from_slice(bytes);
            self.flush();
        }
    }

    /// Ends the input once everything is written.
    pub(super) fn end(&mut self) {
        self.ending = true;
        self.flush();
    }

    /// Writes what the process takes.
    pub(super) fn flush(&mut self) {
        while let Some(target) = &self.target {
            if self.waiting.is_empty() {
                break;
            }
            match rustix::io::write(target, &self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    // The process closed its input; the rest has no reader.
                    self.waiting.clear();
                    self.target = None;
                }
            }
        }
        if self.ending && self.waiting.is_empty() {
            self.target = None;
        }
    }
}

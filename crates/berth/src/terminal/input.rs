//! Standard input on its way to the container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::detach::{DetachScanner, Scan};

/// Bytes read at once: a packet of the monitor takes as many.
const CHUNK: usize = 16 * 1024;

/// Standard input of this process, read only while nothing of it waits to be sent.
pub(super) struct Input {
    source: OwnedFd,
    scanner: DetachScanner,
    buffer: Vec<u8>,
    open: bool,
}

/// What reading gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes to send, perhaps none.
    Bytes(Vec<u8>),
    /// The end of input.
    End,
    /// Bytes to send, then the user wants to detach.
    Detach(Vec<u8>),
}

impl Input {
    /// Reads `source`; `detach_keys` empty where there are none.
    pub(super) fn new(source: OwnedFd, detach_keys: Vec<u8>) -> Self {
        Self {
            source,
            scanner: DetachScanner::new(detach_keys),
            buffer: vec![0; CHUNK],
            open: true,
        }
    }

    /// Whether more may come.
    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// Reads once, after poll(2) said that it will not block.
    pub(super) fn read(&mut self) -> Piece {
        let length = match rustix::io::read(&self.source, &mut self.buffer) {
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => return Piece::Bytes(Vec::new()),
            // A terminal that hung up gives EIO; whatever the reason, nothing more will come.
            Err(_) => 0,
        };
        let typed = self.buffer.get(..length).unwrap_or(&[]);
        if typed.is_empty() {
            self.open = false;
            return Piece::End;
        }
        match self.scanner.scan(typed) {
            Scan::Pass(bytes) => Piece::Bytes(bytes),
            Scan::Detach(bytes) => Piece::Detach(bytes),
        }
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

//! A container's terminal in our own: raw mode, bytes both ways, its size.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, read, write};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::{Outcome, cannot};
use crate::wire::set_nonblocking;

/// The master of a container's terminal, and what our own was before.
pub(crate) struct Pump {
    master: OwnedFd,
    before: Option<Termios>,
    /// Bytes of standard input that the terminal did not take yet.
    pending: Vec<u8>,
    input_open: bool,
    output_open: bool,
}

impl Pump {
    /// Puts our terminal, if we have one, into raw mode.
    pub(crate) fn open(master: OwnedFd) -> Outcome<Self> {
        set_nonblocking(master.as_fd()).map_err(|e| cannot("prepare the terminal", e))?;
        let mut pump = Self {
            master,
            before: None,
            pending: Vec::new(),
            input_open: true,
            output_open: true,
        };
        if isatty(stdin()) {
            let before = tcgetattr(stdin()).map_err(|e| cannot("read the terminal's mode", e))?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(stdin(), OptionalActions::Now, &raw)
                .map_err(|e| cannot("put the terminal into raw mode", e))?;
            pump.before = Some(before);
            pump.resize();
        }
        Ok(pump)
    }

    /// What there is to wait for.
    pub(crate) fn polled(&self) -> Vec<PollFd<'_>> {
        let mut polled = Vec::with_capacity(2);
        let mut flags = PollFlags::empty();
        if self.output_open {
            flags |= PollFlags::IN;
        }
        if !self.pending.is_empty() {
            flags |= PollFlags::OUT;
        }
        if !flags.is_empty() {
            polled.push(PollFd::from_borrowed_fd(self.master.as_fd(), flags));
        }
        if self.input_open && self.pending.is_empty() {
            polled.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
        }
        polled
    }

    /// Carries what is there, both ways.
    pub(crate) fn carry(&mut self) -> Outcome {
        self.carry_output();
        if self.input_open && self.pending.is_empty() && readable(stdin()) {
            let mut buffer = [0u8; 4096];
            match read(stdin(), &mut buffer) {
                Ok(0) | Err(Errno::IO) => self.input_open = false,
                Ok(length) => self
                    .pending
                    .extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(cannot("read standard input", errno)),
            }
        }
        match write(&self.master, &self.pending) {
            Ok(written) => drop(self.pending.drain(..written)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody has the other side open any more.
            Err(_) => self.pending.clear(),
        }
        Ok(())
    }

    fn carry_output(&mut self) {
        let mut buffer = [0u8; 8192];
        while self.output_open {
            match read(&self.master, &mut buffer) {
                Ok(0) => self.output_open = false,
                Ok(length) => {
                    let mut rest = buffer.get(..length).unwrap_or_default();
                    while let Ok(written @ 1..) = write(stdout(), rest) {
                        rest = rest.get(written..).unwrap_or_default();
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // EIO: every process has closed its side.
                Err(_) => self.output_open = false,
            }
        }
    }

    /// Gives the container's terminal the size of ours.
    pub(crate) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(stdin())
            && tcsetwinsize(&self.master, size).is_err()
        {
            // The terminal is gone; so is who would look at its size.
        }
    }

    /// The last output, then our terminal as it was.
    pub(crate) fn finish(mut self) {
        self.carry_output();
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if let Some(before) = &self.before
            && tcsetattr(stdin(), OptionalActions::Now, before).is_err()
        {
            // Our terminal is gone.
        }
    }
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let now = rustix::event::Timespec::default();
    rustix::event::poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
}

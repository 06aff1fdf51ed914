//! A process tree that the monitor looks after: the container, or one exec session.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_base::SessionId;
use berth_base::protocol::Failure;
use berth_base::state::ExitOutcome;
use berth_sys::signal;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::termios::{Winsize, tcsetwinsize};

use super::input::Input;
use super::log::Stream;
use crate::act::terminal::peer;
use crate::session::About;
use crate::wire;

/// The container's own number; sessions count from 1.
pub(super) const CONTAINER: u32 = 0;

/// One unit.
pub(super) struct Unit {
    pub(super) number: u32,
    /// The stage or session stage, until it has reported.
    pub(super) starter: Option<OwnedFd>,
    /// Where a session init reports the end of its main process.
    pub(super) report: Option<OwnedFd>,
    /// Our child: PID 1, or the session init.
    pub(super) child: Option<(Pid, OwnedFd)>,
    pub(super) input: Input,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    /// The master of the terminal.
    pub(super) terminal: Option<OwnedFd>,
    /// A slave of our own, so that a container that closes all of its does not hang us up.
    held_slave: Option<OwnedFd>,
    /// The size a client asked for before there was a terminal: rows, columns.
    early_size: Option<(u16, u16)>,
    pub(super) started: bool,
    pub(super) failure: Option<Failure>,
    pub(super) outcome: Option<ExitOutcome>,
    /// The exec session's name.
    pub(super) id: Option<SessionId>,
    /// What is to be recorded of an exec session once it runs.
    pub(super) about: Option<Box<About>>,
    /// An exec session whose processes end when its client does.
    pub(super) ends_with_client: bool,
}

impl Unit {
    pub(super) const fn new(number: u32) -> Self {
        Self {
            number,
            starter: None,
            report: None,
            child: None,
            input: Input::new(None),
            stdout: None,
            stderr: None,
            terminal: None,
            held_slave: None,
            early_size: None,
            started: false,
            failure: None,
            outcome: None,
            id: None,
            about: None,
            ends_with_client: false,
        }
    }

    /// The sources of output, with the stream each feeds.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        let named = [
            (Stream::Stdout, &self.terminal),
            (Stream::Stdout, &self.stdout),
            (Stream::Stderr, &self.stderr),
        ];
        named
            .into_iter()
            .filter_map(|(stream, fd)| Some((stream, fd.as_ref()?.as_fd())))
    }

    /// Reads a chunk of one stream; `None` when there is nothing now.
    pub(super) fn read(&mut self, stream: Stream, buffer: &mut [u8]) -> Option<usize> {
        let source = match stream {
            Stream::Stderr => &mut self.stderr,
            Stream::Stdout if self.terminal.is_some() => &mut self.terminal,
            Stream::Stdout => &mut self.stdout,
        };
        loop {
            match rustix::io::read(source.as_ref()?, &mut *buffer) {
                Ok(0) => *source = None,
                Ok(length) => return Some(length),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                // EIO: every slave is closed, ours too, and everything was read.
                Err(Errno::IO) => *source = None,
                Err(_) => *source = None,
            }
            return None;
        }
    }

    /// Signals our child through its pidfd; a session init passes it on.
    pub(super) fn signal(&self, number: i32) {
        if let Some((_, pidfd)) = &self.child
            && let Err(error) = signal::pidfd_kill(pidfd.as_fd(), number)
        {
            // ESRCH: it ended; the exit is on its way to the client.
            debug_assert!(error == Errno::SRCH || error == Errno::INVAL, "{error}");
        }
    }

    /// Sets the size of the terminal.
    pub(super) fn resize(&mut self, rows: u16, columns: u16) {
        if self.terminal.is_none() {
            self.early_size = Some((rows, columns));
        }
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        if let Some(master) = &self.terminal
            && tcsetwinsize(master, size).is_err()
        {
            // The terminal is gone with its last process.
        }
    }

    /// Takes the terminal's master: output comes from it, input goes to it.
    pub(super) fn take_terminal(&mut self, master: OwnedFd) -> Result<(), Errno> {
        wire::set_nonblocking(master.as_fd())?;
        self.input = Input::new(Some(rustix::io::fcntl_dupfd_cloexec(&master, 3)?));
        self.held_slave = Some(peer(&master)?);
        self.terminal = Some(master);
        if let Some((rows, columns)) = self.early_size.take() {
            self.resize(rows, columns);
        }
        Ok(())
    }

    /// Lets go of our own slave, so that the last output ends with a hang-up.
    pub(super) fn release_slave(&mut self) {
        self.held_slave = None;
    }

    /// Hears the starter out; see [`StarterSaid`].
    pub(super) fn hear_starter(&mut self) -> StarterSaid {
        let Some(starter) = &self.starter else {
            return StarterSaid::Nothing;
        };
        let Ok((packet, length, descriptor)) = wire::receive(starter.as_fd()) else {
            return StarterSaid::Lost;
        };
        match (
            packet.get(..length).and_then(|p| p.split_first()),
            descriptor,
        ) {
            (Some((&wire::INIT, _)), Some(pidfd)) => StarterSaid::Child(pidfd),
            (Some((&wire::TERMINAL, _)), Some(master)) => StarterSaid::Terminal(master),
            (Some((&wire::RUNNING, _)), _) => StarterSaid::Running,
            (Some((&wire::FAILED, json)), _) => {
                StarterSaid::Failed(serde_json::from_slice(json).ok())
            }
            _ => StarterSaid::Lost,
        }
    }
}

/// What a stage reports.
pub(super) enum StarterSaid {
    Nothing,
    Child(OwnedFd),
    Terminal(OwnedFd),
    Running,
    Failed(Option<Failure>),
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, openpt, unlockpt};
    use rustix::termios::tcgetwinsize;

    #[test]
    fn a_size_that_comes_before_the_terminal_is_kept() {
        let mut unit = Unit::new(CONTAINER);
        unit.resize(31, 97);
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        unlockpt(&master).unwrap();
        unit.take_terminal(master).unwrap();
        let size = tcgetwinsize(unit.terminal.as_ref().unwrap()).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (31, 97));
    }
}

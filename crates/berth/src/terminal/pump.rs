//! The loop: our streams and signals on one side, the monitor on the other.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use berth_base::ErrorClass;
use berth_base::protocol::{Failure as MonitorFailure, MAX_PACKET};
use berth_base::state::ExitOutcome;
use berth_engine::{Packet, Session, SessionError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::input::{Input, Piece};
use super::output::{Output, Stream, Written};
use super::raw::{RawMode, terminal_size};
use super::signals::{Reaction, Signals};
use crate::cli::failure::Failure;

/// After how long a silence the monitor is looked at.
const SILENCE: Timespec = Timespec {
    tv_sec: 3,
    tv_nsec: 0,
};

/// Why the loop ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// The process ended.
    Exited(ExitOutcome),
    /// The monitor could not do what was asked.
    Refused(MonitorFailure),
    /// The connection ended without an exit status.
    Lost,
    /// The user pressed the detach keys.
    Detached,
    /// The reader of standard output is gone.
    OutputClosed,
    /// A signal ended the client.
    Signalled(u8),
    /// The user asked three times.
    GaveUp,
    /// No output is attached, and the input has ended.
    InputEnded,
}

/// Something for the monitor, in order.
enum Message {
    Stdin(Vec<u8>),
    StdinEnd,
    Size,
    /// A size other than ours, so that the next one is a change.
    OtherSize,
    Signal(u8),
}

/// Everything the loop holds across connections.
pub(super) struct Pump<'a> {
    signals: &'a mut Signals,
    raw: Option<&'a RawMode>,
    input: Option<Input>,
    output: Output,
    /// Sends a signal past the connection; false where that cannot be.
    direct: &'a dyn Fn(u8) -> bool,
    /// Whether the monitor can still be waited for, asked after a silence.
    check: Option<&'a dyn Fn() -> Result<(), Failure>>,
    outgoing: VecDeque<Message>,
    packet: Vec<u8>,
    /// Once set, the loop ends as soon as what came before it is sent.
    leaving: bool,
}

/// Which descriptors are ready.
struct Ready {
    /// Nothing is, and nothing was for some time.
    silent: bool,
    signals: bool,
    readable: bool,
    writable: bool,
    input: bool,
    output: bool,
}

impl<'a> Pump<'a> {
    /// Joins the streams; `input` is absent where standard input is not attached.
    pub(super) fn new(
        signals: &'a mut Signals,
        raw: Option<&'a RawMode>,
        input: Option<Input>,
        output: Output,
        direct: &'a dyn Fn(u8) -> bool,
    ) -> Self {
        Self {
            signals,
            raw,
            input,
            output,
            direct,
            check: None,
            outgoing: VecDeque::new(),
            packet: vec![0; MAX_PACKET],
            leaving: false,
        }
    }

    /// Has the monitor checked whenever nothing has happened for some seconds: one that is stopped
    /// would leave us waiting for ever.
    pub(super) fn check_by(&mut self, check: &'a dyn Fn() -> Result<(), Failure>) {
        self.check = Some(check);
    }

    /// Tells a process that ran before us the size of our terminal, in two steps: a program that
    /// draws the whole screen draws it anew for a size that is another one only.
    pub(super) fn announce_size(&mut self) {
        self.outgoing.push_back(Message::OtherSize);
        self.outgoing.push_back(Message::Size);
    }

    /// Tells a new monitor what the old one was told: the size of our terminal, and that standard
    /// input has ended.
    pub(super) fn repeat_state(&mut self) {
        self.outgoing.clear();
        if self.raw.is_some() {
            self.outgoing.push_back(Message::Size);
        }
        if self.input.as_ref().is_some_and(|input| !input.is_open()) {
            self.outgoing.push_back(Message::StdinEnd);
        }
    }

    /// Runs until there is a reason to stop. May be called again with a new connection.
    pub(super) fn run(&mut self, session: &Session) -> Result<Stop, Failure> {
        loop {
            if self.outgoing.is_empty() {
                if self.leaving {
                    return Ok(Stop::Detached);
                }
                if !self.output.is_shown() && self.input.as_ref().is_none_or(|i| !i.is_open()) {
                    return Ok(Stop::InputEnded);
                }
            }
            let ready = self.wait(session)?;
            if ready.silent
                && let Some(check) = self.check
            {
                check()?;
            }
            if ready.signals
                && let Some(stop) = self.take_signals()
            {
                return Ok(stop);
            }
            if ready.output
                && let Some(stop) = self.write_output()?
            {
                return Ok(stop);
            }
            if ready.writable {
                self.send(session);
            }
            if ready.readable
                && let Some(stop) = self.receive(session)?
            {
                return Ok(stop);
            }
            if ready.input {
                self.read_input();
            }
        }
    }

    /// Waits until something can be done. A source is not polled while its sink is full: that is
    /// the back-pressure.
    fn wait(&self, session: &Session) -> Result<Ready, Failure> {
        let pending = self.output.pending();
        let input = self.input.as_ref().filter(|input| input.is_open());
        let input = input.filter(|_| self.outgoing.is_empty() && !self.leaving);
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, pending.is_none());
        wanted.set(PollFlags::OUT, !self.outgoing.is_empty());
        let mut fds = Vec::with_capacity(4);
        fds.push(PollFd::new(self.signals.descriptor(), PollFlags::IN));
        let session_at = fds.len();
        // poll(2) reports a hang-up even where no event is asked for: leave it out while neither
        // is wanted, lest the loop spins.
        if !wanted.is_empty() {
            fds.push(PollFd::from_borrowed_fd(session.as_fd(), wanted));
        }
        let output_at = fds.len();
        if let Some(sink) = pending {
            fds.push(PollFd::from_borrowed_fd(sink, PollFlags::OUT));
        }
        let input_at = fds.len();
        if let Some(input) = input {
            fds.push(PollFd::new(input, PollFlags::IN));
        }
        let timeout = self.check.map(|_| &SILENCE);
        let silent = match poll(&mut fds, timeout) {
            Ok(ready) => ready == 0,
            Err(rustix::io::Errno::INTR) => false,
            Err(error) => {
                return Err(Failure::new(
                    ErrorClass::Internal,
                    format!("cannot wait for streams: {}", io::Error::from(error)),
                ));
            }
        };
        let events = |at: usize| fds.get(at).map_or(PollFlags::empty(), PollFd::revents);
        let failed = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        let session_events = if wanted.is_empty() {
            PollFlags::empty()
        } else {
            events(session_at)
        };
        Ok(Ready {
            silent,
            signals: events(0).contains(PollFlags::IN),
            readable: pending.is_none() && session_events.intersects(PollFlags::IN | failed),
            writable: session_events.intersects(PollFlags::OUT | failed),
            output: pending.is_some() && !events(output_at).is_empty(),
            input: input.is_some() && !events(input_at).is_empty(),
        })
    }

    fn take_signals(&mut self) -> Option<Stop> {
        while let Some(reaction) = self.signals.next() {
            match reaction {
                Reaction::Forward(signal) => {
                    if !(self.direct)(signal) {
                        self.outgoing.push_back(Message::Signal(signal));
                    }
                }
                Reaction::Resize => self.outgoing.push_back(Message::Size),
                Reaction::Resume => {
                    if let Some(raw) = self.raw {
                        raw.resume();
                    }
                    self.outgoing.push_back(Message::Size);
                }
                Reaction::End(signal) => return Some(Stop::Signalled(signal)),
                Reaction::GiveUp => return Some(Stop::GaveUp),
                Reaction::Ignore => {}
            }
        }
        None
    }

    fn write_output(&mut self) -> Result<Option<Stop>, Failure> {
        match self.output.write() {
            Written::Progress => Ok(None),
            Written::Closed => Ok(Some(Stop::OutputClosed)),
            Written::Failed(errno) => Err(Failure::new(
                ErrorClass::Unavailable,
                format!(
                    "cannot write the container's output: {}",
                    io::Error::from(errno)
                ),
            )),
        }
    }

    /// Sends one message. A connection that does not take it is found out by receiving: what the
    /// monitor said last may still be there.
    fn send(&mut self, session: &Session) {
        let Some(message) = self.outgoing.pop_front() else {
            return;
        };
        let sent = match message {
            Message::Stdin(bytes) => session.send_stdin(&bytes),
            Message::StdinEnd => session.send_stdin_eof(),
            Message::Signal(signal) => session.send_signal(signal),
            Message::Size | Message::OtherSize => {
                let (rows, columns) = terminal_size();
                let more = u16::from(matches!(message, Message::OtherSize));
                session.send_resize(rows.saturating_add(more), columns.saturating_add(more))
            }
        };
        if sent.is_err() {
            self.outgoing.clear();
        }
    }

    fn receive(&mut self, session: &Session) -> Result<Option<Stop>, Failure> {
        let packet = match session.receive(&mut self.packet) {
            Ok(packet) => packet,
            Err(SessionError::Broken(_)) => return Ok(Some(Stop::Lost)),
            Err(error) => return Err(error.into()),
        };
        Ok(match packet {
            Packet::Stdout(bytes) => {
                self.output.put(Stream::Out, bytes);
                None
            }
            Packet::Stderr(bytes) => {
                self.output.put(Stream::Error, bytes);
                None
            }
            Packet::Skipped(bytes) => {
                let note = format!(
                    "\r\nberth: {bytes} bytes of output are left out here: this client did not take them in time; \"berth logs\" has them\r\n"
                );
                self.output.put(Stream::Error, note.as_bytes());
                None
            }
            Packet::Started(_) => None,
            Packet::Exited(outcome) => Some(Stop::Exited(outcome)),
            Packet::Failed(failure) => Some(Stop::Refused(failure)),
            Packet::Lost => Some(Stop::Lost),
        })
    }

    fn read_input(&mut self) {
        let Some(input) = self.input.as_mut() else {
            return;
        };
        let bytes = match input.read() {
            Piece::Bytes(bytes) => bytes,
            Piece::End => {
                self.outgoing.push_back(Message::StdinEnd);
                return;
            }
            Piece::Detach(bytes) => {
                self.leaving = true;
                bytes
            }
        };
        if !bytes.is_empty() {
            self.outgoing.push_back(Message::Stdin(bytes));
        }
    }
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;

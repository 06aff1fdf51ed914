//! Attaching, and attaching again when a monitor dies.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use berth_base::state::ExitOutcome;
use berth_base::{ContainerId, ErrorClass};
use berth_engine::{Engine, EventObject, Session};

use super::input::Input;
use super::output::Output;
use super::pump::{Pump, Stop};
use super::raw::RawMode;
use super::signals::Signals;
use crate::cli::failure::{Console, ErrorFormat, Failure};

/// How long a keeper may take to put a new monitor in the place of a dead one.
const TAKEOVER: Duration = Duration::from_secs(2);
/// Pause between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(20);

/// What is attached, and how.
pub(crate) struct Attachment<'a> {
    /// The engine, to reconnect with.
    pub(crate) engine: &'a Engine,
    /// The container.
    pub(crate) id: &'a ContainerId,
    /// Whether standard input goes along.
    pub(crate) stdin: bool,
    /// Whether its standard output and its standard error are shown.
    pub(crate) output: Shown,
    /// Whether the process ran before, and is to hear of the size of our terminal.
    pub(crate) joins: bool,
    /// Whether the process has a terminal and so do we: keys pass as they are.
    pub(crate) raw: bool,
    /// Keys that detach, where the process has a terminal.
    pub(crate) detach_keys: Vec<u8>,
    /// The session is the container's first process, which a keeper saves; exec sessions cannot
    /// be joined again.
    pub(crate) first_process: bool,
}

/// Which of its output is shown; the rest is read and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Shown {
    /// Both.
    pub(crate) const ALL: Self = Self {
        stdout: true,
        stderr: true,
    };

    /// Whether there is any.
    pub(crate) const fn any(self) -> bool {
        self.stdout || self.stderr
    }
}

/// How an attached session ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process ended.
    Exited(ExitOutcome),
    /// The user detached; the process goes on.
    Detached,
    /// The reader of our output left; the process goes on.
    OutputClosed,
    /// A signal ended the client; the process goes on.
    Signalled(u8),
    /// The user asked three times in vain; the process goes on.
    GaveUp,
    /// Nothing but standard input was attached, and that ended.
    InputEnded,
}

impl End {
    /// The client's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Exited(outcome) => outcome.shell_code(),
            Self::Detached | Self::InputEnded => 0,
            // As a shell shows death by SIGPIPE.
            Self::OutputClosed => 128 + 13,
            Self::Signalled(signal) => 128u8.saturating_add(*signal),
            Self::GaveUp => 1,
        }
    }
}

/// Moves streams and signals until there is an end. The connection stays open: a monitor takes
/// its end for our leave to remove the container.
pub(crate) fn attach(
    attachment: &Attachment<'_>,
    session: &mut Session,
    signals: &mut Signals,
) -> Result<End, Failure> {
    // Restored when this function is left, whichever way.
    let raw = attachment.raw.then(RawMode::enter).transpose()?;
    let input = match attachment.stdin {
        true => Some(Input::new(
            own(io::stdin())?,
            attachment.detach_keys.clone(),
        )),
        false => None,
    };
    let output = Output::new(own(io::stdout())?, own(io::stderr())?, attachment.output);
    // Past what waits to be read: input that nobody takes must not hold up a signal.
    let direct = |signal: u8| {
        attachment.first_process && attachment.engine.kill(attachment.id, signal.into()).is_ok()
    };
    let mut pump = Pump::new(signals, raw.as_ref(), input, output, &direct);
    let check = || Ok(attachment.engine.check_monitor(attachment.id)?);
    pump.check_by(&check);
    if attachment.joins && attachment.raw {
        pump.announce_size();
    }
    loop {
        match pump.run(session)? {
            Stop::Exited(outcome) => return Ok(End::Exited(outcome)),
            Stop::Detached => {
                note_detached(attachment, session);
                return Ok(End::Detached);
            }
            Stop::OutputClosed => return Ok(End::OutputClosed),
            Stop::Signalled(signal) => return Ok(End::Signalled(signal)),
            Stop::GaveUp => return Ok(End::GaveUp),
            Stop::InputEnded => return Ok(End::InputEnded),
            Stop::Refused(failure) => {
                return Err(Failure {
                    exit_code: Some(failure.exit_code),
                    ..Failure::new(failure.class, failure.message)
                }
                .on(attachment.id.short()));
            }
            Stop::Lost if !attachment.first_process => {
                return Err(Failure::new(
                    ErrorClass::Unavailable,
                    format!(
                        "the monitor of container {} ended; the command may still run: see \"berth top {0}\"",
                        attachment.id.short()
                    ),
                )
                .on(attachment.id.short()));
            }
            Stop::Lost => match reconnect(attachment) {
                Some(again) => {
                    *session = again;
                    pump.repeat_state();
                }
                None => return cut_off(attachment),
            },
        }
    }
}

/// Leaving an exec session is another event than leaving the container.
fn note_detached(attachment: &Attachment<'_>, session: &Session) {
    let engine = attachment.engine;
    match (engine.inspect(attachment.id), attachment.first_process) {
        (Ok(container), true) => engine.note(EventObject::Container(&container), "detach"),
        (Ok(container), false) => engine.note_exec_detached(&container, session),
        // It was removed meanwhile.
        (Err(_), _) => {}
    }
}

/// The container ended while we were not looking, or took too little: its exit code is on record.
fn cut_off(attachment: &Attachment<'_>) -> Result<End, Failure> {
    let id = attachment.id.short();
    match attachment.engine.wait(attachment.id) {
        Ok(exit) => {
            Console::new(ErrorFormat::Text).warn(&format!(
                "container {id} ended before this client had taken all of its output; \"berth logs {id}\" has it"
            ));
            Ok(End::Exited(exit.outcome))
        }
        Err(error) if error.class == ErrorClass::NotFound => Err(Failure::new(
            ErrorClass::NotFound,
            format!(
                "container {id} ended and was removed before this client had taken all of its output and its exit code"
            ),
        )
        .on(id)),
        Err(error) => Err(error.into()),
    }
}

/// A descriptor of our own for a standard stream.
fn own(stream: impl AsFd) -> Result<OwnedFd, Failure> {
    rustix::io::fcntl_dupfd_cloexec(stream, 3).map_err(|error| {
        Failure::new(
            ErrorClass::Unavailable,
            format!("cannot use a standard stream: {}", io::Error::from(error)),
        )
    })
}

/// Joins the streams again once the keeper has a new monitor; `None` when the container has ended
/// or nobody takes over.
fn reconnect(attachment: &Attachment<'_>) -> Option<Session> {
    let deadline = Instant::now() + TAKEOVER;
    while Instant::now() < deadline {
        if let Ok(session) = attachment
            .engine
            .attach_again(attachment.id, attachment.stdin)
        {
            return Some(session);
        }
        if let Ok(Some(_)) = attachment.engine.last_exit(attachment.id) {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
    None
}

//! What happens on the host, as it happens.
//!
//! An ordered table of sources, as `processes` has one: BPF programs, then the process connector,
//! then nothing, which always works. A reader is told of processes of its own PID namespace, and
//! of threads only where they change a process.
//!
//! | Module | Does |
//! |---|---|
//! | `bpf`, `program`, `record` | attaches programs, assembles them, reads what they write |
//! | `connector`, `message` | listens to the process connector, reads what it says |
//! | `clock` | from the kernel's clocks to the reader's |

mod bpf;
mod clock;
mod connector;
mod message;
mod program;
mod record;

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Sources;
use crate::live::{Event, EventSource};
use bpf::BpfEvents;
use connector::Connector;

/// The least time from one drain to the next wake-up: what happens at once is told at once, what
/// goes on and on costs 50 wake-ups a second.
const PACE: Duration = Duration::from_millis(20);

/// One host's events. Dropping it ends them.
pub(crate) struct EventReader {
    source: Opened,
    drained: Option<Instant>,
}

/// Where events come from.
enum Opened {
    Bpf(BpfEvents),
    Connector(Connector),
    Nothing,
}

/// Why [`EventReader::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// There are events.
    Events,
    /// The caller's descriptor is readable; there may be events as well.
    Asked,
    /// Nothing happened for so long, or a signal came.
    Nothing,
}

/// How a note begins that tells of no fault but of what watching costs others.
pub(crate) const COST: &str = "cost: ";

/// Opens a source; the notes say what of it does not work. Fails with the reason.
type Open = fn(&Sources) -> Result<(Opened, Vec<String>), String>;

/// The sources, the best first, and what each is called.
const SOURCES: [(&str, Open); 2] = [("BPF", open_bpf), ("the process connector", open_connector)];

impl EventReader {
    /// Opens the best source that works. The notes say what does not, one line each.
    pub(crate) fn open(sources: &Sources) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        for (name, open) in SOURCES {
            match open(sources) {
                Ok((source, missing)) => {
                    notes.extend(missing);
                    return (Self::of(source), notes);
                }
                Err(why) => notes.push(format!("no events from {name}: {why}")),
            }
        }
        (Self::of(Opened::Nothing), notes)
    }

    fn of(source: Opened) -> Self {
        Self {
            source,
            drained: None,
        }
    }

    /// Where events come from.
    pub(crate) fn source(&self) -> EventSource {
        match &self.source {
            Opened::Bpf(_) => EventSource::Bpf,
            Opened::Connector(_) => EventSource::Connector,
            Opened::Nothing => EventSource::Snapshots,
        }
    }

    /// Waits for events, at most so long, or until the caller's descriptor is readable. After a
    /// drain, events are let gather for 20 ms.
    pub(crate) fn wait(&self, patience: Duration, wake: Option<BorrowedFd<'_>>) -> Wake {
        let deadline = Instant::now().checked_add(patience);
        let left = || deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let next = self.drained.and_then(|drained| drained.checked_add(PACE));
        let pause = next.map_or(Duration::ZERO, |next| {
            next.saturating_duration_since(Instant::now())
        });
        if !pause.is_zero() {
            let pause = left().map_or(pause, |left| left.min(pause));
            if wait_for(&[wake], Some(pause)) == Some(0) {
                return Wake::Asked;
            }
        }
        let own = match &self.source {
            Opened::Bpf(events) => Some(events.descriptor()),
            Opened::Connector(connector) => Some(connector.descriptor()),
            Opened::Nothing => None,
        };
        let is_unfinished = match &self.source {
            Opened::Connector(connector) => connector.is_waiting(),
            Opened::Bpf(_) | Opened::Nothing => false,
        };
        let mut left = left();
        if is_unfinished {
            left = Some(left.map_or(PACE, |left| left.min(PACE)));
        }
        match wait_for(&[wake, own], left) {
            Some(0) => Wake::Asked,
            Some(_) => Wake::Events,
            None if is_unfinished => Wake::Events,
            None => Wake::Nothing,
        }
    }

    /// Appends what happened since the last call, in order of time; what two processors do within
    /// microseconds may be in two calls in the wrong order. Returns how many events were lost
    /// since the last call, since the kernel had no room for them.
    pub(crate) fn drain(&mut self, events: &mut Vec<Event>) -> u64 {
        self.drained = Some(Instant::now());
        match &mut self.source {
            Opened::Bpf(bpf) => bpf.drain(events),
            Opened::Connector(connector) => connector.drain(events),
            Opened::Nothing => 0,
        }
    }
}

fn open_bpf(sources: &Sources) -> Result<(Opened, Vec<String>), String> {
    match BpfEvents::open(sources) {
        Ok((events, notes)) => Ok((Opened::Bpf(events), notes)),
        Err(why) => Err(why.to_string()),
    }
}

fn open_connector(sources: &Sources) -> Result<(Opened, Vec<String>), String> {
    let connector = Connector::open(sources).map_err(|why| why.to_string())?;
    let note =
        "moves between cgroups, setns(2) and unshare(2) are not told by the process connector";
    Ok((Opened::Connector(connector), vec![note.to_owned()]))
}

/// Which of these is readable first; `None` when none was for so long.
fn wait_for(fds: &[Option<BorrowedFd<'_>>], patience: Option<Duration>) -> Option<usize> {
    let open = fds.iter().enumerate();
    let open: Vec<_> = open.filter_map(|(at, fd)| Some((at, (*fd)?))).collect();
    let polled = open.iter();
    let mut polled: Vec<PollFd<'_>> = polled
        .map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    // One that is too long to be told is forever.
    let patience = patience.and_then(|p| Timespec::try_from(p).ok());
    // A signal ends the waiting as time does.
    poll(&mut polled, patience.as_ref()).ok()?;
    let ready = polled.iter().position(|fd| !fd.revents().is_empty())?;
    open.get(ready).map(|(at, _)| *at)
}

#[cfg(test)]
mod tests;

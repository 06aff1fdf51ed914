//! The process that looks after a container, as seen from outside: the monitor is the parent of the
//! container's first process.
//!
//! Somebody may have stopped it (SIGSTOP, a debugger). What needs no monitor goes on; what does says
//! so after some seconds; who ends the container lets it go on, since it alone can reap.

use std::time::Duration;

use berth_base::state::RunFile;
use berth_base::{ContainerId, ErrorClass, HostPid};

use crate::process::{Process, identify};
use crate::session::SessionError;
use crate::{Container, Engine, EngineError};

/// SIGCONT.
const CONTINUE: i32 = 18;
/// How long a monitor may be silent that is stopped.
const STOPPED_FOR: Duration = Duration::from_secs(3);
/// How long any may: one that is not stopped has much to do, or hangs.
const SILENT_FOR: Duration = Duration::from_secs(20);

/// A monitor at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caretaker {
    pub(crate) pid: HostPid,
    state: char,
}

impl Caretaker {
    /// Who looks after a run; `None` where nobody does.
    pub(crate) fn of(run: &RunFile) -> Option<Self> {
        let (_, parent) = stat(run.init.pid)?;
        let comm = comm(parent)?;
        // An orphan's parent is a stranger.
        if !is_name(comm.trim_end()) {
            return None;
        }
        let (state, _) = stat(parent)?;
        Some(Self { pid: parent, state })
    }

    /// Stopped by a signal, or by a debugger.
    const fn is_stopped(self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// Whether a process is called as keepers and monitors are.
pub(crate) fn is_name(comm: &str) -> bool {
    matches!(comm, "berth-monitor" | "berth-keeper")
}

/// Whether a container's monitor is to be given up after such a silence.
pub(crate) fn is_hopeless(container: &Container, silent_for: Duration) -> bool {
    let caretaker = container.live.as_ref().and_then(Caretaker::of);
    silent_for >= SILENT_FOR
        || (silent_for >= STOPPED_FOR && caretaker.is_none_or(Caretaker::is_stopped))
}

/// Lets keeper and monitor of a run go on, should they be stopped: only they can reap what ends.
pub(crate) fn wake(run: &RunFile) {
    let caretaker = Caretaker::of(run).map(|caretaker| caretaker.pid);
    let keeper = stat(run.keeper).and_then(|_| {
        let comm = comm(run.keeper)?;
        comm.starts_with("berth-").then_some(run.keeper)
    });
    for pid in [keeper, caretaker].into_iter().flatten() {
        let is_stopped = || stat(pid).is_some_and(|(state, _)| state == 'T');
        // Held first, looked at then: nobody else is meant.
        let held = identify(pid).and_then(|identity| Process::open(&identity));
        if let Some(process) = held.filter(|_| is_stopped())
            && process.signal(CONTINUE).is_err()
        {
            // Another user's: whoever waits for it says so in time.
        }
    }
}

impl Engine {
    /// For who waits for a container's monitor and has heard nothing for some seconds. A stopped one
    /// whose container has ended goes on: it alone can reap.
    ///
    /// # Errors
    /// It is stopped while its container lives.
    pub fn check_monitor(&self, id: &ContainerId) -> Result<(), EngineError> {
        // One that is gone or damaged is found out by its connection.
        let Ok(view) = self.view(id) else {
            return Ok(());
        };
        let Some(run) = &view.last_run else {
            return Ok(());
        };
        if !Caretaker::of(run).is_some_and(Caretaker::is_stopped) {
            return Ok(());
        }
        if view.process.is_none() {
            wake(run);
            return Ok(());
        }
        Err(unreachable(&view.container, &SessionError::Silent))
    }
}

/// Why the monitor of a container cannot be spoken to.
pub(crate) fn unreachable(container: &Container, error: &SessionError) -> EngineError {
    let name = &container.name;
    let caretaker = container.live.as_ref().and_then(Caretaker::of);
    let text = match (error, caretaker) {
        (SessionError::Silent, Some(caretaker)) if caretaker.is_stopped() => format!(
            "the monitor of container {name}, process {0}, does not answer: it is stopped; let it \
             go on with \"kill -CONT {0}\", or end the container with \"berth stop {name}\"",
            caretaker.pid
        ),
        (SessionError::Silent, Some(caretaker)) => format!(
            "the monitor of container {name}, process {}, does not answer (its state is {}); try \
             again, or end the container with \"berth stop {name}\"",
            caretaker.pid, caretaker.state
        ),
        (SessionError::Refused(failure), _) => failure.message.clone(),
        (SessionError::Version(_), _) => {
            format!("cannot speak to the monitor of container {name}: {error}")
        }
        _ => format!(
            "cannot reach the monitor of container {name}: {error}; its keeper is gone as well, \
             stop it with \"berth stop {name}\""
        ),
    };
    EngineError::new(ErrorClass::Unavailable, text).on(name.as_str())
}

fn comm(pid: HostPid) -> Option<String> {
    // by path: procfs of the host
    std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()
}

/// State and parent, fields 3 and 4 of /proc/PID/stat.
fn stat(pid: HostPid) -> Option<(char, HostPid)> {
    // by path: procfs of the host
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&stat)
}

fn parse(stat: &[u8]) -> Option<(char, HostPid)> {
    let comm_end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(comm_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, HostPid::new(fields.next()?.parse().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_parent_are_found_behind_a_hostile_comm() {
        let (state, parent) = parse(b"7 (a) R 1 (b) T 31 2 3").unwrap();
        assert_eq!((state, parent.get()), ('T', 31));
    }
}

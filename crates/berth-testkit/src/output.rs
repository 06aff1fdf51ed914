//! Commands with an end: what they said, and when they are given up on.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::reaper;

/// How long anything may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a finished command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; of a command that a signal ended, the signal's number negated.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Output {
    /// The same, if the command succeeded.
    ///
    /// # Panics
    /// It did not; with all that it said.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.code == 0, "the command failed: {self:#?}");
        self
    }

    /// The standard error of a command that must fail.
    ///
    /// # Panics
    /// It succeeded, or a signal ended it.
    #[must_use]
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(self.code > 0, "the command was to be refused: {self:#?}");
        self.err
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Standard output without white space at its ends.
    #[must_use]
    pub fn text(&self) -> &str {
        self.out.trim()
    }
}

/// Waits for a child, which is killed when it takes longer than [`PATIENCE`].
///
/// # Panics
/// It took too long.
#[track_caller]
pub fn finish(child: &mut Child) -> i32 {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = pidfd_open(pid.expect("a PID"), PidfdFlags::empty()).expect("open a pidfd");
    if !reaper::ends_within(&pidfd, PATIENCE) {
        drop(child.kill());
        drop(child.wait());
        panic!("a command took longer than {PATIENCE:?} and was killed");
    }
    code(child.wait().expect("wait for a child"))
}

/// The exit code of a status; of an end by a signal, the signal negated.
pub(crate) fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| -status.signal().unwrap_or(0))
}

/// Asks until there is an answer, for at most [`PATIENCE`].
///
/// # Panics
/// There was none.
#[track_caller]
pub fn soon<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

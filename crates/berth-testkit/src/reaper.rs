//! The part of a shim that is a parent: containers' first processes come to this process when the
//! runtime's command ends, and it reaps them by number.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, pidfd_open,
    pidfd_send_signal, set_child_subreaper, waitid, waitpid,
};

use crate::output::PATIENCE;

/// Makes this process the reaper of what its children leave behind.
pub fn become_subreaper() {
    set_child_subreaper(Some(getpid())).expect("become a subreaper");
}

fn pidfd(pid: i32) -> Result<OwnedFd, Errno> {
    pidfd_open(Pid::from_raw(pid).expect("a PID"), PidfdFlags::empty())
}

pub(crate) fn ends_within(pidfd: &OwnedFd, limit: Duration) -> bool {
    let timeout = Timespec::try_from(limit).expect("a short time");
    let mut interest = [PollFd::new(pidfd, PollFlags::IN)];
    loop {
        match poll(&mut interest, Some(&timeout)) {
            Ok(count) => return count > 0,
            Err(Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// Waits for the end of a process that was left to us, and reaps it: the exit code, or the signal
/// negated.
///
/// # Panics
/// It is not our child, or does not end within [`PATIENCE`].
#[track_caller]
pub fn reap(pid: i32) -> i32 {
    let pidfd = pidfd(pid).unwrap_or_else(|error| panic!("PID {pid}: {error}"));
    assert!(
        ends_within(&pidfd, PATIENCE),
        "PID {pid} did not end within {PATIENCE:?}"
    );
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
        .unwrap_or_else(|error| panic!("PID {pid} is no child of the test: {error}"))
        .expect("a status");
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => -signal,
        (None, None) => panic!("PID {pid} did not end: {status:?}"),
    }
}

/// Reaps a process if it ended; says nothing otherwise. For cleaning up.
pub(crate) fn reap_if_ended(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        waitpid(Some(pid), WaitOptions::NOHANG).ok();
    }
}

/// Whether a process ends within [`PATIENCE`]; it stays a zombie if it is our child.
#[must_use]
pub fn ended(pid: i32) -> bool {
    match pidfd(pid) {
        Ok(pidfd) => ends_within(&pidfd, PATIENCE),
        Err(_) => true,
    }
}

/// Whether a process runs now; a zombie does not.
#[must_use]
pub fn is_running(pid: i32) -> bool {
    pidfd(pid).is_ok_and(|pidfd| !ends_within(&pidfd, Duration::ZERO))
}

/// Sends a signal to a process of the test's own; it need not run any more.
pub fn kill(pid: i32, signal: Signal) {
    if let Ok(pidfd) = pidfd(pid) {
        pidfd_send_signal(&pidfd, signal).ok();
    }
}

//! `kill`: signals through pidfds.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use berth_base::ErrorClass;
use berth_sys::signal::pidfd_kill;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::container::{Container, Init};
use super::state::Status;
use super::{Outcome, cannot, fail};

/// SIGKILL on every architecture.
pub(crate) const SIGKILL: i32 = 9;

/// Sends a signal to the first process, or to all with `--all`.
pub(crate) fn kill(container: &Container, signal: i32, everyone: bool) -> Outcome {
    if everyone {
        return kill_all(container, signal);
    }
    let init = match container.status() {
        Status::Stopped => None,
        _ => container.init(),
    };
    let Some(init) = init else {
        return Err(not_running());
    };
    match pidfd_kill(init.pidfd.as_fd(), signal) {
        Ok(()) => {}
        Err(Errno::SRCH) => return Err(not_running()),
        Err(errno) => return Err(cannot(&format!("send signal {signal}"), errno)),
    }
    if signal == SIGKILL && !container.state.own_pid_namespace {
        // Nobody else ends what the first process leaves behind.
        return kill_all(container, signal);
    }
    if signal == SIGKILL {
        thaw(container)?;
    }
    Ok(())
}

fn not_running() -> berth_base::protocol::Failure {
    fail(
        ErrorClass::Conflict,
        "container not running: its first process has ended",
    )
}

/// Every process of the container's cgroups; a container without any has its first process.
fn kill_all(container: &Container, signal: i32) -> Outcome {
    let cgroup = container.cgroup();
    if cgroup.is_nowhere() {
        return match container.init() {
            Some(init) => pidfd_kill(init.pidfd.as_fd(), signal)
                .map_err(|e| cannot(&format!("send signal {signal}"), e)),
            None => Ok(()),
        };
    }
    let failed = |e: crate::cgroup::CgroupError| fail(e.class(), e.to_string());
    if signal == SIGKILL {
        return cgroup.end(Instant::now() + PATIENCE).map_err(failed);
    }
    for pid in cgroup.processes().map_err(failed)? {
        let Some(raw) = i32::try_from(pid.get()).ok().and_then(Pid::from_raw) else {
            continue;
        };
        let Ok(pidfd) = pidfd_open(raw, PidfdFlags::empty()) else {
            continue;
        };
        // Its number may have passed to another process before the pidfd was opened.
        if !cgroup.processes().map_err(failed)?.contains(&pid) {
            continue;
        }
        match pidfd_kill(pidfd.as_fd(), signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(cannot(&format!("send signal {signal} to {pid}"), errno)),
        }
    }
    Ok(())
}

/// A frozen process dies only once it is thawed.
fn thaw(container: &Container) -> Outcome {
    let cgroup = container.cgroup();
    if cgroup.is_nowhere() {
        return Ok(());
    }
    cgroup.thaw().map_err(|e| fail(e.class(), e.to_string()))
}

/// Ends the first process and waits until it has; false when the time is over.
pub(crate) fn end(container: &Container, init: &Init, deadline: Instant) -> Outcome<bool> {
    match pidfd_kill(init.pidfd.as_fd(), SIGKILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(errno) => return Err(cannot("end the first process", errno)),
    }
    thaw(container)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut polled = [PollFd::from_borrowed_fd(init.pidfd.as_fd(), PollFlags::IN)];
        match poll(&mut polled, Some(&limit)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(cannot("wait for the first process", errno)),
        }
    }
}

/// How long `delete --force` and `kill --all KILL` wait for processes to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

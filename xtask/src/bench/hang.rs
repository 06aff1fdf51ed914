//! Waiting with a limit, and ending what a program that hung has left.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};

use crate::failure::{Failure, Outcome};

/// How long what was killed may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Waits until a child of ours has ended, which leaves it to be reaped; whether it did in time.
///
/// # Errors
/// There is no such child.
pub(super) fn wait_until(pid: Pid, limit: Duration) -> Outcome<bool> {
    let failure = |error| Failure::new(format!("cannot wait for PID {pid:?}: {error}"));
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(failure)?;
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| failure(Errno::INVAL))?;
        // A pidfd is readable once its process has ended (pidfd_open(2)).
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(failure(error)),
            Ok(count) => return Ok(count > 0),
        }
    }
}

/// Reaps a child of ours that has ended.
///
/// # Errors
/// There is no such child.
pub(super) fn reap(pid: Pid) -> Outcome {
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            Err(error) => {
                return Err(Failure::new(format!(
                    "cannot wait for PID {pid:?}: {error}"
                )));
            }
            Ok(_) => return Ok(()),
        }
    }
}

/// The children of this process at one time, adopted ones too.
pub(super) struct Children(BTreeSet<i32>);

impl Children {
    /// Lists them, by the files of our threads (proc_pid_task_children, kernel 3.5).
    ///
    /// # Errors
    /// The kernel lacks these files.
    pub(super) fn list() -> Outcome<Self> {
        let failure =
            |error: std::io::Error| Failure::new(format!("cannot list our children: {error}"));
        let mut all = BTreeSet::new();
        for thread in fs::read_dir("/proc/self/task").map_err(failure)? {
            let path = thread.map_err(failure)?.path().join("children");
            match fs::read_to_string(&path) {
                Ok(text) => all.extend(
                    text.split_whitespace()
                        .filter_map(|w| w.parse::<i32>().ok()),
                ),
                // A thread that ended meanwhile.
                Err(_) if !path.parent().is_some_and(std::path::Path::exists) => {}
                Err(error) => return Err(failure(error)),
            }
        }
        Ok(Self(all))
    }

    /// Ends and reaps all children but these, and what becomes our child by that. No thread of ours
    /// may have a child at the time.
    ///
    /// # Errors
    /// Some do not end.
    pub(super) fn end_others(&self) -> Outcome {
        let end = Instant::now() + GRACE;
        loop {
            let now = Self::list()?;
            let others: Vec<Pid> = now
                .0
                .difference(&self.0)
                .filter_map(|pid| Pid::from_raw(*pid))
                .collect();
            if others.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Failure::new(format!(
                    "what a program that hung has left does not end: {others:?}"
                )));
            }
            for pid in others {
                // Ours, and not reaped: the number cannot be another's.
                kill_process(pid, Signal::KILL).map_err(|error| {
                    Failure::new(format!("cannot end the child {pid:?}: {error}"))
                })?;
                if wait_until(pid, GRACE)? {
                    reap(pid)?;
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

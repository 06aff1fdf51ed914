//! Ending everything in a container's cgroups.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::branch::Branch;
use super::error::CgroupError;
use super::processes::pids_below;
use super::walk::{Visit, walk};
use super::{Cgroup, files};
use crate::Survivor;

/// How long v1 may take to stop what is about to be killed.
const KILL_FREEZE: Duration = Duration::from_millis(100);
/// How long a v1 kill goes on against processes that keep appearing.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// How long one round of [`Cgroup::end`] waits before it kills again.
const ROUND: Duration = Duration::from_millis(200);
/// The pause between two rounds of a v1 kill.
const PAUSE: Duration = Duration::from_millis(1);

impl Cgroup {
    /// Sends SIGKILL to every process in the container's cgroup and below. A cgroup that is gone
    /// is no error.
    ///
    /// v2: one write to cgroup.kill (5.14), which also catches processes that are just forking.
    /// v1 alone: freeze for at most 100 ms, SIGKILL each process through a pidfd, thaw, until
    /// none is left or two seconds have passed. Whether all are gone, [`Cgroup::wait_empty`]
    /// tells.
    pub fn kill(&self) -> Result<(), CgroupError> {
        let Some(census) = self.census() else {
            return Err(CgroupError::NoCgroup { verb: "kill" });
        };
        let killed = match &self.v2 {
            Some(branch) => match branch
                .dir()
                .and_then(|dir| files::write_at(dir, "cgroup.kill", "1"))
            {
                Ok(()) => Ok(()),
                Err(Errno::NODEV) => Ok(()),
                // Gone altogether, or a kernel before 5.14.
                Err(Errno::NOENT) => self.kill_each(census),
                Err(errno) => Err(files::access("write", &branch.path, "cgroup.kill")(errno)),
            },
            None => self.kill_each(census),
        };
        // A process that v1 holds frozen does not die: thaw it, whoever froze it.
        killed.and(self.thaw_v1())
    }

    /// Sends SIGKILL to everything in the container's cgroup and below, again and again, until
    /// nothing is left; at the deadline the error names who is.
    ///
    /// Works on a frozen container and on one that shares its PID namespace.
    pub fn end(&self, deadline: Instant) -> Result<(), CgroupError> {
        loop {
            self.kill()?;
            let round = (Instant::now() + ROUND).min(deadline);
            if self.wait_empty(round)? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let path = self.census().map(|branch| branch.path.clone());
                let survivors = self.processes()?.into_iter();
                return Err(CgroupError::Survivors {
                    path: path.unwrap_or_default(),
                    survivors: survivors.filter_map(Survivor::look).collect(),
                });
            }
        }
    }

    fn kill_each(&self, census: &Branch) -> Result<(), CgroupError> {
        let deadline = Instant::now() + KILL_PATIENCE;
        loop {
            let frozen_by = Instant::now() + KILL_FREEZE;
            // Not frozen in time: some may fork on, the next round gets those.
            match self.freeze_until(frozen_by) {
                Ok(()) | Err(CgroupError::NotFrozen { .. }) => {}
                Err(CgroupError::NoCgroup { .. }) => {}
                Err(error) => return Err(error),
            }
            let killed = kill_snapshot(census);
            self.thaw()?;
            let count = killed.map_err(files::access("kill processes of", &census.path, ""))?;
            if count == 0 || Instant::now() >= deadline {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Thaws the v1 freezer and every freezer that the container made below it.
    fn thaw_v1(&self) -> Result<(), CgroupError> {
        let Some(branch) = self.v1_branch("freezer") else {
            return Ok(());
        };
        let thawed = branch.dir().and_then(|dir| {
            walk(dir, &mut |visit| match visit {
                Visit::Enter(dir) => match files::write_at(dir, "freezer.state", "THAWED") {
                    Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(()),
                    Err(errno) => Err(errno),
                },
                Visit::Leave { .. } => Ok(()),
            })
        });
        match thawed {
            Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(()),
            Err(errno) => Err(files::access("write", &branch.path, "freezer.state")(errno)),
        }
    }
}

/// Sends SIGKILL to each process of the cgroup, through a pidfd, and counts them.
///
/// Between reading a PID and opening it, the process may have ended and another got its number:
/// so the list is read again after the pidfd is open, and only a PID that is still in it is
/// signalled.
fn kill_snapshot(census: &Branch) -> Result<usize, Errno> {
    let mut held = Vec::new();
    for pid in pids_below(census)? {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            continue;
        };
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => held.push((pid.as_raw_pid(), pidfd)),
            Err(Errno::SRCH | Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    let still = pids_below(census)?;
    let mut count = 0;
    for (pid, pidfd) in held {
        let is_ours = u32::try_from(pid).is_ok_and(|pid| still.binary_search(&pid).is_ok());
        if !is_ours {
            continue;
        }
        match rustix::process::pidfd_send_signal(pidfd.as_fd(), Signal::KILL) {
            Ok(()) => count += 1,
            Err(Errno::SRCH) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(count)
}

//! Which processes are in a container's cgroups, and whether any is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use berth_base::HostPid;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::branch::Branch;
use super::error::CgroupError;
use super::walk::{Visit, walk};
use super::{Cgroup, files};

/// The first and the longest pause between two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl Cgroup {
    /// The processes in the container's cgroup and in the sub-cgroups it made, sorted.
    ///
    /// Zombies are not among them. Processes that the caller's PID namespace cannot see (the
    /// kernel shows them as 0) are left out. A cgroup that is gone has none.
    pub fn processes(&self) -> Result<Vec<HostPid>, CgroupError> {
        let Some(branch) = self.census() else {
            return Err(CgroupError::NoCgroup {
                verb: "list processes",
            });
        };
        let pids =
            pids_below(branch).map_err(files::access("read", &branch.path, "cgroup.procs"))?;
        Ok(pids.into_iter().filter_map(HostPid::new).collect())
    }

    /// Whether a living process is in the container's cgroup or below; `false` when it is gone.
    ///
    /// v2 tells by `populated` in cgroup.events. Without any cgroup this is an error, not an
    /// answer.
    pub fn is_populated(&self) -> Result<bool, CgroupError> {
        let Some(branch) = self.census() else {
            return Err(CgroupError::NoCgroup {
                verb: "tell whether processes are left",
            });
        };
        if self.v2.is_none() {
            return is_populated_v1(branch);
        }
        match branch.read_if_present("cgroup.events")? {
            None => Ok(false),
            Some(events) => populated(branch, &events),
        }
    }

    /// Waits until no living process is left in the container's cgroup or below, and says whether
    /// that was reached by the deadline.
    pub fn wait_empty(&self, deadline: Instant) -> Result<bool, CgroupError> {
        let mut pause = FIRST_PAUSE;
        let watched = self.watch_events()?;
        loop {
            if !self.is_populated()? {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            match &watched {
                // The kernel delays a repeated notification by up to 10 ms, so also look early.
                Some(events) => self.await_event(events, pause.min(left))?,
                None => std::thread::sleep(pause.min(left)),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens v2's cgroup.events, which becomes POLLPRI-readable when it changes.
    fn watch_events(&self) -> Result<Option<OwnedFd>, CgroupError> {
        let Some(branch) = &self.v2 else {
            return Ok(None);
        };
        let opened = branch.dir().and_then(|dir| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::openat(dir, "cgroup.events", flags, Mode::empty())
        });
        match opened {
            Ok(events) => Ok(Some(events)),
            Err(Errno::NOENT | Errno::NODEV) => Ok(None),
            Err(errno) => Err(files::access("watch", &branch.path, "cgroup.events")(errno)),
        }
    }

    fn await_event(&self, events: &OwnedFd, patience: Duration) -> Result<(), CgroupError> {
        let timeout = Timespec::try_from(patience).unwrap_or(Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        });
        let mut polled = [PollFd::new(events, PollFlags::PRI)];
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => {
                let path = self
                    .v2
                    .as_ref()
                    .map(|branch| branch.path.clone())
                    .unwrap_or_default();
                Err(files::access("watch", &path, "cgroup.events")(errno))
            }
        }
    }
}

fn populated(branch: &Branch, events: &str) -> Result<bool, CgroupError> {
    files::flat_value(events, "populated")
        .map(|value| value != 0)
        .ok_or_else(|| CgroupError::Malformed {
            path: branch.file("cgroup.events"),
            text: events.to_owned(),
        })
}

/// Looks at v1's `tasks` and stops at the first directory that holds any.
fn is_populated_v1(branch: &Branch) -> Result<bool, CgroupError> {
    let dir = match branch.dir() {
        Err(Errno::NOENT) => return Ok(false),
        dir => dir.map_err(files::access("open", &branch.path, ""))?,
    };
    let mut found = false;
    let walked = walk(dir, &mut |visit| match visit {
        Visit::Enter(dir) if !found => {
            found = !read_or_gone(dir, "tasks")?.trim().is_empty();
            Ok(())
        }
        _ => Ok(()),
    });
    match walked {
        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(found),
        Err(errno) => Err(files::access("read", &branch.path, "tasks")(errno)),
    }
}

/// The PIDs in a directory and below, sorted, each once; empty when it is gone.
pub(super) fn pids_below(branch: &Branch) -> Result<Vec<u32>, Errno> {
    let dir = match branch.dir() {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        dir => dir?,
    };
    let mut pids = Vec::new();
    walk(dir, &mut |visit| {
        if let Visit::Enter(dir) = visit {
            // EOPNOTSUPP: a threaded cgroup, whose processes its domain lists.
            match read_or_gone(dir, "cgroup.procs") {
                Err(Errno::OPNOTSUPP) => {}
                text => pids.extend(text?.lines().filter_map(|line| line.parse::<u32>().ok())),
            }
        }
        Ok(())
    })?;
    pids.retain(|pid| *pid != 0);
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

fn read_or_gone(dir: BorrowedFd<'_>, file: &str) -> Result<String, Errno> {
    match files::read_at(dir.as_fd(), file) {
        Err(Errno::NOENT | Errno::NODEV) => Ok(String::new()),
        text => text,
    }
}

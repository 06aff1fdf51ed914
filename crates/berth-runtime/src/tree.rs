//! A tree of processes below a subreaper: an exec session below its session init.
//!
//! No process leaves that tree while the session init lives: orphans come back to it, and the
//! kernel lets nobody choose another parent. The session init ends with its last child, so its own
//! end says that nobody is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use berth_base::HostPid;
use berth_sys::signal::pidfd_kill;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cgroup::Cgroup;

const HANGUP: i32 = 1;
const KILL: i32 = 9;
const CONTINUE: i32 = 18;
/// How long processes have after SIGHUP.
const GRACE: Duration = Duration::from_secs(1);
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(2);
/// After so many rounds the processes are taken to fork faster than they are found.
const ROUNDS_BEFORE_FREEZE: u32 = 25;

/// What /proc says of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Its PID on the host.
    pub pid: HostPid,
    parent: u32,
    start_ticks: u64,
}

/// The processes below a session init that is held by a pidfd.
pub struct Tree<'a> {
    root: HostPid,
    pidfd: BorrowedFd<'a>,
}

impl<'a> Tree<'a> {
    /// The tree below `root`, to which `pidfd` refers.
    pub const fn new(root: HostPid, pidfd: BorrowedFd<'a>) -> Self {
        Self { root, pidfd }
    }

    /// Everybody below the root, in no order.
    pub fn members(&self) -> Vec<Relative> {
        below(self.root, &everybody())
    }

    /// The first child of the root, which is its main process while that lives.
    pub fn first_child(&self) -> Option<HostPid> {
        let all = everybody();
        let children = all.values().filter(|p| p.parent == self.root.get());
        children.min_by_key(|p| p.start_ticks).map(|p| p.pid)
    }

    /// Sends a signal to the first child of the root; one that has ended is no error.
    pub fn signal_first_child(&self, number: i32) -> Result<(), Errno> {
        let all = everybody();
        let children = all.values().filter(|p| p.parent == self.root.get());
        match children.min_by_key(|p| p.start_ticks) {
            Some(first) => signal(first, number),
            None => Ok(()),
        }
    }

    /// Hangs up, gives everybody a second, and kills who is left; see [`Self::kill`].
    pub fn hang_up(&self, cgroup: &Cgroup, deadline: Instant) -> Result<bool, Errno> {
        for member in self.members() {
            signal(&member, HANGUP)?;
            // A stopped process hears nothing until it goes on.
            signal(&member, CONTINUE)?;
        }
        Ok(self.ends_within(GRACE) || self.kill(cgroup, deadline)?)
    }

    /// Kills everybody and says whether nobody was left by the deadline. What forks faster than it
    /// is found is frozen meanwhile, with the rest of its cgroup, for some milliseconds.
    pub fn kill(&self, cgroup: &Cgroup, deadline: Instant) -> Result<bool, Errno> {
        let mut rounds = 0;
        loop {
            rounds += 1;
            let freezes = rounds > ROUNDS_BEFORE_FREEZE && matches!(cgroup.is_frozen(), Ok(false));
            if freezes && cgroup.freeze().is_err() {
                // Without a cgroup there is no better way than to be quick.
            }
            let members = self.members();
            let killed = members.iter().try_for_each(|member| signal(member, KILL));
            if freezes && cgroup.thaw().is_err() {
                // A cgroup that is gone holds nobody.
            }
            killed?;
            if members.is_empty() {
                // It has nothing to do but to reap; somebody inside may have stopped it.
                ignore_gone(pidfd_kill(self.pidfd, CONTINUE))?;
            }
            if self.ends_within(PAUSE) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }

    fn ends_within(&self, span: Duration) -> bool {
        let timeout = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(span.subsec_nanos()),
        };
        let mut polled = [PollFd::from_borrowed_fd(self.pidfd, PollFlags::IN)];
        poll(&mut polled, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }
}

/// Sends a signal to the process that was seen, and to no other that has its PID by now.
fn signal(relative: &Relative, number: i32) -> Result<(), Errno> {
    let Some(pidfd) = hold(relative) else {
        return Ok(());
    };
    ignore_gone(pidfd_kill(pidfd.as_fd(), number))
}

fn hold(relative: &Relative) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(relative.pid.get()).ok()?)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Read after it was opened: the same start time is the same process.
    let now = look(relative.pid)?;
    (now.start_ticks == relative.start_ticks).then_some(pidfd)
}

const fn ignore_gone(sent: Result<(), Errno>) -> Result<(), Errno> {
    match sent {
        Err(Errno::SRCH) => Ok(()),
        other => other,
    }
}

fn everybody() -> BTreeMap<u32, Relative> {
    // by path: procfs of the host
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(HostPid::new)
        .filter_map(|pid| Some((pid.get(), look(pid)?)))
        .collect()
}

fn below(root: HostPid, all: &BTreeMap<u32, Relative>) -> Vec<Relative> {
    let mut children: BTreeMap<u32, Vec<&Relative>> = BTreeMap::new();
    for relative in all.values() {
        children.entry(relative.parent).or_default().push(relative);
    }
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root.get()]);
    let mut next = vec![root.get()];
    while let Some(parent) = next.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            // Read at different moments, the list may have a circle.
            if seen.insert(child.pid.get()) {
                found.push(**child);
                next.push(child.pid.get());
            }
        }
    }
    found
}

/// Parent and start time, fields 4 and 22 of /proc/PID/stat; `None` when it is gone.
fn look(pid: HostPid) -> Option<Relative> {
    // by path: procfs of the host
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &stat)
}

fn parse(pid: HostPid, stat: &[u8]) -> Option<Relative> {
    // comm may hold anything but ends at the last parenthesis.
    let comm_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(comm_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start_ticks = fields.nth(17)?.parse().ok()?;
    Some(Relative {
        pid,
        parent,
        start_ticks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(number: u32) -> HostPid {
        HostPid::new(number).unwrap()
    }

    fn relative(number: u32, parent: u32) -> (u32, Relative) {
        let relative = Relative {
            pid: pid(number),
            parent,
            start_ticks: u64::from(number),
        };
        (number, relative)
    }

    #[test]
    fn a_tree_is_everybody_below_and_ends_where_it_is_a_circle() {
        let all = [
            relative(2, 1),
            relative(3, 2),
            relative(4, 3),
            relative(5, 1),
            relative(6, 4),
            // Two looks that do not fit together.
            relative(2, 6),
        ];
        let mut found: Vec<u32> = below(pid(2), &all.into())
            .iter()
            .map(|r| r.pid.get())
            .collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4, 6]);
    }

    #[test]
    fn parent_and_start_time_are_found_behind_a_hostile_comm() {
        let stat = b"7 (a) R 1 (b) S 31 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 0";
        let seen = parse(pid(7), stat).unwrap();
        assert_eq!((seen.parent, seen.start_ticks), (31, 4242));
    }

    #[test]
    fn a_process_is_signalled_only_while_it_is_the_one_that_was_seen() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let seen = look(pid(child.id())).unwrap();
        assert_eq!(seen.parent, std::process::id());
        let other = Relative {
            start_ticks: seen.start_ticks + 1,
            ..seen
        };
        signal(&other, KILL).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        signal(&seen, KILL).unwrap();
        assert!(!child.wait().unwrap().success());
        signal(&seen, KILL).unwrap();
    }
}

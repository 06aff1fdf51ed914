//! Killing all the processes below one.

use std::os::fd::AsFd as _;

use berth_sys::signal::pidfd_kill;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// SIGKILL and SIGSTOP.
const KILL: i32 = 9;
const STOP: i32 = 19;
/// Whoever forks faster than this many looks is killed as far as it was seen.
const LOOKS: u32 = 64;

/// Kills every descendant of a process that is our child and a subreaper, so that none can leave; it
/// is left to reap them. Whether there was any.
///
/// They are stopped first, from the top down: who is stopped forks nobody.
pub(super) fn kill_below(root: Pid) -> bool {
    let mut stopped = Vec::new();
    for _ in 0..LOOKS {
        if !signal_new(root, STOP, &mut stopped) {
            break;
        }
    }
    let mut killed = Vec::new();
    signal_new(root, KILL, &mut killed);
    !killed.is_empty()
}

/// Signals those that were not signalled before; whether there were any.
fn signal_new(root: Pid, signal: i32, done: &mut Vec<Pid>) -> bool {
    let before = done.len();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            parents.push(child);
            if !done.contains(&child) && signal_child(parent, child, signal) {
                done.push(child);
            }
        }
    }
    done.len() > before
}

/// Signals a process if it still is a child of that parent, through a pidfd.
fn signal_child(parent: Pid, child: Pid, signal: i32) -> bool {
    let Ok(pidfd) = pidfd_open(child, PidfdFlags::empty()) else {
        return false;
    };
    parent_of(child) == Some(parent) && pidfd_kill(pidfd.as_fd(), signal).is_ok()
}

/// The children of all threads of a process (proc_tid_children(5)).
fn children(parent: Pid) -> Vec<Pid> {
    let mut all = Vec::new();
    let threads = std::fs::read_dir(format!("/proc/{}/task", parent.as_raw_nonzero()));
    for thread in threads.into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let numbers = text.split_ascii_whitespace().flat_map(str::parse);
        all.extend(numbers.filter_map(Pid::from_raw));
    }
    all
}

/// Field 4 of /proc/PID/stat; the name before it may hold anything.
fn parent_of(pid: Pid) -> Option<Pid> {
    let text = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    Pid::from_raw(rest.split_ascii_whitespace().nth(1)?.parse().ok()?)
}

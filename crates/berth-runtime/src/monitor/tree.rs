//! Killing all the processes below one, and whether one is about to end.

use std::os::fd::AsFd as _;

use berth_sys::signal::pidfd_kill;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// SIGKILL and SIGSTOP.
const KILL: i32 = 9;
const STOP: i32 = 19;
/// Whoever forks faster than this many looks is killed as far as it was seen.
const LOOKS: u32 = 64;
/// Fields of /proc/PID/stat, and the bit of the flags that says that a process ends (PF_EXITING).
const FLAGS: usize = 9;
const PENDING: usize = 31;
const EXITING: u64 = 4;

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

/// Field 4 of /proc/PID/stat.
fn parent_of(pid: Pid) -> Option<Pid> {
    Pid::from_raw(stat_field(pid, 4)?.parse().ok()?)
}

/// A field of /proc/PID/stat from the third on, counted as in proc_pid_stat(5); the name before them
/// may hold anything.
fn stat_field(pid: Pid, number: usize) -> Option<String> {
    let text = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    let field = rest.split_ascii_whitespace().nth(number.checked_sub(3)?);
    field.map(str::to_owned)
}

/// Whether a process has ended, is ending, or has a SIGKILL before it, save for the moment in which it
/// takes that. The first of a PID namespace is ending before any other process of it is killed with it.
pub(super) fn is_dying(pid: Pid) -> bool {
    let number = |field| stat_field(pid, field)?.parse::<u64>().ok();
    let Some((flags, pending)) = number(FLAGS).zip(number(PENDING)) else {
        return true;
    };
    flags & EXITING != 0 || pending & (1 << (KILL - 1)) != 0
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_was_killed_is_dying_until_it_is_reaped_and_afterwards() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(!is_dying(pid));
        child.kill().unwrap();
        // Between the signal that it takes and the flag there is a moment without either.
        while !is_dying(pid) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(is_dying(pid));
        assert!(!is_dying(rustix::process::getpid()));
    }
}

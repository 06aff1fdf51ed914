//! The tiny init: reaps orphans, forwards signals, ends as its main process ends.
//!
//! Who we are: PID 1 of a container (`--init`), or the session init of an exec session or of a
//! first process inside a PID namespace that another container owns; there we are a child
//! subreaper, since the kernel gives orphans to a reaper inside their PID namespace only. All
//! privilege is gone by now, the seccomp filter is on. We were never executed, so our memory is
//! the stage's image; we are not dumpable.

use std::os::fd::BorrowedFd;

use berth_base::protocol::{EXITED, encode_outcome};
use berth_base::state::ExitOutcome;
use berth_sys::{close_all_but_streams, exit_now, signal};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::process::{Pid, Signal, WaitOptions, set_child_subreaper, setpgid, wait};

/// Puts the calling child into a process group of its own, in the terminal's foreground, so
/// that job control of a shell works below us.
pub(crate) fn take_terminal() {
    if setpgid(None, None).is_ok() {
        let group = rustix::process::getpid();
        // Every signal is blocked here, SIGTTOU too, so this cannot stop us.
        if rustix::termios::tcsetpgrp(rustix::stdio::stdin(), group).is_err() {
            // Not our controlling terminal after all: the program runs without job control.
        }
    }
}

/// Looks after `main` and all orphans. Never returns.
///
/// At PID 1 (no `report`) we end with `main`; the kernel then ends the rest. Otherwise we report
/// `main`'s end at once and end with our last child.
pub(crate) fn supervise(main: Pid, report: Option<BorrowedFd<'_>>) -> ! {
    if prepare(report).is_err() {
        exit_now(1)
    }
    let every: [i32; 64] = std::array::from_fn(|n| i32::try_from(n).unwrap_or(0) + 1);
    let mut outcome = None;
    loop {
        let before = outcome;
        let left = reap(main, &mut outcome);
        if let (None, Some(ended), Some(socket)) = (before, outcome, report) {
            tell(socket, ended);
        }
        let done = left == Left::Nobody || (outcome.is_some() && report.is_none());
        if done {
            exit_now(i32::from(outcome.map_or(0, ExitOutcome::shell_code)));
        }
        let received = signal::wait_for(&every, -1);
        if let Some(received) = received.filter(|s| *s != Signal::CHILD.as_raw())
            && outcome.is_none()
            && signal::kill_child(main, received).is_err()
        {
            // It ended a moment ago; the SIGCHLD that says so is next.
        }
    }
}

/// Becomes a reaper that holds nothing: no descriptor, no terminal, no name of ours.
fn prepare(report: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    close_all_but_streams(report)?;
    set_child_subreaper(Some(rustix::process::getpid()))?;
    rustix::thread::set_name(c"berth-init")
}

#[derive(PartialEq, Eq)]
enum Left {
    Somebody,
    Nobody,
}

/// Reaps whoever has ended.
fn reap(main: Pid, outcome: &mut Option<ExitOutcome>) -> Left {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if pid == main {
                    *outcome = ExitOutcome::from_wait_status(status.as_raw());
                }
            }
            Ok(None) => return Left::Somebody,
            Err(Errno::INTR) => {}
            Err(_) => return Left::Nobody,
        }
    }
}

/// Reports how the main process ended; without a monitor the exit code still says so.
fn tell(socket: BorrowedFd<'_>, outcome: ExitOutcome) {
    let [how, value] = encode_outcome(outcome);
    if send(socket, &[EXITED, how, value], SendFlags::NOSIGNAL).is_err() {
        // Nobody listens; see above.
    }
}

//! The ports of a container that has ended: free before anybody hears of the end.
//!
//! Keeper and monitor hold the sockets that reserve them, and the kernel lets nobody else have a
//! port before both have closed theirs. Without root the program that carries the packets listens.
//! Neither may hold up the end of a container: each wait has a limit, and what is stopped goes on.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};

use super::{Monitor, sessions};
use crate::wire;

/// How long the keeper may take to answer before it is looked at whether it is stopped.
const ANSWER_WITHIN: Duration = Duration::from_millis(50);
/// How long it may take then. One that a debugger holds does not answer at all.
const AT_LAST_WITHIN: Duration = Duration::from_secs(1);
/// How long the warden may take to follow the container, and to die once it is killed.
const WARDEN_WITHIN: Duration = Duration::from_secs(2);

impl Monitor {
    /// Closes what reserves the container's ports in this process alone, a fork of the monitor's.
    pub(crate) fn close_ports_of_mine(&mut self) {
        self.house.held.clear();
    }

    /// Makes the ports of the container free, which has ended.
    pub(super) fn release_ports(&mut self) {
        if self.house.config.held > 0 {
            self.close_ports_of_mine();
            self.ask_keeper();
        }
        if self.house.config.helper.is_some() {
            self.await_warden();
        }
    }

    /// Has the keeper close its copies.
    fn ask_keeper(&mut self) {
        let Some(keeper) = &self.keeper else {
            return;
        };
        if wire::send_byte(keeper.as_fd(), wire::RELEASE).is_err() {
            // It is gone, and with it what it held.
            return;
        }
        if !is_ready_within(keeper.as_fd(), ANSWER_WITHIN) {
            let_go_on(getppid());
            if !is_ready_within(keeper.as_fd(), AT_LAST_WITHIN) {
                // Whoever wants the ports is told who has them.
                return;
            }
        }
        if wire::receive(keeper.as_fd()).is_err() {
            // As above: gone.
        }
    }

    /// Waits until the program that carried the packets is gone, which follows the container by
    /// itself. A warden that is stopped cannot, and is killed; with it goes the program.
    fn await_warden(&self) {
        let warden = self.run_file().and_then(|run| run.network_warden);
        let Some((_, warden)) = warden.as_ref().and_then(sessions::hold) else {
            return;
        };
        if !is_ready_within(warden.as_fd(), WARDEN_WITHIN)
            && pidfd_send_signal(&warden, Signal::KILL).is_ok()
        {
            is_ready_within(warden.as_fd(), WARDEN_WITHIN);
        }
    }
}

/// Lets our keeper go on, should it be stopped: it is our parent, as long as it lives.
fn let_go_on(keeper: Option<Pid>) {
    let Some(pid) = keeper else { return };
    let held: Option<OwnedFd> = pidfd_open(pid, PidfdFlags::empty()).ok();
    // Held first, asked then: nobody else is meant.
    if let Some(held) = held.filter(|_| getppid() == Some(pid))
        && pidfd_send_signal(&held, Signal::CONT).is_err()
    {
        // It is gone.
    }
}

/// Whether something can be read, or a process has ended, within a time.
fn is_ready_within(fd: BorrowedFd<'_>, within: Duration) -> bool {
    let end = Instant::now() + within;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready.is_ok_and(|count| count > 0),
        }
    }
}

//! A process that is surely the one meant, held by a pidfd.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use berth_base::{HostPid, ProcessIdentity};
use berth_sys::ExitStatus;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process, held so that its PID cannot come to mean another one.
#[derive(Debug)]
pub(crate) struct Process {
    pid: HostPid,
    pidfd: OwnedFd,
}

impl Process {
    /// Opens the process an identity describes; `None` when it has ended, or when another
    /// process has its PID by now.
    ///
    /// The start time is read after the pidfd was opened: as the identified process is older than
    /// this call, a matching start time proves that it held the PID all along. A process that
    /// has ended but is not yet reaped counts as ended; whether its whole thread group is gone
    /// tells the pidfd (pidfd_open(2)), not the state letter of a leader thread.
    pub(crate) fn open(identity: &ProcessIdentity) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(identity.pid.get()).ok()?)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        if boot_id()? != identity.boot_id || start_ticks(identity.pid)? != identity.start_ticks {
            return None;
        }
        let process = Self {
            pid: identity.pid,
            pidfd,
        };
        (!process.has_ended()).then_some(process)
    }

    /// The process, for setns(2).
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    pub(crate) const fn pid(&self) -> HostPid {
        self.pid
    }

    /// Whether the process has ended, all its threads; for PID 1 of a PID namespace that means
    /// that the namespace is empty.
    pub(crate) fn has_ended(&self) -> bool {
        self.wait_for(Some(Duration::ZERO))
    }

    /// Waits for the end of the process, `None` without limit; whether it came in time.
    pub(crate) fn wait_for(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.map(|t| Instant::now() + t);
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let limit = left.map(to_timespec);
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match poll(&mut fds, limit.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {
                    if left.is_some_and(|l| l.is_zero()) {
                        return false;
                    }
                }
                Ok(_) => return true,
                // EINVAL, ENOMEM: cannot be with one descriptor and a sane timeout.
                Err(_) => return false,
            }
        }
    }

    /// The wait status of a process that has ended and was reaped by somebody else.
    pub(crate) fn exit_status(&self) -> Result<ExitStatus, Errno> {
        berth_sys::exit_status(self.pidfd.as_fd())
    }

    /// Sends a signal (pidfd_send_signal(2)); a process that has ended is no error.
    pub(crate) fn signal(&self, signal: i32) -> Result<(), Errno> {
        match berth_sys::signal::pidfd_kill(self.pidfd.as_fd(), signal) {
            Err(Errno::SRCH) => Ok(()),
            other => other,
        }
    }
}

/// A duration as poll(2) takes it.
fn to_timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// The identity of a process that lives now.
pub(crate) fn identify(pid: HostPid) -> Option<ProcessIdentity> {
    Some(ProcessIdentity {
        pid,
        start_ticks: start_ticks(pid)?,
        boot_id: boot_id()?,
    })
}

/// This boot's id, /proc/sys/kernel/random/boot_id. No process outlives it, so it is read once.
pub(crate) fn boot_id() -> Option<String> {
    static READ: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim_end().to_owned())
    };
    READ.get_or_init(read).clone()
}

/// Field 22 of /proc/PID/stat, counted after the comm, which may hold anything.
pub(crate) fn start_ticks(pid: HostPid) -> Option<u64> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_start_ticks(&text)
}

fn parse_start_ticks(stat: &[u8]) -> Option<u64> {
    let comm_end = stat.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(stat.get(comm_end + 1..)?).ok()?;
    // The first field after the comm is the third of proc_pid_stat(5).
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> HostPid {
        HostPid::new(std::process::id()).unwrap()
    }

    #[test]
    fn a_living_process_is_found_by_its_identity_alone() {
        let identity = identify(own()).unwrap();
        let process = Process::open(&identity).unwrap();
        assert_eq!(process.pid(), own());
        assert!(!process.has_ended());
        assert!(!process.wait_for(Some(Duration::from_millis(5))));
    }

    #[test]
    fn another_start_time_or_boot_is_another_process() {
        let identity = identify(own()).unwrap();
        let mut later = identity.clone();
        later.start_ticks += 1;
        assert!(Process::open(&later).is_none());
        let mut rebooted = identity;
        rebooted.boot_id = "00000000-0000-0000-0000-000000000000".into();
        assert!(Process::open(&rebooted).is_none());
    }

    #[test]
    fn an_ended_child_counts_as_ended_before_it_is_reaped() {
        let mut child = std::process::Command::new("/bin/cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let identity = identify(HostPid::new(child.id()).unwrap()).unwrap();
        let process = Process::open(&identity).unwrap();
        drop(child.stdin.take());
        assert!(process.wait_for(Some(Duration::from_secs(10))));
        assert!(Process::open(&identity).is_none());
        assert!(process.signal(9).is_ok());
        child.wait().unwrap();
        assert!(process.signal(9).is_ok());
    }

    #[test]
    fn a_hostile_comm_does_not_shift_the_fields() {
        let stat = b"7 (a) R 1 (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 0";
        assert_eq!(parse_start_ticks(stat), Some(4242));
    }
}

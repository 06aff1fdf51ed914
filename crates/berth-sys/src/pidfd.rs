//! What a pidfd tells of a process that has ended.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// How much of an ended process's status a pidfd gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// The wait status, as waitpid(2) encodes it.
    Status(i32),
    /// Not reaped yet, or a kernel before 6.15, which keeps no status.
    Unavailable,
}

/// Reads the wait status of a process that has been reaped by somebody else (PIDFD_GET_INFO with
/// PIDFD_INFO_EXIT, 6.15). The pidfd must be older than the reaping.
pub fn exit_status(pidfd: BorrowedFd<'_>) -> Result<ExitStatus, Errno> {
    let wanted = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: pidfd_info holds plain integers, for which all-zero bytes are a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = wanted;
    // SAFETY: the request encodes the size of pidfd_info and writes at most that much through its
    // argument, a live and aligned pidfd_info; the descriptor is borrowed and open.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    if result < 0 {
        return match last_errno() {
            // ENOTTY, EINVAL: a kernel before 6.13. ESRCH: reaped, and nothing was kept.
            Errno::NOTTY | Errno::INVAL | Errno::SRCH => Ok(ExitStatus::Unavailable),
            errno => Err(errno),
        };
    }
    Ok(if info.mask & wanted == 0 {
        ExitStatus::Unavailable
    } else {
        ExitStatus::Status(info.exit_code)
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn a_status_outlives_the_reaping_where_the_kernel_keeps_it() {
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "read x; exit 7"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert_eq!(exit_status(pidfd.as_fd()).unwrap(), ExitStatus::Unavailable);
        drop(child.stdin.take());
        child.wait().unwrap();
        let status = exit_status(pidfd.as_fd()).unwrap();
        assert!(matches!(
            status,
            ExitStatus::Status(0x700) | ExitStatus::Unavailable
        ));
    }
}

//! unshare(2) for namespaces.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// Every CLONE_NEW* flag.
pub const NAMESPACE_FLAGS: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWTIME) as u64;

/// Moves the caller into new namespaces (unshare(2)); flags other than CLONE_NEW* are refused.
pub fn unshare_namespaces(flags: u64) -> Result<(), Errno> {
    if flags & !NAMESPACE_FLAGS != 0 {
        return Err(Errno::INVAL);
    }
    let flags = i32::try_from(flags).map_err(|_| Errno::INVAL)?;
    // SAFETY: namespace flags share no memory or descriptors, so no invariant of this
    // process's types changes.
    if unsafe { libc::unshare(flags) } < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// The CLONE_NEW* flag of the namespace behind a descriptor (NS_GET_NSTYPE, ioctl_nsfs(2), 4.11).
///
/// Fails with ENOTTY when the descriptor is no namespace.
pub fn namespace_flag(namespace: BorrowedFd<'_>) -> Result<u64, Errno> {
    // SAFETY: NS_GET_NSTYPE takes no argument and touches no memory; the descriptor is borrowed
    // and open.
    let flag = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_NSTYPE) };
    if flag < 0 {
        return Err(last_errno());
    }
    u64::try_from(flag).map_err(|_| Errno::INVAL)
}

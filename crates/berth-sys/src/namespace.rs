//! unshare(2) for namespaces.

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

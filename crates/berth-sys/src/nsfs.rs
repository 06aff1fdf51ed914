//! ioctl_nsfs(2): what a namespace descriptor tells.
//!
//! A namespace descriptor is an open `/proc/PID/ns/KIND` or a bind mount of one. Every call here
//! only asks; none enters or changes a namespace. Descriptors that the kernel returns are
//! close-on-exec (linux `fs/nsfs.c`, `open_namespace`).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

/// Opens the parent of a PID or user namespace (NS_GET_PARENT, 4.9).
///
/// Fails with EPERM when the parent is outside the caller's own namespaces or there is none,
/// EINVAL when the kind has no hierarchy, ENOTTY when the descriptor is no namespace.
pub fn open_parent(namespace: impl AsFd) -> io::Result<OwnedFd> {
    open_related(namespace, libc::NS_GET_PARENT)
}

/// Opens the user namespace that owns a namespace (NS_GET_USERNS, 4.9).
///
/// Of a user namespace this is its parent. Fails with EPERM when the owner is outside the
/// caller's user namespace, ENOTTY when the descriptor is no namespace.
pub fn open_owner(namespace: impl AsFd) -> io::Result<OwnedFd> {
    open_related(namespace, libc::NS_GET_USERNS)
}

/// Reads the uid that owns a user namespace (NS_GET_OWNER_UID, 4.11), as the caller's user
/// namespace maps it.
///
/// Fails with EINVAL when the descriptor is not a user namespace.
pub fn read_owner_uid(user_namespace: impl AsFd) -> io::Result<u32> {
    let mut uid: libc::uid_t = 0;
    let fd = user_namespace.as_fd().as_raw_fd();
    // SAFETY: NS_GET_OWNER_UID writes one uid_t through its argument, which points to a live,
    // aligned uid_t for the whole call; the descriptor is borrowed and open.
    let result = unsafe { libc::ioctl(fd, libc::NS_GET_OWNER_UID, &raw mut uid) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(uid)
    }
}

/// Translates a PID of a PID namespace into the caller's (NS_GET_PID_FROM_PIDNS, 6.11).
///
/// A thread's id is translated like a process's. Fails with ESRCH when that namespace has no such
/// PID or the caller's namespace does not contain the process, ENOTTY or EINVAL on kernels that
/// lack the call.
pub fn translate_pid_from(pid_namespace: impl AsFd, pid: u32) -> io::Result<u32> {
    translate(pid_namespace, libc::NS_GET_PID_FROM_PIDNS, pid)
}

/// Translates a PID of the caller's PID namespace into another (NS_GET_PID_IN_PIDNS, 6.11).
///
/// Fails with ESRCH when there is no such process or it cannot be seen from that namespace,
/// ENOTTY or EINVAL on kernels that lack the call.
pub fn translate_pid_into(pid_namespace: impl AsFd, pid: u32) -> io::Result<u32> {
    translate(pid_namespace, libc::NS_GET_PID_IN_PIDNS, pid)
}

/// The ioctls that return a descriptor and take no argument.
fn open_related(namespace: impl AsFd, request: libc::Ioctl) -> io::Result<OwnedFd> {
    let fd = namespace.as_fd().as_raw_fd();
    // SAFETY: both requests (NS_GET_PARENT, NS_GET_USERNS) ignore the third argument, so no memory
    // is read or written; the descriptor is borrowed and open.
    let opened = unsafe { libc::ioctl(fd, request, 0) };
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a non-negative result of these requests is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

/// The ioctls that take a PID by value and return one.
fn translate(pid_namespace: impl AsFd, request: libc::Ioctl, pid: u32) -> io::Result<u32> {
    let pid = i32::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    let fd = pid_namespace.as_fd().as_raw_fd();
    // SAFETY: despite their _IOR encoding these requests take the PID by value (linux fs/nsfs.c)
    // and touch no user memory; the descriptor is borrowed and open.
    let translated = unsafe { libc::ioctl(fd, request, libc::c_ulong::from(pid.unsigned_abs())) };
    if translated < 0 {
        return Err(io::Error::last_os_error());
    }
    u32::try_from(translated).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn own_pid_translates_to_itself() {
        let own = File::open("/proc/self/ns/pid").unwrap();
        let pid = std::process::id();
        match translate_pid_into(&own, pid) {
            Ok(inside) => {
                assert_eq!(inside, pid);
                assert_eq!(translate_pid_from(&own, pid).unwrap(), pid);
            }
            Err(error) => assert!(
                matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL)),
                "only a kernel before 6.11 may refuse: {error}"
            ),
        }
    }

    #[test]
    fn a_pid_that_cannot_exist_is_esrch_or_unknown_to_the_kernel() {
        let own = File::open("/proc/self/ns/pid").unwrap();
        for pid in [i32::MAX.unsigned_abs(), u32::MAX] {
            let error = translate_pid_from(&own, pid).unwrap_err();
            assert_ne!(error.raw_os_error(), Some(libc::EFAULT));
        }
    }

    #[test]
    fn the_owner_of_a_namespace_is_a_user_namespace() {
        let net = File::open("/proc/self/ns/net").unwrap();
        match open_owner(&net) {
            Ok(owner) => {
                read_owner_uid(&owner).unwrap();
                assert!(read_owner_uid(&net).is_err());
            }
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        }
    }

    #[test]
    fn a_plain_file_is_no_namespace() {
        let file = File::open("/proc/self/stat").unwrap();
        assert_eq!(
            open_parent(&file).unwrap_err().raw_os_error(),
            Some(libc::ENOTTY)
        );
        let net = File::open("/proc/self/ns/net").unwrap();
        assert_eq!(
            open_parent(&net).unwrap_err().raw_os_error(),
            Some(libc::EINVAL)
        );
    }
}

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

/// `struct ns_id_req` of linux/nsfs.h, 6.19 (NS_ID_REQ_SIZE_VER0).
#[repr(C)]
struct RawListRequest {
    size: u32,
    spare: u32,
    id: u64,
    kind: u32,
    spare2: u32,
    owner: u64,
}

/// `struct file_handle` with a `struct nsfs_file_handle` in it (linux/nsfs.h, 6.18).
#[repr(C)]
struct RawHandle {
    bytes: u32,
    kind: libc::c_int,
    id: u64,
    namespace_kind: u32,
    inode: u32,
}

/// The size of [`RawListRequest`], as it says itself.
const LIST_REQUEST_SIZE: u32 = 32;
const _: () = assert!(size_of::<RawListRequest>() == 32);
/// The number of listns(2) on every architecture; libc does not know it yet.
const SYS_LISTNS: libc::c_long = 470;

/// Ids taken by one listns(2).
const BATCH: usize = 512;

/// The 64-bit ids of all namespaces that are in use, of every kind (listns(2), 6.19).
///
/// In use are those with processes, descriptors, bind mounts or children. Left out is what the
/// caller may not see: with CAP_SYS_ADMIN in the first user namespace nothing. Fails with ENOSYS
/// on older kernels.
pub fn list_namespaces() -> io::Result<Vec<u64>> {
    let mut found: Vec<u64> = Vec::new();
    loop {
        let request = RawListRequest {
            size: LIST_REQUEST_SIZE,
            spare: 0,
            id: found.last().copied().unwrap_or(0),
            kind: 0,
            spare2: 0,
            owner: 0,
        };
        let mut batch = [0u64; BATCH];
        // SAFETY: `request` is a live ns_id_req that says its own size; the kernel writes at most
        // BATCH ids to `batch`, which holds as many.
        let result =
            unsafe { libc::syscall(SYS_LISTNS, &raw const request, batch.as_mut_ptr(), BATCH, 0) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        let count = usize::try_from(result).map_err(io::Error::other)?;
        found.extend(batch.iter().take(count));
        if count == 0 {
            return Ok(found);
        }
    }
}

/// Opens a namespace by its 64-bit id (a file handle of nsfs, name_to_handle_at(2), 6.18).
///
/// `known` is its CLONE_NEW* flag and inode number, which 6.18 demands and later kernels check.
/// Fails with ESTALE when there is none, EPERM when the caller may not see it, EBADF on older
/// kernels.
pub fn open_by_id(id: u64, known: Option<(u32, u32)>) -> io::Result<OwnedFd> {
    /// FILEID_NSFS of linux/exportfs.h, and FD_NSFS_ROOT of linux/fcntl.h.
    const FILEID_NSFS: libc::c_int = 0xf1;
    const FD_NSFS_ROOT: libc::c_int = -10003;
    let (namespace_kind, inode) = known.unwrap_or((0, 0));
    let mut handle = RawHandle {
        bytes: 16,
        kind: FILEID_NSFS,
        id,
        namespace_kind,
        inode,
    };
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: `handle` is a live file_handle whose length is that of what follows its header; the
    // call only reads it.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            FD_NSFS_ROOT,
            &raw mut handle,
            flags,
        )
    };
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    let opened = i32::try_from(opened).map_err(io::Error::other)?;
    // SAFETY: a non-negative result is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

/// Reads the 64-bit id of a namespace, never used again (NS_GET_ID, 6.18).
///
/// Fails with ENOTTY on older kernels.
pub fn read_id(namespace: impl AsFd) -> io::Result<u64> {
    read_number(namespace, 13)
}

/// Reads the 64-bit id of a mount namespace, never used again (NS_GET_MNTNS_ID, 6.11).
///
/// Fails with ENOTTY on older kernels, EINVAL where the descriptor is another kind of namespace.
pub fn read_mount_id(mount_namespace: impl AsFd) -> io::Result<u64> {
    read_number(mount_namespace, 5)
}

/// The ioctls that write one 64-bit integer.
fn read_number(namespace: impl AsFd, number: u8) -> io::Result<u64> {
    let mut id = 0u64;
    let request = rustix::ioctl::opcode::read::<u64>(0xb7, number);
    let fd = namespace.as_fd().as_raw_fd();
    // SAFETY: both requests write one 64-bit integer through their argument, which points to a
    // live and aligned one; the descriptor is borrowed and open.
    let result = unsafe { libc::ioctl(fd, libc::Ioctl::from(request), &raw mut id) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(id)
    }
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
    fn a_namespace_opens_by_its_id() {
        use std::os::unix::fs::MetadataExt as _;
        let own = File::open("/proc/self/ns/net").unwrap();
        let id = match read_id(&own) {
            Ok(id) => id,
            Err(error) => return assert_eq!(error.raw_os_error(), Some(libc::ENOTTY)),
        };
        let inode = own.metadata().unwrap().ino();
        let kind = libc::CLONE_NEWNET.cast_unsigned();
        let known = Some((kind, u32::try_from(inode).unwrap()));
        let again = match open_by_id(id, known) {
            Ok(again) => File::from(again),
            // Without privilege.
            Err(error) => return assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        };
        assert_eq!(again.metadata().unwrap().ino(), inode);
        let error = open_by_id(u64::MAX - 7, known).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESTALE));
    }

    #[test]
    fn the_list_of_namespaces_holds_our_own_or_is_not_there() {
        match list_namespaces() {
            Ok(ids) => {
                let own = File::open("/proc/self/ns/net").unwrap();
                assert!(ids.contains(&read_id(&own).unwrap()));
            }
            Err(error) => assert!(matches!(
                error.raw_os_error(),
                Some(libc::ENOSYS | libc::EPERM)
            )),
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

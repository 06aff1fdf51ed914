//! mount_setattr(2), Linux 5.12.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// `struct mount_attr`.
#[repr(C)]
struct RawMountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// What to change on a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountAttributes {
    /// MOUNT_ATTR_* bits to set.
    pub set: u64,
    /// MOUNT_ATTR_* bits to clear.
    pub clear: u64,
    /// MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE; 0 leaves propagation.
    pub propagation: u64,
    /// Apply to the whole tree below.
    pub recursive: bool,
}

impl MountAttributes {
    /// MOUNT_ATTR_RDONLY.
    pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    /// MOUNT_ATTR_NOSUID.
    pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
    /// MOUNT_ATTR_NODEV.
    pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
    /// MOUNT_ATTR_NOEXEC.
    pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
    /// MOUNT_ATTR__ATIME, the mask of the access-time field.
    pub const ATIME_MASK: u64 = libc::MOUNT_ATTR__ATIME;
    /// MOUNT_ATTR_NOATIME.
    pub const NOATIME: u64 = libc::MOUNT_ATTR_NOATIME;
    /// MOUNT_ATTR_STRICTATIME.
    pub const STRICTATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
    /// MOUNT_ATTR_NODIRATIME.
    pub const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
    /// MOUNT_ATTR_NOSYMFOLLOW (5.14).
    pub const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;
    /// MS_PRIVATE.
    pub const PRIVATE: u64 = libc::MS_PRIVATE;
    /// MS_SLAVE.
    pub const SLAVE: u64 = libc::MS_SLAVE;
    /// MS_SHARED.
    pub const SHARED: u64 = libc::MS_SHARED;
    /// MS_UNBINDABLE.
    pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;
}

/// Changes the attributes of the mount at `path` below `directory`; an empty path means the
/// mount behind the descriptor. `idmap` attaches the mapping of a user namespace
/// (MOUNT_ATTR_IDMAP): the mount must be detached and never mapped before.
pub fn mount_setattr(
    directory: BorrowedFd<'_>,
    path: &CStr,
    attributes: MountAttributes,
    idmap: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut flags = libc::AT_EMPTY_PATH;
    if attributes.recursive {
        flags |= libc::AT_RECURSIVE;
    }
    let mut raw = RawMountAttr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    if let Some(namespace) = idmap {
        raw.attr_set |= libc::MOUNT_ATTR_IDMAP;
        raw.userns_fd = u64::try_from(namespace.as_raw_fd()).map_err(|_| Errno::BADF)?;
    }
    // SAFETY: `path` is a C string and `raw` a mount_attr of the size passed, both alive.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const raw,
            size_of::<RawMountAttr>(),
        )
    };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

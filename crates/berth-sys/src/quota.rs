//! Project quotas: how much a folder and all below it may hold on disk.
//!
//! A folder gets a project id that all made in it inherits (ioctl_xfs_fsgetxattr(2), which ext4
//! takes too), and the file system a limit for that id (quotactl(2), by quotactl_fd: Linux 5.14).
//! ext4 needs the features `quota` and `project`; both ext4 and xfs need the mount option
//! `prjquota`, without which a limit may be set but holds nobody back. The caller chooses ids and
//! sees to it that none is given twice; 0 is that of everything without one.
//!
//! On ext4 no limit holds for who has CAP_SYS_RESOURCE; overlayfs, which writes with the rights of
//! who mounted it, leaves that one out, so behind an overlay limits hold for all.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// `struct fsxattr` (linux/fs.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct FsXattr {
    xflags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// FS_IOC_FSGETXATTR: `_IOR('X', 31, struct fsxattr)`.
const GET_XATTR: libc::c_ulong = 0x801c_581f;
/// FS_IOC_FSSETXATTR: `_IOW('X', 32, struct fsxattr)`.
const SET_XATTR: libc::c_ulong = 0x401c_5820;
/// FS_XFLAG_PROJINHERIT.
const INHERIT: u32 = 0x200;

/// `struct if_dqblk` (linux/quota.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct DiskQuota {
    hard_kib: u64,
    soft_kib: u64,
    used_bytes: u64,
    inodes_hard: u64,
    inodes_soft: u64,
    inodes: u64,
    block_time: u64,
    inode_time: u64,
    valid: u32,
}

/// PRJQUOTA, the kind in the low byte of a command.
const PROJECTS: u32 = 2;
/// Q_GETQUOTA.
const GET_QUOTA: u32 = 0x80_0007;
/// Q_SETQUOTA.
const SET_QUOTA: u32 = 0x80_0008;
/// Q_XGETQSTATV, which every file system with quotas answers.
const GET_STATE: u32 = 0x5808;
/// QIF_BLIMITS: the block limits of a [`DiskQuota`] are valid.
const BLOCK_LIMITS: u32 = 1;
/// FS_QUOTA_PDQ_ENFD: limits of projects hold.
const ENFORCED: u16 = 1 << 5;
/// FS_QSTATV_VERSION1.
const STATE_VERSION: u8 = 1;

/// `struct fs_quota_statv` (linux/dqblk_xfs.h), as far as it is read here, with room for the rest.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
struct QuotaState {
    version: u8,
    padding: u8,
    flags: u16,
    rest: [u8; 252],
}

/// What a project holds and may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectUsage {
    /// On disk, in bytes.
    pub used_bytes: u64,
    /// At most, in bytes; 0 for no limit.
    pub limit_bytes: u64,
}

/// Why there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaError {
    /// The file system has no project ids or no quotas for them.
    Unsupported,
    /// It has, but was mounted without them.
    NotEnforced,
    /// The kernel said no.
    Kernel(Errno),
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str(
                "the file system has no project quotas; use xfs, or ext4 with the features quota \
                 and project (tune2fs -O project,quota -Q prjquota), mounted with prjquota",
            ),
            Self::NotEnforced => f.write_str(
                "the file system enforces no project quotas; mount it with the option prjquota, which \
                 on ext4 needs the features quota and project",
            ),
            Self::Kernel(Errno::PERM | Errno::ACCESS) => {
                f.write_str("setting a project quota needs root")
            }
            Self::Kernel(errno) => write!(f, "the kernel refuses the project quota: {errno}"),
        }
    }
}

impl std::error::Error for QuotaError {}

impl From<Errno> for QuotaError {
    fn from(errno: Errno) -> Self {
        match errno {
            // No such ioctl, no project ids, no quotas in this kernel or file system.
            Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS => Self::Unsupported,
            // Quotas of this kind are not on.
            Errno::SRCH => Self::NotEnforced,
            other => Self::Kernel(other),
        }
    }
}

/// Gives a folder a project id, which all that is made in it from then on inherits
/// (FS_IOC_FSSETXATTR). What is in it already keeps its own.
///
/// Files cannot be moved into a folder that inherits from one of another project (EXDEV): upper
/// and work folder of an overlay belong below the same one.
pub fn set_project(folder: impl AsFd, project: u32) -> Result<(), QuotaError> {
    let mut attributes = attributes(&folder)?;
    attributes.project = project;
    attributes.xflags |= INHERIT;
    let fd = folder.as_fd().as_raw_fd();
    // SAFETY: FS_IOC_FSSETXATTR reads one fsxattr through its argument, which points to a live,
    // aligned one for the whole call; the descriptor is borrowed and open.
    let result = unsafe { libc::ioctl(fd, SET_XATTR, &raw const attributes) };
    answer(result.into())
}

/// The project id of a folder or file (FS_IOC_FSGETXATTR); 0 for none.
pub fn project(file: impl AsFd) -> Result<u32, QuotaError> {
    attributes(&file).map(|attributes| attributes.project)
}

/// Sets what a project may hold at most on the file system of `file`; 0 for no limit.
///
/// Rounded up to whole KiB, the unit of the kernel. Fails where the limit would not hold.
pub fn limit_project(file: impl AsFd, project: u32, limit_bytes: u64) -> Result<(), QuotaError> {
    let mut state = QuotaState {
        version: STATE_VERSION,
        padding: 0,
        flags: 0,
        rest: [0; 252],
    };
    // SAFETY: Q_XGETQSTATV writes one fs_quota_statv, 160 bytes and so less than `QuotaState`.
    unsafe { quotactl(&file, GET_STATE, 0, (&raw mut state).cast()) }?;
    if state.flags & ENFORCED == 0 {
        return Err(QuotaError::NotEnforced);
    }
    let limit_kib = limit_bytes.div_ceil(1024);
    let mut quota = DiskQuota {
        hard_kib: limit_kib,
        soft_kib: limit_kib,
        valid: BLOCK_LIMITS,
        ..DiskQuota::default()
    };
    // SAFETY: Q_SETQUOTA reads one if_dqblk, which `quota` is.
    unsafe { quotactl(&file, SET_QUOTA, project, (&raw mut quota).cast()) }
}

/// What a project holds, and may hold, on the file system of `file`.
pub fn project_usage(file: impl AsFd, project: u32) -> Result<ProjectUsage, QuotaError> {
    let mut quota = DiskQuota::default();
    // SAFETY: Q_GETQUOTA writes one if_dqblk, which `quota` is.
    unsafe { quotactl(&file, GET_QUOTA, project, (&raw mut quota).cast()) }?;
    Ok(ProjectUsage {
        used_bytes: quota.used_bytes,
        limit_bytes: quota.hard_kib.saturating_mul(1024),
    })
}

fn attributes(file: &impl AsFd) -> Result<FsXattr, QuotaError> {
    let mut attributes = FsXattr::default();
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: FS_IOC_FSGETXATTR writes one fsxattr through its argument, which points to a live,
    // aligned one for the whole call; the descriptor is borrowed and open.
    let result = unsafe { libc::ioctl(fd, GET_XATTR, &raw mut attributes) };
    answer(result.into())?;
    Ok(attributes)
}

/// quotactl_fd(2) for projects.
///
/// # Safety
/// `data` points to what the command reads or writes, alive and writable.
unsafe fn quotactl(
    file: &impl AsFd,
    command: u32,
    id: u32,
    data: *mut libc::c_void,
) -> Result<(), QuotaError> {
    let fd = file.as_fd().as_raw_fd();
    // QCMD of linux/quota.h.
    let command = (command << 8) | PROJECTS;
    // SAFETY: the caller vouches for `data`; the rest are numbers, and the descriptor is open.
    let result = unsafe { libc::syscall(libc::SYS_quotactl_fd, fd, command, id, data) };
    answer(result)
}

fn answer(result: libc::c_long) -> Result<(), QuotaError> {
    if result < 0 {
        Err(last_errno().into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs::{self, File};
    use std::io::{ErrorKind, Write};

    use super::*;

    /// Needs a file system with project quotas below the temporary folder, which the guests of the
    /// VM tier have; elsewhere the words of the refusal are the test.
    #[test]
    fn a_folder_holds_no_more_than_its_limit() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("layer");
        fs::create_dir(&folder).unwrap();
        let open = File::open(&folder).unwrap();
        let id = 0x4265_0000 | (std::process::id() & 0xffff);
        let limit_bytes = 1024 * 1024;
        let limited = limit_project(&open, id, limit_bytes).and_then(|()| set_project(&open, id));
        if let Err(refused) = limited {
            let words = refused.to_string();
            assert!(
                words.contains("prjquota") || words.contains("root"),
                "{words}"
            );
            berth_testkit::skip("no project quotas below the temporary folder");
            return;
        }
        // Who has CAP_SYS_RESOURCE may go beyond the limits of ext4.
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective -= rustix::thread::CapabilitySet::SYS_RESOURCE;
        rustix::thread::set_capabilities(None, sets).unwrap();
        fs::create_dir(folder.join("upper")).unwrap();
        let mut file = File::create(folder.join("upper/file")).unwrap();
        assert_eq!(project(&file).unwrap(), id);
        file.write_all(&[1; 512 * 1024]).unwrap();
        file.sync_all().unwrap();
        let usage = project_usage(&open, id).unwrap();
        assert_eq!(usage.limit_bytes, limit_bytes);
        assert!(
            (512 * 1024..=limit_bytes).contains(&usage.used_bytes),
            "{usage:?}"
        );
        let refused = file
            .write_all(&[1; 1024 * 1024])
            .and_then(|()| file.sync_all());
        let kind = refused.map_err(|error| error.kind());
        assert!(
            matches!(kind, Err(ErrorKind::QuotaExceeded | ErrorKind::StorageFull)),
            "{kind:?}"
        );
        // What is open is still there.
        drop((file, open));
        fs::remove_dir_all(&folder).unwrap();
        let parent = File::open(parent.path()).unwrap();
        assert_eq!(project_usage(&parent, id).unwrap().used_bytes, 0);
        limit_project(&parent, id, 0).unwrap();
    }

    #[test]
    fn a_file_system_without_projects_says_so() {
        let refused = limit_project(File::open("/proc").unwrap(), 7, 1).unwrap_err();
        assert_ne!(refused, QuotaError::NotEnforced);
        let refused = set_project(File::open("/proc").unwrap(), 7).unwrap_err();
        assert_eq!(refused, QuotaError::Unsupported);
        assert!(refused.to_string().contains("prjquota"));
    }

    #[test]
    fn errors_name_the_remedy() {
        let words = |errno| QuotaError::from(errno).to_string();
        assert!(words(Errno::SRCH).contains("mount it with"));
        assert!(words(Errno::OPNOTSUPP).contains("tune2fs"));
        assert!(words(Errno::PERM).contains("root"));
    }
}

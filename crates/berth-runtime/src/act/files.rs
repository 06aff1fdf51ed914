//! Files, folders, links and nodes below a descriptor that we made.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, XattrFlags, chownat, fsetxattr,
    makedev, mkdirat, mknodat, openat, openat2, symlinkat,
};
use rustix::io::Errno;

use super::Context;
use crate::plan::{DeviceNumber, Step};

pub(super) fn perform(step: &Step, cx: &Context<'_>) -> Result<(), Errno> {
    match step {
        Step::MakeDirectory { at, path, mode } => directory(cx.get(*at)?, path, *mode),
        Step::MakeFile { at, path, mode } => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(
                cx.get(*at)?,
                path.as_c_str(),
                flags,
                Mode::from_raw_mode(*mode),
            )
            .map(drop)
        }
        Step::MakeSymlink { at, path, target } => {
            match symlinkat(target.as_c_str(), cx.get(*at)?, path.as_c_str()) {
                Err(Errno::EXIST) => Ok(()),
                other => other,
            }
        }
        Step::MakeOpaque {
            at,
            path,
            unprivileged,
        } => opaque(cx.get(*at)?, path, *unprivileged),
        Step::MakeDevice {
            at,
            path,
            device,
            mode,
            uid,
            gid,
        } => {
            let at = cx.get(*at)?;
            node(&at, path, *device, *mode)?;
            if (*uid, *gid) == (0, 0) {
                return Ok(());
            }
            let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
            chownat(
                at,
                path.as_c_str(),
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            )
        }
        Step::Sysctl { proc, path, value } => sysctl(cx.get(*proc)?, path, value),
        _ => Err(Errno::NOSYS),
    }
}

/// mknod(2), with exactly this mode: our umask is 0 here.
fn node(at: &BorrowedFd<'_>, path: &CStr, device: DeviceNumber, mode: u32) -> Result<(), Errno> {
    let number = makedev(device.major, device.minor);
    let kind = FileType::from_raw_mode(device.kind);
    mknodat(at, path, kind, Mode::from_raw_mode(mode), number)
}

/// A directory with exactly this mode (our umask is 0 here); one that is there already stays as
/// it is.
fn directory(at: BorrowedFd<'_>, path: &CStr, mode: u32) -> Result<(), Errno> {
    match mkdirat(at, path, Mode::from_raw_mode(mode)) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Marks a directory of an upper layer so that nothing of the lower one shows through.
fn opaque(at: BorrowedFd<'_>, path: &CStr, unprivileged: bool) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(at, path, flags, Mode::empty())?;
    let name = if unprivileged {
        c"user.overlay.opaque"
    } else {
        c"trusted.overlay.opaque"
    };
    fsetxattr(&folder, name, b"y", XattrFlags::empty())
}

/// The procfs is ours and attached nowhere, so nothing can redirect the write (CVE-2025-52881).
fn sysctl(proc: BorrowedFd<'_>, path: &CStr, value: &CStr) -> Result<(), Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat2(proc, path, flags, Mode::empty(), resolve)?;
    rustix::io::write(&file, value.to_bytes()).map(drop)
}

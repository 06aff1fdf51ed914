//! Files, folders, links and nodes below a descriptor that we made.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, XattrFlags, chownat, fsetxattr,
    makedev, mkdirat, mknodat, openat, openat2, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::Context;
use super::mount::verify_device;
use super::path::{StackPath, open_target};
use crate::plan::{DeviceNumber, Links, Step, TargetKind};

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
        } => place_node(cx.get(*at)?, path, *device, (*mode, *uid, *gid)),
        Step::PlaceDevice {
            path,
            device,
            mode,
            uid,
            gid,
        } => {
            let mut name = StackPath::new();
            let parent = parent_in_root(cx.root()?, path, &mut name)?;
            let name = name.as_c_str()?;
            place_node(parent.as_fd(), name, *device, (*mode, *uid, *gid))
        }
        Step::PlaceSymlink {
            path,
            target,
            replace,
        } => {
            let mut name = StackPath::new();
            let parent = parent_in_root(cx.root()?, path, &mut name)?;
            place_symlink(parent.as_fd(), name.as_c_str()?, target, *replace)
        }
        Step::Sysctl { proc, path, value } => sysctl(cx.get(*proc)?, path, value),
        _ => Err(Errno::NOSYS),
    }
}

/// The folder of a path of the root, made when missing, and the path's last name.
fn parent_in_root(
    root: BorrowedFd<'_>,
    path: &CStr,
    name: &mut StackPath,
) -> Result<OwnedFd, Errno> {
    let bytes = path.to_bytes();
    let cut = bytes.iter().rposition(|b| *b == b'/').ok_or(Errno::INVAL)?;
    name.push(bytes.get(cut + 1..).unwrap_or_default())?;
    let mut folder = StackPath::new();
    folder.push(bytes.get(..cut.max(1)).unwrap_or_default())?;
    let folder = folder.as_c_str()?;
    open_target(root, folder, TargetKind::Directory, Links::InRoot)
}

/// mknod(2), with exactly this mode (our umask is 0 here) and owner. What is there already must
/// be that device (config-linux.md, "Devices"), and stays as it is.
fn place_node(
    at: BorrowedFd<'_>,
    name: &CStr,
    device: DeviceNumber,
    (mode, uid, gid): (u32, u32, u32),
) -> Result<(), Errno> {
    let number = makedev(device.major, device.minor);
    let kind = FileType::from_raw_mode(device.kind);
    match mknodat(at, name, kind, Mode::from_raw_mode(mode), number) {
        Err(Errno::EXIST) => {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let there = openat(at, name, flags, Mode::empty())?;
            return verify_device(&there, device).map_err(|_| Errno::EXIST);
        }
        other => other?,
    }
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// symlinkat(2); what has the name already stays, or makes room.
fn place_symlink(
    at: BorrowedFd<'_>,
    name: &CStr,
    target: &CStr,
    replace: bool,
) -> Result<(), Errno> {
    match symlinkat(target, at, name) {
        Err(Errno::EXIST) if replace => {
            unlinkat(at, name, AtFlags::empty())?;
            symlinkat(target, at, name)
        }
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
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

//! `tmpcopyup`: what the image has at a mount's target, copied into the mount.
//!
//! Who we are: init, before the pivot. Nothing here allocates: folders are walked by recursion
//! with their names on the stack, to a depth that the stack bears, and by descriptors that follow
//! no link.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RawDir, Stat, Timespec, Timestamps, Uid, chownat, fchmod,
    fchown, fstat, futimens, makedev, mkdirat, mknodat, openat, readlinkat_raw, statat, symlinkat,
    utimensat,
};
use rustix::io::Errno;

use super::path::open_in_root;
use crate::plan::Links;

/// Folders within folders; each takes some 5 KiB of the stack.
const MAX_DEPTH: usize = 128;

/// Copies the contents of the folder at `path` of the root, if there is one, with modes, owners
/// and times of change; the folder's own go to the root of the mount.
pub(super) fn up(root: BorrowedFd<'_>, path: &CStr, mount: BorrowedFd<'_>) -> Result<(), Errno> {
    let found = match open_in_root(root, path, Links::InRoot) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let stat = fstat(&found)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    let from = folder_at(found.as_fd(), c".")?;
    let to = folder_at(mount, c".")?;
    copy_folder(&from, &to, MAX_DEPTH)?;
    finish(&to, &stat)
}

fn folder_at(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

fn copy_folder(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<(), Errno> {
    let deeper = depth.checked_sub(1).ok_or(Errno::LOOP)?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 2048];
    let mut entries = RawDir::new(from, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(from.as_fd(), to.as_fd(), name, deeper)?;
        }
    }
    Ok(())
}

/// Copies one entry. Sockets are left out: nobody listens on a copy.
fn copy_entry(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    depth: usize,
) -> Result<(), Errno> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let source = folder_at(from, name)?;
            mkdirat(to, name, Mode::from_raw_mode(0o700))?;
            let target = folder_at(to, name)?;
            copy_folder(&source, &target, depth)?;
            finish(&target, &stat)
        }
        FileType::RegularFile => copy_file(from, to, name, &stat),
        FileType::Symlink => copy_link(from, to, name, &stat),
        FileType::Socket => Ok(()),
        kind => {
            let number = makedev(
                rustix::fs::major(stat.st_rdev),
                rustix::fs::minor(stat.st_rdev),
            );
            mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode), number)?;
            own(to, name, &stat)
        }
    }
}

fn copy_file(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
) -> Result<(), Errno> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = openat(from, name, read, Mode::empty())?;
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let target = openat(to, name, create, Mode::from_raw_mode(0o600))?;
    let mut buffer = [0u8; 16 * 1024];
    loop {
        let length = rustix::io::read(&source, &mut buffer)?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        if rest.is_empty() {
            return finish(&target, stat);
        }
        while !rest.is_empty() {
            let written = rustix::io::write(&target, rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
}

fn copy_link(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
) -> Result<(), Errno> {
    let mut buffer = [0u8; 4097];
    let room = buffer.get_mut(..4096).ok_or(Errno::NAMETOOLONG)?;
    readlinkat_raw(from, name, room)?;
    // The rest of the buffer is zero.
    let target = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::NAMETOOLONG)?;
    symlinkat(target, to, name)?;
    own(to, name, stat)
}

/// Owner, then mode, which a change of owner would clear, then times.
fn finish(target: &OwnedFd, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fchown(target, Some(uid), Some(gid))?;
    fchmod(target, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    futimens(target, &times(stat))
}

/// Owner and times of what cannot be opened.
fn own(to: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)
}

fn times(stat: &Stat) -> Timestamps {
    let at = |seconds: i64, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    Timestamps {
        last_access: at(stat.st_atime, stat.st_atime_nsec),
        last_modification: at(stat.st_mtime, stat.st_mtime_nsec),
    }
}

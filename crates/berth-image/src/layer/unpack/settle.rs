//! What only the layers below can tell of a layer.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, futimens, linkat,
    mknodat, openat, statat,
};
use rustix::io::Errno;

use super::super::error::printable;
use super::super::merged::{Found, Last, Stack};
use super::super::name::split;
use super::super::tree::{CopyOptions, copy_entry, copy_xattrs, times};
use super::super::xattr::Target;
use super::super::{LayerError, XattrSpace};
use super::folders::open_beneath;
use super::{Ids, UnpackOptions, Unpacked};

/// Finishes an unpacked layer once the layers below it are there: folders that it only implies get
/// the attributes of those below, hard links into the layers below their files, and an opaque root
/// hides what is below name by name.
///
/// Layers can so be unpacked at the same time and settled one after the other, from the lowest up.
/// For the lowest, the stack is empty.
pub fn settle(
    into: BorrowedFd<'_>,
    unpacked: &Unpacked,
    lowers: &Stack,
    options: &UnpackOptions,
) -> Result<(), LayerError> {
    for link in &unpacked.pending_links {
        let path = link.path.as_os_str().as_bytes();
        let target = link.target.as_os_str().as_bytes();
        link_below(into, path, target, lowers, options)?;
    }
    for path in &unpacked.implied {
        adopt(into, path, lowers, options.ids)?;
    }
    if unpacked.opaque_root {
        hide_all(into, lowers, options.xattrs)?;
    }
    Ok(())
}

/// Gives a folder the attributes of the one below, if there is one.
fn adopt(into: BorrowedFd<'_>, path: &Path, lowers: &Stack, ids: Ids) -> Result<(), LayerError> {
    let shown = path.as_os_str().as_bytes();
    let Ok(Found::Folder(below)) = lowers.find(path, Last::Keep) else {
        return Ok(());
    };
    let Some(below) = below.top() else {
        return Ok(());
    };
    let folder = open_beneath(into, shown, OFlags::RDONLY | OFlags::DIRECTORY)
        .map_err(|e| LayerError::io("open", shown, e))?;
    let stat = fstat(below).map_err(|e| LayerError::io("read", shown, e))?;
    if ids == Ids::Keep {
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        fchown(&folder, Some(uid), Some(gid))
            .map_err(|e| LayerError::io("set the owner of", shown, e))?;
    }
    fchmod(&folder, Mode::from_raw_mode(stat.st_mode & 0o7777))
        .map_err(|e| LayerError::io("set the mode of", shown, e))?;
    copy_xattrs(Target::Open(below), Target::Open(folder.as_fd()), shown)?;
    futimens(&folder, &times(&stat)).map_err(|e| LayerError::io("set the time of", shown, e))
}

/// Copies a file of a layer below to its own name in this one, then links it: what link(2) does on
/// an overlay.
fn link_below(
    into: BorrowedFd<'_>,
    path: &[u8],
    target: &[u8],
    lowers: &Stack,
    options: &UnpackOptions,
) -> Result<(), LayerError> {
    let found = match lowers.find(Path::new(OsStr::from_bytes(target)), Last::Keep) {
        Ok(found @ Found::Other(_)) => found,
        Ok(Found::Folder(_)) => return Err(bad_link(path, target, "is a folder")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(bad_link(path, target, "does not exist"));
        }
        Err(e) => return Err(LayerError::io("read", target, e)),
    };
    let copying = CopyOptions {
        devices: options.devices,
        ids: options.ids,
        ..CopyOptions::default()
    };
    let (folder, name) = split(path);
    let to = Kept::open(into, folder)?;
    // Where this layer has the target's folder, the copy gets the target's name as well.
    let from = Kept::open(into, split(target).0);
    let Ok(from) = from else {
        let name = OsStr::from_bytes(name);
        copy_entry(lowers, &found, to.folder.as_fd(), name, &copying)?;
        return to.restore(folder);
    };
    let first = split(target).1;
    match copy_entry(
        lowers,
        &found,
        from.folder.as_fd(),
        OsStr::from_bytes(first),
        &copying,
    ) {
        Ok(_) => {}
        // An earlier link copied it.
        Err(LayerError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    linkat(&from.folder, first, &to.folder, name, AtFlags::empty())
        .map_err(|e| LayerError::io("make hard link", path, e))?;
    from.restore(split(target).0)?;
    to.restore(folder)
}

/// An open folder whose times are to stay.
struct Kept {
    folder: OwnedFd,
    stat: Stat,
}

impl Kept {
    fn open(into: BorrowedFd<'_>, path: &[u8]) -> Result<Self, LayerError> {
        let wrap = |e| LayerError::io("open", path, e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let shown = if path.is_empty() { b"." } else { path };
        let folder = open_beneath(into, shown, flags).map_err(wrap)?;
        let stat = fstat(&folder).map_err(wrap)?;
        Ok(Self { folder, stat })
    }

    fn restore(&self, path: &[u8]) -> Result<(), LayerError> {
        futimens(&self.folder, &times(&self.stat))
            .map_err(|e| LayerError::io("set the time of", path, e))
    }
}

fn bad_link(path: &[u8], target: &[u8], why: &str) -> LayerError {
    LayerError::Malformed {
        offset: 0,
        entry: printable(path),
        why: format!("it is a hard link to {}, which {why}", printable(target)),
    }
}

/// Overlayfs merges the roots of all layers, marked or not: hides every name below instead.
fn hide_all(into: BorrowedFd<'_>, lowers: &Stack, marks: XattrSpace) -> Result<(), LayerError> {
    let kept = Kept::open(into, b"")?;
    let list = |e| LayerError::io("list", b"", e);
    for item in lowers.items(lowers.root()).map_err(list)? {
        let name = item.name.as_bytes();
        match statat(&kept.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {
                let kind = FileType::CharacterDevice;
                mknodat(&kept.folder, name, kind, Mode::empty(), 0)
                    .map_err(|e| LayerError::io("make whiteout", name, e))?;
            }
            Err(e) => return Err(LayerError::io("read", name, e)),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let folder = openat(&kept.folder, name, flags, Mode::empty())
                    .map_err(|e| LayerError::io("open", name, e))?;
                Target::Open(folder.as_fd())
                    .set(marks.opaque().as_bytes(), b"y")
                    .map_err(|e| LayerError::io("make opaque", name, e))?;
            }
            Ok(_) => {}
        }
    }
    kept.restore(b"")
}

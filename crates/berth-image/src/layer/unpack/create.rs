//! Making files, folders, links and devices.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use berth_persist::{At, remove_tree};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, StatxAttributes, StatxFlags, linkat, makedev, mkdirat,
    mknodat, openat, statat, statx, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::super::LayerError;
use super::super::entry::{Attributes, Entry, Kind};
use super::super::error::printable;
use super::super::name::{Place, clean, join, place, split};
use super::{Devices, Made, Unpacker};

/// Data is written in pieces of at most this.
const WRITE_MAX: u64 = 1 << 30;
/// A whiteout that is a device, or a device that is a whiteout.
const NO_DEVICE: u64 = 0;

impl Unpacker<'_> {
    pub(super) fn file(
        &mut self,
        parent: &OwnedFd,
        path: &[u8],
        entry: &Entry,
    ) -> Result<(), LayerError> {
        let name = split(path).1;
        let mode = entry.attributes.mode & 0o777;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.create(parent, path, "make file", || {
            openat(parent, name, flags, Mode::from_raw_mode(mode))
        })?;
        match &entry.sparse {
            None => self.write(&file, path, None, entry.data_bytes)?,
            Some(map) => {
                for piece in &map.pieces {
                    self.write(&file, path, Some(piece.offset), piece.length)?;
                }
                rustix::fs::ftruncate(&file, map.size)
                    .map_err(|e| LayerError::io("write", path, e))?;
            }
        }
        let mode = self.births.mode(mode);
        self.dress_open(file.as_fd(), path, mode, &entry.attributes)
    }

    /// Writes out of the stream's own buffers.
    fn write(
        &mut self,
        file: &OwnedFd,
        path: &[u8],
        mut offset: Option<u64>,
        length: u64,
    ) -> Result<(), LayerError> {
        let mut left = length;
        while left > 0 {
            let data = self.archive.data(left.min(WRITE_MAX))?;
            let written = match offset {
                None => rustix::io::write(file, data),
                Some(offset) => rustix::io::pwrite(file, data, offset),
            };
            let written = match written {
                Err(Errno::INTR) => continue,
                other => other.map_err(|e| LayerError::io("write", path, e))?,
            };
            self.archive.consume(written);
            left -= written as u64;
            offset = offset.map(|offset| offset + written as u64);
        }
        Ok(())
    }

    pub(super) fn make_folder(
        &mut self,
        parent: &OwnedFd,
        path: Vec<u8>,
        attributes: Attributes,
    ) -> Result<(), LayerError> {
        if let Some(made) = self.made.get_mut(&path) {
            made.attributes = Some(attributes);
            return Ok(());
        }
        let name = split(&path).1;
        // Ours to enter until the end, without setgid, which new entries would inherit.
        let mode = attributes.mode & 0o777 | 0o700;
        let make = || mkdirat(parent, name, Mode::from_raw_mode(mode));
        let mut opaque = false;
        let mut born = self.births.mode(mode);
        match make() {
            Ok(()) => {}
            Err(Errno::EXIST) if self.folders.open(&path).is_ok() => born = u32::MAX,
            Err(Errno::EXIST) if self.below.is_some() => return Err(folder_over_file(&path)),
            Err(Errno::EXIST) => {
                opaque = self.whiteouts.contains(&path);
                self.clear(parent, &path)?;
                make().map_err(|e| LayerError::io("make folder", &path, e))?;
            }
            Err(e) => return Err(LayerError::io("make folder", &path, e)),
        }
        let made = Made {
            attributes: Some(attributes),
            mode: born,
            opaque,
        };
        self.made.insert(path, made);
        Ok(())
    }

    pub(super) fn symlink(
        &mut self,
        parent: &OwnedFd,
        path: &[u8],
        entry: &Entry,
    ) -> Result<(), LayerError> {
        if entry.link.is_empty() {
            return Err(self.archive.malformed("a symbolic link to nothing"));
        }
        let name = split(path).1;
        self.create(parent, path, "make link", || {
            symlinkat(entry.link.as_slice(), parent, name)
        })?;
        self.dress_entry(parent.as_fd(), name, path, None, &entry.attributes)
    }

    pub(super) fn node(
        &mut self,
        parent: &OwnedFd,
        path: &[u8],
        entry: &Entry,
    ) -> Result<(), LayerError> {
        let (kind, device) = match entry.kind {
            Kind::CharDevice(major, minor) => (FileType::CharacterDevice, makedev(major, minor)),
            Kind::BlockDevice(major, minor) => (FileType::BlockDevice, makedev(major, minor)),
            _ => (FileType::Fifo, NO_DEVICE),
        };
        let name = split(path).1;
        let mode = entry.attributes.mode & 0o777;
        let made = self.create(parent, path, "make device", || {
            mknodat(parent, name, kind, Mode::from_raw_mode(mode), device)
        });
        match made {
            Ok(()) => {}
            Err(LayerError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied
                    && self.options.devices == Devices::Skip =>
            {
                self.note(path, "a device, which only root may make, is left out");
                return Ok(());
            }
            Err(e) => return Err(e),
        }
        let mode = Some(self.births.mode(mode));
        self.dress_entry(parent.as_fd(), name, path, mode, &entry.attributes)
    }

    /// Makes a further name of a file. Its attributes are the file's.
    pub(super) fn hard_link(
        &mut self,
        parent: &OwnedFd,
        path: Vec<u8>,
        entry: &Entry,
    ) -> Result<(), LayerError> {
        let target = clean(&entry.link).map_err(|why| self.archive.malformed(why))?;
        let target = match &self.below {
            Some(below) => join(below, &target),
            None => target,
        };
        let placed = place(&target).map_err(|why| self.archive.malformed(why));
        if self.below.is_none() && !matches!(placed?, Place::At(_)) {
            return Err(self.archive.malformed("a hard link to no file"));
        }
        let (folder, name) = split(&target);
        let mut folder = folder.to_vec();
        let mut opened = self.folders.open(&folder);
        if matches!(opened, Err(Errno::LOOP)) {
            folder = self.follow(&folder)?;
            opened = self.folders.open(&folder);
        }
        let target = join(&folder, name);
        if target == path || self.whiteouts.contains(&target) {
            return Err(self
                .archive
                .malformed("a hard link to itself, or to what is removed"));
        }
        let made = match &opened {
            Ok(from) => self.link(from, name, parent, &path)?,
            Err(e) => Err(*e),
        };
        match made {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => {
                // The later of two entries wins, be it only when the layers below are there.
                if statat(parent, split(&path).1, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                    self.clear(parent, &path)?;
                }
                self.pending.push((path, target));
                Ok(())
            }
            Err(Errno::PERM) => Err(self.archive.malformed("a hard link to a folder")),
            Err(Errno::NOTDIR) => Err(self.not_a_folder(&folder)),
            Err(e) => Err(LayerError::io("make hard link", &path, e)),
        }
    }

    /// linkat(2) that takes the place of what is there, unless the target is missing.
    fn link(
        &mut self,
        from: &OwnedFd,
        target: &[u8],
        parent: &OwnedFd,
        path: &[u8],
    ) -> Result<Result<(), Errno>, LayerError> {
        let name = split(path).1;
        let make = || linkat(from, target, parent, name, AtFlags::empty());
        Ok(match make() {
            Err(Errno::EXIST) => {
                self.clear(parent, path)?;
                make()
            }
            other => other,
        })
    }

    /// Hides a path of the layers below.
    pub(super) fn whiteout(&mut self, folder: &[u8], name: &[u8]) -> Result<(), LayerError> {
        let (folder, parent) = self.folder(folder)?;
        let path = join(&folder, name);
        let kind = FileType::CharacterDevice;
        match mknodat(&*parent, name, kind, Mode::empty(), NO_DEVICE) {
            Ok(()) => {
                self.whiteouts.insert(path);
            }
            Err(Errno::EXIST) => {
                if let Some(made) = self.made.get_mut(&path) {
                    made.opaque = true;
                }
            }
            Err(e) => return Err(LayerError::io("make whiteout", &path, e)),
        }
        Ok(())
    }

    /// Makes an entry, in place of what has its name.
    fn create<T>(
        &mut self,
        parent: &OwnedFd,
        path: &[u8],
        action: &'static str,
        make: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, LayerError> {
        let made = match make() {
            Err(Errno::EXIST) => {
                self.clear(parent, path)?;
                make()
            }
            other => other,
        };
        made.map_err(|e| LayerError::io(action, path, e))
    }

    /// Takes away what an earlier entry made.
    fn clear(&mut self, parent: &OwnedFd, path: &[u8]) -> Result<(), LayerError> {
        let name = split(path).1;
        if self.below.is_some() {
            refuse_mounted(parent.as_fd(), name, path)?;
        }
        self.whiteouts.remove(path);
        match unlinkat(parent, name, AtFlags::empty()) {
            Err(Errno::ISDIR) if self.below.is_some() => return Err(file_over_folder(path)),
            Err(Errno::ISDIR) => {}
            other => return other.map_err(|e| LayerError::io("replace", path, e)),
        }
        remove_below(parent.as_fd(), name).map_err(|e| LayerError::io("replace", path, e))?;
        self.folders.forget(path);
        self.made.remove(path);
        // What begins with the path and a slash; the sign after the slash is the 0.
        let below = [path, b"/"].concat()..[path, b"0"].concat();
        let folders: Vec<Vec<u8>> = self
            .made
            .range(below.clone())
            .map(|m| m.0.clone())
            .collect();
        let whiteouts: Vec<Vec<u8>> = self.whiteouts.range(below).cloned().collect();
        for path in folders {
            self.made.remove(&path);
        }
        for path in whiteouts {
            self.whiteouts.remove(&path);
        }
        Ok(())
    }
}

/// A file cannot take the place of a folder that was there before.
pub(in super::super) fn file_over_folder(path: &[u8]) -> LayerError {
    LayerError::Conflict(format!(
        "cannot replace the folder {} with something that is no folder; remove it first",
        printable(path)
    ))
}

/// What is mounted on a file goes with the file (unlink(2)), unless that is in our own mount
/// namespace: it is not for us to take away.
pub(in super::super) fn refuse_mounted(
    folder: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<(), LayerError> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let found = match statx(folder, name, flags, StatxFlags::TYPE) {
        Err(Errno::NOENT) => return Ok(()),
        found => found.map_err(|e| LayerError::io("read", path, e))?,
    };
    if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(LayerError::Conflict(format!(
            "cannot replace {}: something is mounted there; change it where that comes from",
            printable(path)
        )));
    }
    Ok(())
}

/// A folder cannot take the place of a file that was there before.
pub(in super::super) fn folder_over_file(path: &[u8]) -> LayerError {
    LayerError::Conflict(format!(
        "cannot replace {}, which is no folder, with a folder; remove it first",
        printable(path)
    ))
}

/// Removes a folder of the layer.
pub(super) fn remove_below(parent: BorrowedFd<'_>, name: &[u8]) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let name = Path::new(std::ffi::OsStr::from_bytes(name));
    remove_tree("layer.entry.replace", At::below(parent, name))
}

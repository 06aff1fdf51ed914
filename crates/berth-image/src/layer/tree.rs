//! Copying folders: image content into a volume, `cp`, a file of a layer below into this one.
//!
//! Everything is taken over: owners, modes, times, attributes, hard links, holes. Content is shared
//! where the file system can (FICLONE), else copied within the kernel.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chownat, fchmod, fchown,
    fstat, futimens, ioctl_ficlone, linkat, mkdirat, mknodat, openat, readlinkat, statat,
    symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::data::copy_data;
use super::error::printable;
use super::fresh::Fresh;
use super::merged::{Folder, Found, Last, Other, Stack};
use super::name::split;
use super::unpack::{chmod_entry, file_over_folder, folder_over_file, refuse_mounted};
use super::walk::{Step, top, walk};
use super::xattr::{OVERLAY_PREFIXES, Target};
use super::{Devices, Ids, LayerError};

/// Capabilities of a file (capabilities(7)).
const CAPABILITIES: &[u8] = b"security.capability";

/// What happens to an entry that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It is an error.
    #[default]
    Refuse,
    /// Folders become one, anything else takes the place of what is no folder either.
    Merge,
}

/// Ids of a user namespace seen from outside: `from..from + size` there is `to..` here, or the
/// other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdShift {
    /// The first id as the source has it.
    pub from: u32,
    /// The same one as the destination has it.
    pub to: u32,
    /// How many there are.
    pub size: u32,
}

impl IdShift {
    fn apply(self, id: u32) -> Option<u32> {
        let offset = id.checked_sub(self.from)?;
        (offset < self.size).then(|| self.to.checked_add(offset))?
    }
}

/// How to copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Devices that may not be made.
    pub devices: Devices,
    /// Owners. What [`Ids::Squash`] gives to somebody else loses setuid, setgid and capabilities, as
    /// after chown(2).
    pub ids: Ids,
    /// What is there already.
    pub existing: Existing,
    /// How uids and gids are translated where owners are kept.
    pub shift: Option<(IdShift, IdShift)>,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Entries of all kinds.
    pub entries: u64,
    /// Bytes of files, holes included.
    pub bytes: u64,
    /// Devices and sockets that were left out.
    pub skipped: u64,
}

/// Copies the content of a folder of a stack into an open folder, whose own attributes become those
/// of the source. An entry that is there already is an error.
pub fn copy(
    from: &Stack,
    path: &Path,
    into: BorrowedFd<'_>,
    options: &CopyOptions,
) -> Result<Copied, LayerError> {
    let shown = path.as_os_str().as_bytes();
    let found = from
        .find(path, Last::Follow)
        .map_err(|e| LayerError::io("read", shown, e))?;
    let Found::Folder(folder) = found else {
        return Err(LayerError::io("copy", shown, Errno::NOTDIR));
    };
    let mut copier = Copier::new(options);
    copier.open.push(reopen(into)?);
    walk(from, &folder, &mut |path, step| copier.step(path, step))?;
    Ok(copier.copied)
}

/// Copies the content of a folder into an open folder, which keeps its own attributes.
pub fn copy_content(
    from: &Stack,
    folder: &Folder,
    into: BorrowedFd<'_>,
    options: &CopyOptions,
) -> Result<Copied, LayerError> {
    let mut copier = Copier::new(options);
    copier.open.push(reopen(into)?);
    copier.remember_target()?;
    walk(from, folder, &mut |path, step| match step {
        Step::Leave(..) if path.is_empty() => Ok(()),
        step => copier.step(path, step),
    })?;
    Ok(copier.copied)
}

/// Copies one entry, a folder with all its content, to a name, which is free
/// unless [`Existing::Merge`] says what happens.
pub fn copy_entry(
    from: &Stack,
    found: &Found,
    into: BorrowedFd<'_>,
    name: &OsStr,
    options: &CopyOptions,
) -> Result<Copied, LayerError> {
    let mut copier = Copier::new(options);
    copier.open.push(reopen(into)?);
    match found {
        Found::Other(other) => copier.other(name.as_bytes(), name.as_bytes(), other)?,
        Found::Folder(folder) => {
            copier.make_folder(name.as_bytes(), name.as_bytes())?;
            copier.remember_target()?;
            walk(from, folder, &mut |path, step| copier.step(path, step))?;
        }
    }
    Ok(copier.copied)
}

fn reopen(folder: BorrowedFd<'_>) -> Result<OwnedFd, LayerError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(folder, ".", flags, Mode::empty()) {
        // One that may be entered and written, but not listed.
        Err(Errno::ACCESS) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(folder, ".", flags, Mode::empty())
        }
        other => other,
    }
    .map_err(|e| LayerError::io("open", b"", e))
}

struct Copier<'a> {
    options: &'a CopyOptions,
    /// The new folders from the first down to the present one.
    open: Vec<OwnedFd>,
    /// Files with several names: where the first copy is.
    links: HashMap<(u64, u64), (OwnedFd, Vec<u8>)>,
    cloning: bool,
    copied: Copied,
    /// The folder that is copied into: below the source it would be copied without end.
    target: Option<(u64, u64)>,
}

impl<'a> Copier<'a> {
    fn new(options: &'a CopyOptions) -> Self {
        Self {
            options,
            open: Vec::new(),
            links: HashMap::new(),
            cloning: true,
            copied: Copied::default(),
            target: None,
        }
    }

    fn here(&self) -> Result<BorrowedFd<'_>, LayerError> {
        let none = || LayerError::io("open", b"", Errno::NOENT);
        self.open.last().map(AsFd::as_fd).ok_or_else(none)
    }

    fn step(&mut self, path: &[u8], step: Step<'_>) -> Result<(), LayerError> {
        match step {
            Step::Enter(_, stat) if self.target == Some((stat.st_dev, stat.st_ino)) => Err(
                LayerError::Conflict("the folder cannot be copied into itself".into()),
            ),
            Step::Enter(..) if path.is_empty() => Ok(()),
            Step::Enter(..) => self.make_folder(path, split(path).1),
            Step::Other(other) => self.other(path, split(path).1, other),
            Step::Leave(folder, stat) => self.leave(path, folder, stat),
        }
    }

    fn make_folder(&mut self, path: &[u8], name: &[u8]) -> Result<(), LayerError> {
        let here = self.here()?;
        let merging = match mkdirat(here, name, Mode::RWXU) {
            Err(Errno::EXIST) if self.options.existing == Existing::Merge => true,
            made => {
                made.map_err(|e| LayerError::io("make folder", path, e))?;
                false
            }
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match openat(here, name, flags, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) if merging => return Err(folder_over_file(path)),
            opened => opened.map_err(|e| LayerError::io("open", path, e))?,
        };
        self.open.push(folder);
        self.copied.entries += 1;
        Ok(())
    }

    fn leave(&mut self, path: &[u8], folder: &Folder, stat: &Stat) -> Result<(), LayerError> {
        let Some(made) = self.open.pop() else {
            return Ok(());
        };
        self.dress_open(made.as_fd(), path, stat, Target::Open(top(folder)?))
    }

    fn other(&mut self, path: &[u8], name: &[u8], other: &Other) -> Result<(), LayerError> {
        let kind = FileType::from_raw_mode(other.stat.st_mode);
        if kind == FileType::Socket {
            self.copied.skipped += 1;
            return Ok(());
        }
        let id = (other.stat.st_dev, other.stat.st_ino);
        let first = self.links.get(&id).filter(|_| other.stat.st_nlink > 1);
        let taken = self.check_room(path, name, other)?;
        if taken && (first.is_some() || kind != FileType::RegularFile) {
            self.make_room(path, name)?;
        }
        if let Some((folder, first)) = first {
            linkat(
                folder,
                first.as_slice(),
                self.here()?,
                name,
                AtFlags::empty(),
            )
            .map_err(|e| LayerError::io("make hard link", path, e))?;
            self.copied.entries += 1;
            return Ok(());
        }
        let made = match kind {
            FileType::RegularFile => self.file(path, name, other)?,
            FileType::Symlink => self.symlink(path, name, other)?,
            _ => self.node(path, name, other)?,
        };
        if !made {
            self.copied.skipped += 1;
            return Ok(());
        }
        self.copied.entries += 1;
        if other.stat.st_nlink > 1 {
            let folder = self.here()?.try_clone_to_owned();
            let folder = folder.map_err(|e| LayerError::io("open", path, e))?;
            self.links.insert(id, (folder, name.to_vec()));
        }
        Ok(())
    }

    fn remember_target(&mut self) -> Result<(), LayerError> {
        let stat = fstat(self.here()?).map_err(|e| LayerError::io("read", b"", e))?;
        self.target = Some((stat.st_dev, stat.st_ino));
        Ok(())
    }

    /// Whether something has the name of a new entry that may give way to it.
    fn check_room(&self, path: &[u8], name: &[u8], other: &Other) -> Result<bool, LayerError> {
        if self.options.existing == Existing::Refuse {
            return Ok(false);
        }
        let here = self.here()?;
        let there = match statat(here, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            found => found.map_err(|e| LayerError::io("read", path, e))?,
        };
        if (there.st_dev, there.st_ino) == (other.stat.st_dev, other.stat.st_ino) {
            return Err(LayerError::Conflict(format!(
                "{} would be copied onto itself",
                printable(path)
            )));
        }
        refuse_mounted(here, name, path)?;
        match FileType::from_raw_mode(there.st_mode) {
            FileType::Directory => Err(file_over_folder(path)),
            _ => Ok(true),
        }
    }

    /// Takes away what has the name of a new entry.
    fn make_room(&self, path: &[u8], name: &[u8]) -> Result<(), LayerError> {
        match unlinkat(self.here()?, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => Err(file_over_folder(path)),
            Err(e) => Err(LayerError::io("replace", path, e)),
        }
    }

    /// A file that may take the place of another has its name once it is whole: nobody looks into a
    /// folder that gets its own name at the end, but into this one.
    fn file(&mut self, path: &[u8], name: &[u8], other: &Other) -> Result<bool, LayerError> {
        let source = other.open().map_err(|e| LayerError::io("open", path, e))?;
        let cannot_make = |e| LayerError::io("make file", path, e);
        if self.options.existing == Existing::Refuse {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = openat(self.here()?, name, flags, Mode::RUSR | Mode::WUSR);
            let made = made.map_err(cannot_make)?;
            self.fill(path, source.as_fd(), made.as_fd())?;
            return Ok(true);
        }
        let here = self.here()?.try_clone_to_owned();
        let here = here.map_err(|e| LayerError::io("open", path, e))?;
        let fresh = Fresh::make(here.as_fd()).map_err(cannot_make)?;
        self.fill(path, source.as_fd(), fresh.file())?;
        fresh.publish(name).map_err(|e| match e {
            Errno::ISDIR => file_over_folder(path),
            e => LayerError::io("make file", path, e),
        })?;
        Ok(true)
    }

    /// Content and attributes of a new file.
    fn fill(
        &mut self,
        path: &[u8],
        source: BorrowedFd<'_>,
        made: BorrowedFd<'_>,
    ) -> Result<(), LayerError> {
        self.content(source, made)
            .map_err(|e| LayerError::io("copy", path, e))?;
        // As it is now: it may have grown since it was listed.
        let stat = fstat(source).map_err(|e| LayerError::io("read", path, e))?;
        self.copied.bytes += u64::try_from(stat.st_size).unwrap_or_default();
        self.dress_open(made, path, &stat, Target::Open(source))
    }

    fn content(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
        if self.cloning {
            match ioctl_ficlone(to, from) {
                Ok(()) => return Ok(()),
                // The next file would hear the same.
                Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY) => {
                    self.cloning = false;
                }
                Err(e) => return Err(e),
            }
        }
        copy_data(from, to)
    }

    fn symlink(&mut self, path: &[u8], name: &[u8], other: &Other) -> Result<bool, LayerError> {
        let target = readlinkat(&*other.parent, &*other.name, Vec::new())
            .map_err(|e| LayerError::io("read link", path, e))?;
        symlinkat(target, self.here()?, name).map_err(|e| LayerError::io("make link", path, e))?;
        self.dress_entry(path, name, other)?;
        Ok(true)
    }

    fn node(&mut self, path: &[u8], name: &[u8], other: &Other) -> Result<bool, LayerError> {
        let kind = FileType::from_raw_mode(other.stat.st_mode);
        let mode = Mode::from_raw_mode(other.stat.st_mode & 0o777);
        match mknodat(self.here()?, name, kind, mode, other.stat.st_rdev) {
            Ok(()) => {}
            Err(Errno::PERM) if self.options.devices == Devices::Skip => return Ok(false),
            Err(e) => return Err(LayerError::io("make device", path, e)),
        }
        chmod_entry(self.here()?, name, other.stat.st_mode & 0o7777)
            .map_err(|e| LayerError::io("set the mode of", path, e))?;
        self.dress_entry(path, name, other)?;
        Ok(true)
    }

    /// The owner to set, if there is one.
    fn owner(&self, stat: &Stat, path: &[u8]) -> Result<Option<(Uid, Gid)>, LayerError> {
        if self.options.ids == Ids::Squash {
            return Ok(None);
        }
        let shifted = match self.options.shift {
            None => Some((stat.st_uid, stat.st_gid)),
            Some((uid, gid)) => uid.apply(stat.st_uid).zip(gid.apply(stat.st_gid)),
        };
        let (uid, gid) =
            shifted.ok_or_else(|| LayerError::io("set the owner of", path, Errno::INVAL))?;
        Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid))))
    }

    /// Whether who owns the copy may not have what the source's owner gave to all: the right to
    /// act as that owner.
    fn disarms(&self, made: &Stat, source: &Stat) -> bool {
        let same = (made.st_uid, made.st_gid) == (source.st_uid, source.st_gid);
        self.options.ids == Ids::Squash && self.options.existing == Existing::Merge && !same
    }

    fn dress_open(
        &self,
        made: BorrowedFd<'_>,
        path: &[u8],
        stat: &Stat,
        source: Target<'_>,
    ) -> Result<(), LayerError> {
        if let Some((uid, gid)) = self.owner(stat, path)? {
            fchown(made, Some(uid), Some(gid))
                .map_err(|e| LayerError::io("set the owner of", path, e))?;
        }
        let now = fstat(made).map_err(|e| LayerError::io("read", path, e))?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let disarms = is_file && self.disarms(&now, stat);
        let mode = stat.st_mode & if disarms { 0o1777 } else { 0o7777 };
        fchmod(made, Mode::from_raw_mode(mode))
            .map_err(|e| LayerError::io("set the mode of", path, e))?;
        let without: &[&[u8]] = if disarms { &[CAPABILITIES] } else { &[] };
        copy_xattrs_but(source, Target::Open(made), path, without)?;
        futimens(made, &times(stat)).map_err(|e| LayerError::io("set the time of", path, e))
    }

    fn dress_entry(&self, path: &[u8], name: &[u8], other: &Other) -> Result<(), LayerError> {
        let here = self.here()?;
        if let Some((uid, gid)) = self.owner(&other.stat, path)? {
            chownat(here, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| LayerError::io("set the owner of", path, e))?;
        }
        let source = Target::Entry(other.parent.as_fd(), other.name.as_bytes());
        copy_xattrs(source, Target::Entry(here, name), path)?;
        utimensat(here, name, &times(&other.stat), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| LayerError::io("set the time of", path, e))
    }
}

/// Takes over extended attributes, save overlayfs' own. What the new file system or the caller's
/// rights do not allow is left out, as cp(1) does.
pub(super) fn copy_xattrs(from: Target<'_>, to: Target<'_>, path: &[u8]) -> Result<(), LayerError> {
    copy_xattrs_but(from, to, path, &[])
}

fn copy_xattrs_but(
    from: Target<'_>,
    to: Target<'_>,
    path: &[u8],
    without: &[&[u8]],
) -> Result<(), LayerError> {
    let all = from
        .all()
        .map_err(|e| LayerError::io("read the attributes of", path, e))?;
    for (name, value) in all {
        let is_overlays = OVERLAY_PREFIXES.iter().any(|p| name.starts_with(p));
        if is_overlays || without.contains(&name.as_slice()) {
            continue;
        }
        match to.set(&name, &value) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(LayerError::io("set an attribute of", path, e)),
        }
    }
    Ok(())
}

pub(super) fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime,
            tv_nsec: nanoseconds(stat.st_atime_nsec),
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: nanoseconds(stat.st_mtime_nsec),
        },
    }
}

fn nanoseconds(value: u64) -> i64 {
    i64::try_from(value).unwrap_or_default()
}

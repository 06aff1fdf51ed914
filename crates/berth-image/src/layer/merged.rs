//! Stacked layers read without a mount, as overlayfs would show them.
//!
//! Reads folders by descriptor, name by name: no link is followed by the kernel, so that nothing
//! outside of the stack can be reached. Trusts the layers to be well-formed (no redirects, no
//! metadata-only files: Berth's mounts make none), not their content.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, fstatfs, openat, readlinkat, statat,
};
use rustix::io::Errno;

use super::XattrSpace;
use super::xattr::Target;

/// As many links as Linux follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Layer folders, one upon the other.
#[derive(Clone, Debug)]
pub struct Stack {
    root: Folder,
    /// Where marks are; `None` for a single folder without any.
    marks: Option<XattrSpace>,
    /// The file system of the folder that is listed from, where what is in memory is left out.
    listed_from: Option<u64>,
}

/// File systems of the kernel's, and in memory (linux/magic.h): procfs, sysfs, cgroup, cgroup2,
/// devpts, mqueue, securityfs, debugfs, tracefs, bpf, ramfs, tmpfs.
const IN_MEMORY: [u64; 12] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x1cd1,
    0x1980_0202,
    0x7363_6673,
    0x6462_6720,
    0x7472_6163,
    0xcafe_4a11,
    0x8584_58f6,
    0x0102_1994,
];

/// A folder of a stack: the folders of all layers that show through.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The topmost first.
    parts: Vec<Arc<OwnedFd>>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Found {
    /// A folder.
    Folder(Folder),
    /// Anything else.
    Other(Other),
}

/// An entry that is no folder.
#[derive(Clone, Debug)]
pub struct Other {
    /// The layer's folder that holds it.
    pub parent: Arc<OwnedFd>,
    /// Its name there.
    pub name: OsString,
    /// What it is.
    pub stat: Stat,
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The name.
    pub name: OsString,
    /// What it is.
    pub file_type: FileType,
}

/// Whether the last name of a path may be a link that counts as its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Follow it.
    Follow,
    /// It is meant itself.
    Keep,
}

impl Stack {
    /// Stacks layer folders, the topmost first.
    pub fn new(layers: Vec<OwnedFd>, marks: XattrSpace) -> io::Result<Self> {
        Self::of(layers, Some(marks))
    }

    /// A single folder as it is: a device 0:0 is just that, and no attribute means anything.
    pub fn plain(folder: OwnedFd) -> io::Result<Self> {
        Self::of(vec![folder], None)
    }

    fn of(layers: Vec<OwnedFd>, marks: Option<XattrSpace>) -> io::Result<Self> {
        let mut parts = Vec::with_capacity(layers.len());
        for layer in layers {
            // Descriptors of paths cannot be read.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            parts.push(Arc::new(openat(layer, ".", flags, Mode::empty())?));
        }
        let root = Folder { parts };
        Ok(Self {
            root,
            marks,
            listed_from: None,
        })
    }

    /// The same, whose folders look empty to [`Self::items`] where a file system of the kernel's or
    /// in memory begins: /proc, /dev, a tmpfs. `start` itself may be on one.
    pub fn without_memory(mut self, start: &Folder) -> io::Result<Self> {
        let top = start.top().ok_or(Errno::NOENT)?;
        self.listed_from = Some(fstat(top)?.st_dev);
        Ok(self)
    }

    fn leaves_out(&self, folder: &Folder) -> io::Result<bool> {
        let (Some(start), Some(top)) = (self.listed_from, folder.top()) else {
            return Ok(false);
        };
        if fstat(top)?.st_dev == start {
            return Ok(false);
        }
        // A number of 32 bits, whatever the type of the field.
        let kind = u64::try_from(fstatfs(top)?.f_type).unwrap_or_default() & 0xffff_ffff;
        Ok(IN_MEMORY.contains(&kind))
    }

    /// The root folder.
    pub const fn root(&self) -> &Folder {
        &self.root
    }

    /// Resolves a path from the root, links and `..` included, as a process that has it for its root
    /// would.
    pub fn find(&self, path: &Path, last: Last) -> io::Result<Found> {
        let mut left = reversed(path.as_os_str().as_bytes());
        let mut above: Vec<Folder> = Vec::new();
        let mut here = self.root.clone();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    here = above.pop().unwrap_or(here);
                    continue;
                }
                _ => {}
            }
            let name = OsStr::from_bytes(&part);
            match self.child(&here, name)?.ok_or(Errno::NOENT)? {
                Found::Folder(folder) => above.push(std::mem::replace(&mut here, folder)),
                Found::Other(other) => {
                    let ended = left.iter().all(|part| part.is_empty());
                    let link = FileType::from_raw_mode(other.stat.st_mode) == FileType::Symlink;
                    if link && !(ended && last == Last::Keep) {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(Errno::LOOP.into());
                        }
                        let target = readlinkat(&*other.parent, name, Vec::new())?.into_bytes();
                        if target.starts_with(b"/") {
                            here = self.root.clone();
                            above.clear();
                        }
                        left.extend(reversed(&target));
                    } else if ended {
                        return Ok(Found::Other(other));
                    } else {
                        return Err(Errno::NOTDIR.into());
                    }
                }
            }
        }
        Ok(Found::Folder(here))
    }

    /// Looks a single name up. `None` where there is none, or a whiteout.
    pub fn child(&self, folder: &Folder, name: &OsStr) -> io::Result<Option<Found>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut parts = Vec::new();
        for (at, part) in folder.parts.iter().enumerate() {
            match openat(part, name, flags, Mode::empty()) {
                Ok(next) => {
                    let below = at + 1 < folder.parts.len();
                    let ends = below && self.is_opaque(next.as_fd());
                    parts.push(Arc::new(next));
                    if ends {
                        break;
                    }
                }
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR | Errno::LOOP) if parts.is_empty() => {
                    let stat = statat(part, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    if self.marks.is_some() && is_whiteout(&stat) {
                        return Ok(None);
                    }
                    return Ok(Some(Found::Other(Other {
                        parent: Arc::clone(part),
                        name: name.to_owned(),
                        stat,
                    })));
                }
                // a file or a whiteout below a folder ends it
                Err(Errno::NOTDIR | Errno::LOOP) => break,
                Err(e) => return Err(e.into()),
            }
        }
        Ok((!parts.is_empty()).then_some(Found::Folder(Folder { parts })))
    }

    fn is_opaque(&self, folder: BorrowedFd<'_>) -> bool {
        self.marks.is_some_and(|marks| is_opaque(folder, marks))
    }

    /// stat(2).
    pub fn metadata(&self, path: &Path) -> io::Result<Stat> {
        self.find(path, Last::Follow)?.stat()
    }

    /// lstat(2).
    pub fn symlink_metadata(&self, path: &Path) -> io::Result<Stat> {
        self.find(path, Last::Keep)?.stat()
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        match self.find(path, Last::Follow)? {
            Found::Folder(_) => Err(Errno::ISDIR.into()),
            Found::Other(other) => other.open(),
        }
    }

    /// The names in a folder, in order.
    pub fn read_dir(&self, path: &Path) -> io::Result<Vec<Item>> {
        match self.find(path, Last::Follow)? {
            Found::Folder(folder) => self.items(&folder),
            Found::Other(_) => Err(Errno::NOTDIR.into()),
        }
    }

    /// The names in a folder that was found, in order.
    pub fn items(&self, folder: &Folder) -> io::Result<Vec<Item>> {
        let mut all: BTreeMap<Vec<u8>, Option<FileType>> = BTreeMap::new();
        if self.leaves_out(folder)? {
            return Ok(Vec::new());
        }
        for part in &folder.parts {
            for entry in Dir::read_from(part)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." || all.contains_key(name) {
                    continue;
                }
                let mut kind = Some(entry.file_type());
                if matches!(kind, Some(FileType::Unknown | FileType::CharacterDevice)) {
                    let stat = statat(part, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    let gone = self.marks.is_some() && is_whiteout(&stat);
                    kind = (!gone).then(|| FileType::from_raw_mode(stat.st_mode));
                }
                all.insert(name.to_vec(), kind);
            }
        }
        let shown = all.into_iter().filter_map(|(name, kind)| {
            Some(Item {
                name: OsString::from_vec(name),
                file_type: kind?,
            })
        });
        Ok(shown.collect())
    }
}

impl Folder {
    /// The folder of the topmost layer that has it: its attributes count.
    pub fn top(&self) -> Option<BorrowedFd<'_>> {
        self.parts.first().map(AsFd::as_fd)
    }
}

impl Found {
    /// What it is.
    pub fn stat(&self) -> io::Result<Stat> {
        match self {
            Self::Folder(folder) => Ok(fstat(folder.top().ok_or(Errno::NOENT)?)?),
            Self::Other(other) => Ok(other.stat),
        }
    }
}

impl Other {
    /// Opens a regular file; anything else is an error, and no device or pipe is touched.
    pub fn open(&self) -> io::Result<File> {
        if FileType::from_raw_mode(self.stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        // Held before it is opened: who may write the folder could put a device there meanwhile.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = openat(&*self.parent, &*self.name, flags, Mode::empty())?;
        let now = fstat(&held)?;
        let is_same = (now.st_dev, now.st_ino) == (self.stat.st_dev, self.stat.st_ino);
        if !is_same || FileType::from_raw_mode(now.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it was replaced while it was opened"));
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        Ok(File::from(berth_sys::reopen(held.as_fd(), flags)?))
    }
}

/// Whether this is how overlayfs writes "nothing here".
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether a folder hides what is below it.
pub(super) fn is_opaque(folder: BorrowedFd<'_>, marks: XattrSpace) -> bool {
    let name = marks.opaque().as_bytes();
    Target::Open(folder).value(name).is_ok_and(|v| v == b"y")
}

fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/')
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

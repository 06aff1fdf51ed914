//! Copying up: an empty volume gets what the image has in its place.
//!
//! Whoever mounts a volume locks its folder first, for as long as it fills it. A volume that no
//! container has holds the file `filling` meanwhile. Found by whoever has the lock, that file says
//! that somebody died filling: what is there is a part, and nobody else's, since who came later would
//! have found the file too.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::state::VolumeName;
use berth_base::{ContainerId, ErrorClass};
use berth_persist::{At, Durability, Op, perform, remove_tree, replace};
use rustix::fs::{Dir, FlockOperation, Mode, OFlags, ResolveFlags, flock, openat2};

use super::backing::backing;
use super::error;
use super::store::{FILLING, Volumes, try_lock};
use crate::options::{VolumeBacking, VolumeMount};
use crate::{Engine, EngineError};

/// A volume that is to be filled from the image.
#[derive(Debug)]
pub(crate) struct CopyUp {
    volume: VolumeName,
    target: String,
    data: OwnedFd,
    /// The volume's folder, which is locked.
    folder: PathBuf,
    /// Whether a crash meanwhile is to be found.
    marked: bool,
    durability: Durability,
    _lock: File,
}

impl CopyUp {
    /// The path in the image whose content it gets; there may be nothing.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The empty folder that is to be filled.
    pub(crate) fn data(&self) -> BorrowedFd<'_> {
        self.data.as_fd()
    }

    /// Says that copying begins, before anything is copied. Where the image has nothing at the
    /// target this is not called, and nothing is written.
    pub(crate) fn begin(&self) -> Result<(), EngineError> {
        if !self.marked {
            return Ok(());
        }
        let point = "volume.fill.begin";
        replace(point, &self.folder, FILLING, b"", self.durability).map_err(error::persist)
    }

    /// Says that it is whole. What is in the volume survives a loss of power from here on, unless the
    /// volume itself need not.
    pub(crate) fn finish(self) -> Result<(), EngineError> {
        let failed = |e| error::io("finish filling", &self.folder, e);
        if self.durability == Durability::Power {
            let data = self.data.as_fd();
            perform("volume.fill.sync", Op::SyncFilesystem(data)).map_err(failed)?;
        }
        if self.marked {
            unmark("volume.fill.finish", &self.folder, self.durability).map_err(failed)?;
        }
        Ok(())
    }
}

impl Engine {
    /// Waits until nobody fills a volume, and answers what this container is to fill: the volume,
    /// where it is empty.
    pub(super) fn copy_up(
        &self,
        id: &ContainerId,
        volume: &VolumeMount,
        durability: Durability,
    ) -> Result<Option<CopyUp>, EngineError> {
        let (Some(VolumeBacking::Folder { path, .. }), Some(name)) =
            (&volume.backing, &volume.name)
        else {
            return Ok(None);
        };
        let folder = Volumes::of(self).folder(name);
        // by path: a folder of ours
        let lock =
            berth_persist::open_folder(&folder).map_err(|e| error::io("open", &folder, e))?;
        wait_lock(&lock).map_err(|e| error::io("lock", &folder, e))?;
        // by path: a file of ours, beside what containers can write
        if folder.join(FILLING).exists() {
            let emptied =
                clear(path).and_then(|()| unmark("volume.fill.undo", &folder, durability));
            emptied.map_err(|e| error::io("clear", path, e))?;
        }
        if volume.no_copy || volume.subpath.is_some() {
            return Ok(None);
        }
        // by path: the volume's folder itself; nothing in it is followed
        let data = berth_persist::open_folder(path).map_err(|e| error::io("open", path, e))?;
        let data = OwnedFd::from(data);
        if !is_empty(data.as_fd()).map_err(|e| error::io("read", path, e))? {
            return Ok(None);
        }
        // What others write meanwhile is theirs: a crash then leaves a part, and nobody clears it.
        let uses = self.volume_uses(Some(id))?;
        let marked = uses.of(name).is_empty() && uses.unreadable.is_empty();
        Ok(Some(CopyUp {
            volume: name.clone(),
            target: volume.target.clone(),
            data,
            folder,
            marked,
            durability,
            _lock: lock,
        }))
    }

    /// Empties the volumes that somebody died filling, so that they are filled anew.
    pub(super) fn recover_fills(&self) -> Vec<EngineError> {
        let volumes = Volumes::of(self);
        let mut errors = Vec::new();
        for name in volumes.names().unwrap_or_default() {
            let folder = volumes.folder(&name);
            // by path: a file and a folder of ours
            if !folder.join(FILLING).exists() {
                continue;
            }
            // by path: a folder of ours
            let Ok(lock) = berth_persist::open_folder(&folder) else {
                continue;
            };
            let data = match volumes.read(&name) {
                Ok(Some(file)) => backing(&file.options, &volumes.data(&name)).ok(),
                _ => None,
            };
            if let Some(VolumeBacking::Folder { path, .. }) = data
                && try_lock(&lock)
            {
                let point = "volume.recover.fill";
                let done = clear(&path).and_then(|()| unmark(point, &folder, Durability::Power));
                errors.extend(done.err().map(|e| error::io("clear", &folder, e)));
            }
        }
        errors
    }
}

/// Takes the mark away, for good: were it to come back after a loss of power, what containers have
/// written since would be taken for a part of a copy.
fn unmark(point: &'static str, folder: &Path, durability: Durability) -> io::Result<()> {
    let marker = folder.join(FILLING);
    perform(point, Op::Unlink(At::path(&marker)))?;
    if durability == Durability::Power {
        // by path: a folder of ours
        let folder = berth_persist::open_folder(folder)?;
        perform("volume.fill.settle", Op::SyncDir(folder.as_fd()))?;
    }
    Ok(())
}

/// A subpath must be there when the container is made; the runtime opens it anew, below the volume.
pub(super) fn check_subpath(volume: &VolumeMount) -> Result<(), EngineError> {
    let (Some(subpath), Some(VolumeBacking::Folder { path, .. }), Some(name)) =
        (&volume.subpath, &volume.backing, &volume.name)
    else {
        return Ok(());
    };
    // by path: the volume's folder itself
    let base = berth_persist::open_folder(path).map_err(|e| error::io("open", path, e))?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(&base, Path::new(subpath), flags, Mode::empty(), resolve) {
        Ok(_) => Ok(()),
        Err(errno) => {
            let why = match errno {
                rustix::io::Errno::XDEV => {
                    "it leads out of the volume; name what lies inside".to_owned()
                }
                rustix::io::Errno::NOENT => {
                    "there is nothing; create it in the volume first".to_owned()
                }
                other => format!("{}; choose another part", io::Error::from(other)),
            };
            let text = format!("cannot mount {subpath:?} of volume {name}: {why}");
            Err(EngineError::new(ErrorClass::NotFound, text).on(name.as_str()))
        }
    }
}

fn wait_lock(folder: &File) -> io::Result<()> {
    loop {
        match flock(folder, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn entries(folder: BorrowedFd<'_>) -> io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn is_empty(folder: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(entries(folder)?.is_empty())
}

/// Removes everything in a folder, not the folder.
fn clear(folder: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    // by path: the volume's folder itself; what lies in it goes by descriptor
    let open = berth_persist::open_folder(folder)?;
    for name in entries(open.as_fd())? {
        let name = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        remove_tree("volume.fill.clear", At::below(open.as_fd(), name))?;
    }
    Ok(())
}

impl CopyUp {
    /// A failure to copy.
    pub(crate) fn failed(&self, why: &io::Error) -> EngineError {
        let text = format!(
            "cannot copy {} of the image into volume {}: {why}; leave that out with nocopy",
            self.target, self.volume
        );
        EngineError::new(ErrorClass::Unavailable, text).on(self.volume.as_str())
    }
}

//! The store's lock, and locks on single files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::ImageStore;
use crate::ImageError;

/// What the holder of the lock is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Write down that something is needed, outside of the index.
    Pin,
    /// Change the index, or remove what nothing needs.
    Change,
}

/// The store's lock, held until it is dropped.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
    access: Access,
}

impl StoreLock {
    fn wait(file: File, path: &Path, access: Access) -> Result<Self, ImageError> {
        let operation = match access {
            Access::Pin => FlockOperation::LockShared,
            Access::Change => FlockOperation::LockExclusive,
        };
        retry(|| flock(&file, operation)).map_err(|e| ImageError::io("lock", path, e.into()))?;
        Ok(Self {
            _file: file,
            access,
        })
    }

    /// What it was taken for.
    pub(super) const fn access(&self) -> Access {
        self.access
    }
}

impl ImageStore {
    /// Waits for the store's lock. Held for moments only, never across a download or an unpack.
    pub fn lock(&self, access: Access) -> Result<StoreLock, ImageError> {
        self.ensure()?;
        let path = self.work().join("lock");
        StoreLock::wait(open_lock(&path)?, &path, access)
    }

    /// As [`Self::lock`], where there is a store: it makes none, so that nobody who is removing it
    /// finds it again.
    pub(super) fn lock_if_there(&self, access: Access) -> Result<Option<StoreLock>, ImageError> {
        let path = self.work().join("lock");
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => StoreLock::wait(file, &path, access).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ImageError::io("open", &path, e)),
        }
    }
}

/// Opens a file to be locked, making it if need be.
pub(super) fn open_lock(path: &Path) -> Result<File, ImageError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| ImageError::io("open", path, e))
}

/// Locks a file whose holder may rename or remove it while others wait: the one that is at `path`
/// once the lock is held. `waiting` is called when somebody else has it.
pub(super) fn lock_at(path: &Path, mut waiting: impl FnMut()) -> Result<File, ImageError> {
    loop {
        let file = open_lock(path)?;
        let failed = |e: rustix::io::Errno| ImageError::io("lock", path, e.into());
        match retry(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN) => {
                waiting();
                retry(|| flock(&file, FlockOperation::LockExclusive)).map_err(failed)?;
            }
            Err(e) => return Err(failed(e)),
        }
        if is_at(&file, path).map_err(|e| ImageError::io("read", path, e))? {
            return Ok(file);
        }
    }
}

/// Whether somebody holds the lock of a file; one that is gone is held by nobody.
pub(super) fn try_lock(path: &Path) -> Option<File> {
    let file = berth_persist::open(path).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

/// Locks a file as [`lock_at`] does, unless somebody else has it.
pub(super) fn try_lock_at(path: &Path) -> Result<Option<File>, ImageError> {
    let file = open_lock(path)?;
    if retry(|| flock(&file, FlockOperation::NonBlockingLockExclusive)).is_err() {
        return Ok(None);
    }
    let ours = is_at(&file, path).map_err(|e| ImageError::io("read", path, e))?;
    Ok(ours.then_some(file))
}

/// Whether a path still leads to this file.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(found.ino() == held.ino() && found.dev() == held.dev()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn retry(mut call: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return other,
        }
    }
}

//! flock(2) as a guard argument: who holds the guard may write.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use berth_base::ContainerId;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::{Store, StoreError, make_dirs};

/// A lock is a file of ours, never behind a link: one that leads nowhere would be looked for again
/// and again.
const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// An exclusive lock on a file, released when dropped or when the process ends.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl FileLock {
    /// Waits for the lock; the file is made when missing and never removed.
    pub(crate) fn acquire(path: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(NO_FOLLOW)
            .open(path)
            .map_err(|e| StoreError::io("open", path, e))?;
        exclusive(&file).map_err(|e| StoreError::io("lock", path, e))?;
        Ok(Self { file })
    }
}

/// The right to write one container's files.
#[derive(Debug)]
pub(crate) struct ContainerLock {
    id: ContainerId,
    _lock: FileLock,
}

impl ContainerLock {
    pub(crate) const fn id(&self) -> &ContainerId {
        &self.id
    }
}

impl Store {
    /// Waits for a container's lock. The volatile folder that holds it is made when missing
    /// (after a reboot).
    ///
    /// A remover renames the folder away while it holds the lock, so whoever waited holds a lock
    /// on a file that is no longer in its place: then the container is looked up again.
    pub(crate) fn lock(&self, id: &ContainerId) -> Result<ContainerLock, StoreError> {
        loop {
            if !self.exists(id) {
                return Err(StoreError::NoContainer(id.short().to_owned()));
            }
            let dir = self.volatile_dir(id);
            match make_dirs("container.volatile.make", &dir) {
                Ok(()) => {}
                // It was there, and was removed before it was looked at.
                Err(StoreError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists && !is_other(&dir) =>
                {
                    continue;
                }
                Err(_) if is_other(&dir) => {
                    clear(&dir)?;
                    continue;
                }
                Err(e) => return Err(e),
            }
            let path = dir.join("lock");
            let lock = match FileLock::acquire(&path) {
                Ok(lock) => lock,
                Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    continue;
                }
                Err(_) if is_no_lock(&path) => {
                    clear(&path)?;
                    continue;
                }
                Err(e) => return Err(e),
            };
            if !in_place(&lock.file, &path) {
                continue;
            }
            if !self.exists(id) {
                // Removed since we asked: the folder is one that we have made anew, or another who
                // came too late as we did. Nobody else gets a lock in it while we hold this one.
                super::remove_tree("container.volatile.late", &dir)?;
                return Err(StoreError::NoContainer(id.short().to_owned()));
            }
            return Ok(ContainerLock {
                id: id.clone(),
                _lock: lock,
            });
        }
    }
}

/// Whether something stands there that is no folder.
fn is_other(path: &Path) -> bool {
    std::fs::metadata(path).map_or_else(|_| path.is_symlink(), |found| !found.is_dir())
}

/// Whether something stands there that cannot be a lock.
fn is_no_lock(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file())
}

/// Takes away what stands in the place of a folder or a lock that hold nothing which could be lost.
fn clear(path: &Path) -> Result<(), StoreError> {
    super::remove_tree("container.volatile.clear", path)
}

fn in_place(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(found)) => held.ino() == found.ino() && held.dev() == found.dev(),
        _ => false,
    }
}

/// Whether some process holds a lock on a folder.
pub(super) fn is_locked(dir: &Path) -> bool {
    berth_persist::open_folder(dir).is_ok_and(|file| {
        matches!(
            flock(&file, FlockOperation::NonBlockingLockExclusive),
            Err(rustix::io::Errno::WOULDBLOCK)
        )
    })
}

/// Locks an open file or folder, waiting for it.
pub(super) fn exclusive(file: &File) -> io::Result<()> {
    loop {
        match flock(file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A remover that comes while another removes used to make the volatile folder anew, and to
    /// leave it there.
    #[test]
    fn who_comes_too_late_leaves_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("root"), folder.path().join("state"));
        store.ensure().unwrap();
        for round in 0..2_000_u32 {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&round.to_le_bytes());
            let id = ContainerId::from_bytes(bytes);
            std::fs::create_dir(store.persistent_dir(&id)).unwrap();
            let remove = || match store.lock(&id) {
                Ok(lock) if store.exists(&id) => assert!(store.erase(&lock, None).is_empty()),
                Ok(_) => panic!("a lock on what is gone"),
                Err(error) => assert!(matches!(error, StoreError::NoContainer(_)), "{error}"),
            };
            std::thread::scope(|scope| {
                scope.spawn(remove);
                scope.spawn(remove);
            });
            assert!(!store.volatile_dir(&id).exists(), "round {round}");
        }
    }

    /// Such a lock used to be waited for for ever, or to keep a container from being removed.
    #[test]
    fn what_is_no_lock_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("root"), folder.path().join("state"));
        store.ensure().unwrap();
        let id = ContainerId::from_bytes([1; 32]);
        std::fs::create_dir(store.persistent_dir(&id)).unwrap();
        let dir = store.volatile_dir(&id);
        let link = |path: &Path| std::os::unix::fs::symlink("/nowhere/at/all", path).unwrap();
        let filled = |path: &Path| std::fs::create_dir_all(path.join("x")).unwrap();
        let file = |path: &Path| std::fs::write(path, "").unwrap();
        for place in [dir.join("lock"), dir.clone()] {
            let wrongs: [&dyn Fn(&Path); 2] = match place == dir {
                true => [&link, &file],
                false => [&link, &filled],
            };
            for wrong in wrongs {
                super::super::remove_tree("test", &place).unwrap();
                std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                wrong(&place);
                drop(store.lock(&id).unwrap());
                assert!(dir.join("lock").is_file());
            }
        }
    }
}

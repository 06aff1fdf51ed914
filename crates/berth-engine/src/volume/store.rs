//! The folders of the volumes: made whole, renamed, swept.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use berth_base::ErrorClass;
use berth_base::state::{STATE_VERSION, VolumeFile, VolumeName};
use berth_persist::{
    At, Durability, Op, Replace, perform, remove_tree, replace, sweep_temporaries,
};
use rustix::fs::{FlockOperation, flock};

use super::size::size_of;
use super::{Volume, error};
use crate::store::FileLock;
use crate::{Engine, EngineError};

/// Where the files of a volume are, below its folder.
const DATA: &str = "_data";
/// The record.
const RECORD: &str = "volume.json";
/// There while the files of an image are copied into a volume.
pub(super) const FILLING: &str = "filling";
/// How the folders begin that are half made and half removed.
const MAKING: &str = ".making-";
const REMOVING: &str = ".removing-";

/// `ROOT/volumes`.
#[derive(Clone, Debug)]
pub(crate) struct Volumes {
    root: PathBuf,
}

/// The right to make and to remove volumes.
#[derive(Debug)]
pub(crate) struct VolumesLock(#[expect(dead_code, reason = "held, not read")] FileLock);

/// A volume that is out of sight and only has to be deleted. Locked, so that no sweep is in the way.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) name: VolumeName,
    pub(super) folder: PathBuf,
    _lock: File,
}

impl Volumes {
    pub(super) fn of(engine: &Engine) -> Self {
        Self::at(engine.store().root().join("volumes"))
    }

    pub(super) const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn folder(&self, name: &VolumeName) -> PathBuf {
        self.root.join(name.as_str())
    }

    pub(super) fn data(&self, name: &VolumeName) -> PathBuf {
        self.folder(name).join(DATA)
    }

    pub(super) fn volume(&self, file: VolumeFile) -> Volume {
        let mountpoint = self.data(&file.name);
        Volume { file, mountpoint }
    }

    /// Waits for the lock; makes the folder of all volumes, whose parent exists.
    pub(super) fn lock(&self) -> Result<VolumesLock, EngineError> {
        if !self.any() {
            self.make_folder()?;
        }
        Ok(VolumesLock(FileLock::acquire(&self.root.join(".lock"))?))
    }

    fn make_folder(&self) -> Result<(), EngineError> {
        let make = Op::MakeDir(At::path(&self.root), 0o700);
        match perform("volume.folder.make", make) {
            Ok(()) => {}
            // Somebody else was faster.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(e) => return Err(error::io("make", &self.root, e)),
        }
        let parent = self.root.parent().unwrap_or(&self.root);
        berth_persist::open_folder(parent)
            .and_then(|parent| perform("volume.folder.sync", Op::SyncDir(parent.as_fd())))
            .map_err(|e| error::io("sync", parent, e))
    }

    /// Whether there may be something to do for a sweep.
    pub(super) fn any(&self) -> bool {
        self.root.is_dir()
    }

    /// The names of all volumes, sorted.
    pub(super) fn names(&self) -> Result<Vec<VolumeName>, EngineError> {
        let mut names: Vec<VolumeName> = self
            .entries()?
            .iter()
            .filter_map(|entry| entry.parse().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    fn entries(&self) -> Result<Vec<String>, EngineError> {
        let list = |e| error::io("list", &self.root, e);
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(list(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(list)?.file_name().into_string().ok());
        }
        Ok(names)
    }

    /// Whether a volume exists, readable or not.
    pub(super) fn has(&self, name: &VolumeName) -> bool {
        self.folder(name).is_dir()
    }

    /// Reads a record; `None` where there is no volume.
    pub(super) fn read(&self, name: &VolumeName) -> Result<Option<VolumeFile>, EngineError> {
        #[derive(serde::Deserialize)]
        struct VersionOnly {
            version: u32,
        }
        let path = self.folder(name).join(RECORD);
        let bytes = match berth_persist::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.has(name) => return Ok(None),
            Err(e) => return Err(error::io("read", &path, e)),
        };
        if let Ok(only) = serde_json::from_slice::<VersionOnly>(&bytes)
            && only.version > STATE_VERSION
        {
            let text = format!(
                "cannot read {}: it has version {}, this berth reads up to {STATE_VERSION}; use the newer berth that wrote it",
                path.display(),
                only.version
            );
            return Err(EngineError::new(ErrorClass::Unsupported, text).on(name.as_str()));
        }
        let file: VolumeFile =
            serde_json::from_slice(&bytes).map_err(|e| error::damaged(&path, name, &e))?;
        Ok(Some(file))
    }

    /// Makes a volume under a hidden name and gives it its place.
    pub(super) fn make(
        &self,
        _lock: &VolumesLock,
        file: &VolumeFile,
        durability: Durability,
    ) -> Result<(), EngineError> {
        let hidden = self.root.join(format!("{MAKING}{}", file.name));
        // Whoever made one before us and died held the lock that is ours now.
        remove_data("volume.create.leftover", &hidden)?;
        self.build(file, &hidden, durability).inspect_err(|_| {
            // Nobody sees it; what cannot be removed now, a sweep removes.
            drop(remove_data("volume.create.undo", &hidden));
        })
    }

    fn build(
        &self,
        file: &VolumeFile,
        hidden: &Path,
        durability: Durability,
    ) -> Result<(), EngineError> {
        let make = |e| error::io("make", hidden, e);
        let data = hidden.join(DATA);
        perform("volume.create.folder", Op::MakeDir(At::path(hidden), 0o700)).map_err(make)?;
        perform("volume.create.data", Op::MakeDir(At::path(&data), 0o755)).map_err(make)?;
        // mkdir(2) heeds the umask, and containers have users of their own.
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).map_err(make)?;
        let bytes = serde_json::to_vec(file)
            .map_err(|e| error::io("encode", hidden, io::Error::other(e)))?;
        let point = "volume.create.record";
        replace(point, hidden, RECORD, &bytes, durability).map_err(error::persist)?;
        let place = self.folder(&file.name);
        let publish = Op::Rename {
            from: At::path(hidden),
            to: At::path(&place),
            replace: Replace::No,
        };
        perform("volume.create.publish", publish).map_err(make)?;
        if durability == Durability::Power {
            self.sync("volume.create.sync")?;
        }
        Ok(())
    }

    fn sync(&self, point: &'static str) -> Result<(), EngineError> {
        berth_persist::open_folder(&self.root)
            .and_then(|folder| perform(point, Op::SyncDir(folder.as_fd())))
            .map_err(|e| error::io("sync", &self.root, e))
    }

    /// Takes a volume out of sight: from here on it does not exist. Nobody may be using it. Where
    /// that must survive a loss of power, it does before anything of it is deleted.
    pub(super) fn retire(
        &self,
        _lock: &VolumesLock,
        name: &VolumeName,
        durability: Durability,
    ) -> Result<Retired, EngineError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = self.folder(name);
        let lock = match berth_persist::open_folder(&folder) {
            Ok(lock) => lock,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(error::missing(name.as_str()));
            }
            Err(e) => return Err(error::io("open", &folder, e)),
        };
        if !try_lock(&lock) {
            let text = format!(
                "cannot remove volume {name}: files of an image are being copied into it; try again when the container is made"
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let hidden = format!("{REMOVING}{name}-{}-{count}", std::process::id());
        let hidden = self.root.join(hidden);
        let rename = Op::Rename {
            from: At::path(&folder),
            to: At::path(&hidden),
            replace: Replace::No,
        };
        perform("volume.remove.hide", rename).map_err(|e| error::io("rename", &folder, e))?;
        if durability == Durability::Power {
            self.sync("volume.remove.sync")?;
        }
        Ok(Retired {
            name: name.clone(),
            folder: hidden,
            _lock: lock,
        })
    }

    /// Removes what crashed use-cases left half made and half removed.
    pub(super) fn sweep(&self, _lock: &VolumesLock) -> Vec<EngineError> {
        let mut errors = Vec::new();
        for entry in self.entries().unwrap_or_default() {
            let folder = self.root.join(&entry);
            let stale = entry.starts_with(MAKING)
                || (entry.starts_with(REMOVING)
                    && berth_persist::open_folder(&folder).is_ok_and(|file| try_lock(&file)));
            if stale {
                errors.extend(remove_data("volume.recover.remove", &folder).err());
            } else if !entry.starts_with('.') {
                // Beside what containers can write: somebody died before he marked it as filling.
                let swept = sweep_temporaries("volume.recover.file", &folder);
                errors.extend(swept.err().map(|e| error::io("clear", &folder, e)));
            }
        }
        errors
    }
}

/// The bytes of the files in the folder of a volume.
pub(super) fn size_in(folder: &Path) -> Result<u64, EngineError> {
    let data = folder.join(DATA);
    berth_persist::open_folder(&data)
        .and_then(|folder| size_of(folder.into()))
        .map_err(|e| error::io("read", &data, e))
}

impl Retired {
    /// Deletes the files.
    pub(super) fn erase(&self) -> Result<(), EngineError> {
        remove_data("volume.remove.data", &self.folder)
    }
}

/// Deletes the folder of a volume with all that containers left in it.
///
/// Without root, files in it may belong to sub-ids of the caller, which it cannot remove by itself:
/// this is the one place that will do it in a user namespace.
pub(super) fn remove_data(point: &'static str, folder: &Path) -> Result<(), EngineError> {
    remove_tree(point, At::path(folder)).map_err(|e| {
        let mut failed = error::io("remove", folder, e);
        if failed.class == ErrorClass::Denied {
            failed = failed.hint(
                "files in it belong to ids of a container's users; remove the folder as root",
            );
        }
        failed
    })
}

/// Locks a folder unless somebody else has it.
pub(super) fn try_lock(folder: &File) -> bool {
    flock(folder, FlockOperation::NonBlockingLockExclusive).is_ok()
}

//! One way to write a state file, one way to read it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use berth_base::state::{
    CreateFile, ExitFile, MonitorConfig, RunFile, STATE_VERSION, SettingsFile, StatusFile,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// What a written file must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of every process, and nothing more: what belongs to a `--rm` container is worth
    /// nothing after a loss of power, so no file system need hurry with it.
    Boot,
    /// The end of every process: the page cache is enough. A file system that writes a file out
    /// before it replaces another (ext4's auto_da_alloc) may do so.
    Process,
    /// Loss of power: fsync(2) before the rename.
    Power,
}

/// A file that carries the version of its format.
pub(crate) trait Versioned: DeserializeOwned {
    fn version(&self) -> u32;
}

macro_rules! versioned {
    ($($type:ty),+) => {
        $(impl Versioned for $type {
            fn version(&self) -> u32 {
                self.version
            }
        })+
    };
}

versioned!(ExitFile, MonitorConfig, RunFile, SettingsFile, StatusFile);

impl<O: DeserializeOwned> Versioned for CreateFile<O> {
    fn version(&self) -> u32 {
        self.version
    }
}

/// Only the version, for files whose other fields this build may not know.
#[derive(serde::Deserialize)]
struct VersionOnly {
    version: u32,
}

/// Writes `dir/name` so that a reader sees the old file or the new one, never a part.
pub(super) fn write(
    dir: &Path,
    name: &str,
    value: &impl Serialize,
    durability: Durability,
) -> Result<(), StoreError> {
    let path = dir.join(name);
    let temporary = write_temporary(dir, name, value, durability)?;
    let placed = match durability {
        Durability::Boot => exchange(&temporary, &path),
        Durability::Process | Durability::Power => std::fs::rename(&temporary, &path),
    };
    if let Err(e) = placed {
        drop(std::fs::remove_file(&temporary));
        return Err(StoreError::io("write", &path, e));
    }
    if durability == Durability::Power {
        sync_dir(dir)?;
    }
    Ok(())
}

/// Puts a new file in the place of an old one by RENAME_EXCHANGE (renameat2(2)): as atomic for
/// readers as a rename over it, but ext4 does not start writing the new one to disk.
fn exchange(temporary: &Path, path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, temporary, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => std::fs::remove_file(temporary),
        // Nothing to replace, or a file system that cannot exchange.
        Err(_) => std::fs::rename(temporary, path),
    }
}

/// Writes `dir/name` by link(2) unless it exists; the first writer wins, silently.
pub(super) fn write_first(
    dir: &Path,
    name: &str,
    value: &impl Serialize,
) -> Result<(), StoreError> {
    let path = dir.join(name);
    let temporary = write_temporary(dir, name, value, Durability::Process)?;
    let linked = std::fs::hard_link(&temporary, &path);
    drop(std::fs::remove_file(&temporary));
    match linked {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(StoreError::io("write", &path, e)),
    }
}

fn write_temporary(
    dir: &Path,
    name: &str,
    value: &impl Serialize,
    durability: Durability,
) -> Result<PathBuf, StoreError> {
    let path = dir.join(format!(".{name}.{}", std::process::id()));
    let bytes = serde_json::to_vec(value)
        .map_err(|e| StoreError::io("encode", &path, io::Error::other(e)))?;
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(&bytes)?;
            match durability {
                Durability::Boot | Durability::Process => Ok(()),
                Durability::Power => file.sync_all(),
            }
        });
    match written {
        Ok(()) => Ok(path),
        Err(e) => {
            drop(std::fs::remove_file(&path));
            Err(StoreError::io("write", &path, e))
        }
    }
}

/// fsync(2) of a folder: what was renamed into it survives power loss.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|file| file.sync_all())
        .map_err(|e| StoreError::io("sync", dir, e))
}

/// Reads a versioned file; `None` when it does not exist. A newer version is refused.
pub(super) fn read<T: Versioned>(path: &Path) -> Result<Option<T>, StoreError> {
    let Some(bytes) = read_bytes(path)? else {
        return Ok(None);
    };
    let newer = |version| StoreError::Newer {
        path: path.to_owned(),
        version,
        newest: STATE_VERSION,
    };
    match serde_json::from_slice::<T>(&bytes) {
        Ok(value) if value.version() <= STATE_VERSION => Ok(Some(value)),
        Ok(value) => Err(newer(value.version())),
        Err(source) => match serde_json::from_slice::<VersionOnly>(&bytes) {
            Ok(only) if only.version > STATE_VERSION => Err(newer(only.version)),
            _ => Err(StoreError::Damaged {
                path: path.to_owned(),
                source,
            }),
        },
    }
}

/// Reads a file that follows a foreign version scheme (the OCI spec).
pub(super) fn read_unversioned<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let bytes = std::fs::read(path).map_err(|e| StoreError::io("read", path, e))?;
    serde_json::from_slice(&bytes).map_err(|source| StoreError::Damaged {
        path: path.to_owned(),
        source,
    })
}

fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        // A path component vanished or is no folder: the container is being removed.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(e) => Err(StoreError::io("read", path, e)),
    }
}

#[cfg(test)]
mod tests {
    use berth_base::{Status, Timestamp};

    use super::*;

    fn status(run: u32) -> StatusFile {
        StatusFile {
            version: STATE_VERSION,
            status: Status::Created,
            run,
            changed_at: Timestamp::from_nanos(0),
            error: None,
        }
    }

    #[test]
    fn a_written_file_is_read_back_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "status.json", &status(1), Durability::Power).unwrap();
        write(dir.path(), "status.json", &status(3), Durability::Process).unwrap();
        write(dir.path(), "status.json", &status(2), Durability::Boot).unwrap();
        write(dir.path(), "new.json", &status(2), Durability::Boot).unwrap();
        std::fs::remove_file(dir.path().join("new.json")).unwrap();
        let read: StatusFile = read(&dir.path().join("status.json")).unwrap().unwrap();
        assert_eq!(read, status(2));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_first_exit_record_wins() {
        let dir = tempfile::tempdir().unwrap();
        write_first(dir.path(), "1.json", &status(1)).unwrap();
        write_first(dir.path(), "1.json", &status(2)).unwrap();
        let read: StatusFile = read(&dir.path().join("1.json")).unwrap().unwrap();
        assert_eq!(read.run, 1);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_newer_version_is_refused_even_when_its_fields_are_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.json");
        for text in [
            r#"{"version":99,"shape":"unknown"}"#,
            r#"{"version":99,"status":"created","run":0,"changed_at":"2026-01-01T00:00:00Z"}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read::<StatusFile>(&path).unwrap_err();
            assert!(
                matches!(error, StoreError::Newer { version: 99, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_torn_file_is_damaged_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.json");
        assert!(read::<StatusFile>(&path).unwrap().is_none());
        std::fs::write(&path, "").unwrap();
        assert!(matches!(
            read::<StatusFile>(&path),
            Err(StoreError::Damaged { .. })
        ));
    }
}

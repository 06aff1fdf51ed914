//! One way to write a state file, one way to read it.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use berth_base::state::{
    CreateFile, ExitFile, HealthFile, MonitorConfig, RunFile, STATE_VERSION, SessionFile,
    SettingsFile, StatusFile, Wiring,
};
use berth_persist::{Durability, Op, Point, perform};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::network::NetworksFile;

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

versioned!(
    ExitFile,
    HealthFile,
    MonitorConfig,
    NetworksFile,
    RunFile,
    SessionFile,
    SettingsFile,
    StatusFile,
    Wiring
);

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
    point: Point,
    dir: &Path,
    name: &str,
    value: &impl Serialize,
    durability: Durability,
) -> Result<(), StoreError> {
    let bytes = encode(dir, name, value)?;
    Ok(berth_persist::replace(
        point, dir, name, &bytes, durability,
    )?)
}

/// Writes `dir/name` by link(2) unless it exists; the first writer wins, silently. An empty file is
/// what a loss of power left of an earlier writer's, and none.
pub(super) fn write_first(
    point: Point,
    dir: &Path,
    name: &str,
    value: &impl Serialize,
) -> Result<(), StoreError> {
    let bytes = encode(dir, name, value)?;
    let durability = Durability::Process;
    let is_first = berth_persist::write_new(point, dir, name, &bytes, durability)?;
    if !is_first && is_empty(&dir.join(name)) {
        berth_persist::replace(point, dir, name, &bytes, durability)?;
    }
    Ok(())
}

fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.len() == 0)
}

fn encode(dir: &Path, name: &str, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value)
        .map_err(|e| StoreError::io("encode", &dir.join(name), io::Error::other(e)))
}

/// fsync(2) of a folder: what was renamed into it survives power loss.
pub(super) fn sync_dir(point: Point, dir: &Path) -> Result<(), StoreError> {
    berth_persist::open_folder(dir)
        .and_then(|folder| perform(point, Op::SyncDir(folder.as_fd())))
        .map_err(|e| StoreError::io("sync", dir, e))
}

/// Reads a versioned file; `None` when it does not exist. A newer version is refused.
pub(super) fn read<T: Versioned>(path: &Path) -> Result<Option<T>, StoreError> {
    match read_bytes(path)? {
        Some(bytes) => parse(path, &bytes).map(Some),
        None => Ok(None),
    }
}

/// As [`read`], for files that are written without a sync: a loss of power may leave an empty one,
/// which is as good as none.
pub(super) fn read_unsynced<T: Versioned>(path: &Path) -> Result<Option<T>, StoreError> {
    match read_bytes(path)? {
        Some(bytes) if !bytes.is_empty() => parse(path, &bytes).map(Some),
        Some(_) | None => Ok(None),
    }
}

fn parse<T: Versioned>(path: &Path, bytes: &[u8]) -> Result<T, StoreError> {
    let newer = |version| StoreError::Newer {
        path: path.to_owned(),
        version,
        newest: STATE_VERSION,
    };
    match serde_json::from_slice::<T>(bytes) {
        Ok(value) if value.version() <= STATE_VERSION => Ok(value),
        Ok(value) => Err(newer(value.version())),
        Err(source) => match serde_json::from_slice::<VersionOnly>(bytes) {
            Ok(only) if only.version > STATE_VERSION => Err(newer(only.version)),
            _ => Err(StoreError::damaged(path, source)),
        },
    }
}

/// Reads a file that follows a foreign version scheme (the OCI spec).
pub(super) fn read_unversioned<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let bytes = berth_persist::read(path).map_err(|e| unreadable(path, e))?;
    serde_json::from_slice(&bytes).map_err(|source| StoreError::damaged(path, source))
}

fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match berth_persist::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        // A path component vanished or is no folder: the container is being removed.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(e) => Err(unreadable(path, e)),
    }
}

/// What stands in the place of a file is a damaged one.
fn unreadable(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::InvalidData => StoreError::damaged(path, error),
        // Of a container that is there nothing has taken it away.
        io::ErrorKind::NotFound if path.parent().is_some_and(Path::is_dir) => {
            let why = io::Error::new(error.kind(), "it is missing");
            StoreError::damaged(path, why)
        }
        _ => StoreError::io("read", path, error),
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
            restarts: berth_base::state::RestartRecord::default(),
        }
    }

    #[test]
    fn a_written_file_is_read_back_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        write(
            "test",
            dir.path(),
            "status.json",
            &status(1),
            Durability::Power,
        )
        .unwrap();
        write(
            "test",
            dir.path(),
            "status.json",
            &status(3),
            Durability::Process,
        )
        .unwrap();
        write(
            "test",
            dir.path(),
            "status.json",
            &status(2),
            Durability::Boot,
        )
        .unwrap();
        write("test", dir.path(), "new.json", &status(2), Durability::Boot).unwrap();
        std::fs::remove_file(dir.path().join("new.json")).unwrap();
        let read: StatusFile = read(&dir.path().join("status.json")).unwrap().unwrap();
        assert_eq!(read, status(2));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_first_exit_record_wins() {
        let dir = tempfile::tempdir().unwrap();
        write_first("test", dir.path(), "1.json", &status(1)).unwrap();
        write_first("test", dir.path(), "1.json", &status(2)).unwrap();
        let read: StatusFile = read(&dir.path().join("1.json")).unwrap().unwrap();
        assert_eq!(read.run, 1);
        std::fs::write(dir.path().join("1.json"), "").unwrap();
        write_first("test", dir.path(), "1.json", &status(3)).unwrap();
        let read: StatusFile = super::read(&dir.path().join("1.json")).unwrap().unwrap();
        assert_eq!(read.run, 3, "what a loss of power emptied is none");
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
        // Of a file that was not synced that is all a loss of power leaves.
        assert!(read_unsynced::<StatusFile>(&path).unwrap().is_none());
        std::fs::write(&path, "{").unwrap();
        assert!(read_unsynced::<StatusFile>(&path).is_err());
    }
}

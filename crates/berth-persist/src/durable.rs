//! Small files, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{At, Op, Point, Replace, perform};

/// What a written file must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of every process, and nothing more: what belongs to a `--rm` container is worth
    /// nothing after a loss of power, so no file system need hurry with it.
    Boot,
    /// The end of every process: the page cache is enough. A file system that writes a file out
    /// before it replaces another (ext4's auto_da_alloc) may do so.
    Process,
    /// Loss of power: fsync(2) of the file before the rename, and of the folder after it.
    Power,
}

/// What was being done with which path, and why it failed.
#[derive(Debug)]
pub struct PersistError {
    /// A verb: `write`, `sync`.
    pub action: &'static str,
    /// The path.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl std::fmt::Display for PersistError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.action,
            self.path.display(),
            self.source
        )
    }
}

impl std::error::Error for PersistError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Writes `dir/name`, 0600, so that a reader sees the old file or the new one, never a part.
pub fn replace(
    point: Point,
    dir: &Path,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> Result<(), PersistError> {
    let path = dir.join(name);
    let temporary = write_temporary(point, dir, name, bytes, durability)?;
    let placed = match durability {
        Durability::Boot => exchange(point, &temporary, &path),
        Durability::Process | Durability::Power => rename(point, &temporary, &path, Replace::Yes),
    };
    if let Err(source) = placed {
        discard(point, &temporary);
        return Err(failed("write", &path, source));
    }
    sync_parent(point, dir, durability)
}

/// Writes `dir/name` by link(2) unless it exists: the first writer wins. Answers whether that was
/// this one.
pub fn write_new(
    point: Point,
    dir: &Path,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> Result<bool, PersistError> {
    let path = dir.join(name);
    let temporary = write_temporary(point, dir, name, bytes, durability)?;
    let link = Op::Link {
        from: At::path(&temporary),
        to: At::path(&path),
    };
    let linked = perform(point, link);
    discard(point, &temporary);
    match linked {
        Ok(()) => sync_parent(point, dir, durability).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(failed("write", &path, source)),
    }
}

/// Puts a new file in the place of an old one by RENAME_EXCHANGE (renameat2(2)): as atomic for
/// readers as a rename over it, but ext4 does not start writing the new one to disk.
fn exchange(point: Point, temporary: &Path, path: &Path) -> io::Result<()> {
    match rename(point, temporary, path, Replace::Exchange) {
        Ok(()) => perform(point, Op::Unlink(At::path(temporary))),
        // Nothing to replace, or a file system that cannot exchange.
        Err(_) => rename(point, temporary, path, Replace::Yes),
    }
}

fn rename(point: Point, from: &Path, to: &Path, replace: Replace) -> io::Result<()> {
    let op = Op::Rename {
        from: At::path(from),
        to: At::path(to),
        replace,
    };
    perform(point, op)
}

/// Makes the temporary file; two threads of one process never share one.
fn write_temporary(
    point: Point,
    dir: &Path,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> Result<PathBuf, PersistError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!(".{name}.{}.{count}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            match durability {
                Durability::Boot | Durability::Process => Ok(()),
                Durability::Power => perform(point, Op::SyncFile(file.as_fd())),
            }
        });
    written.map(|()| path.clone()).map_err(|source| {
        discard(point, &path);
        failed("write", &path, source)
    })
}

/// Takes a temporary file away; what cannot be removed now, a sweep of the folder removes.
fn discard(point: Point, temporary: &Path) {
    drop(perform(point, Op::Unlink(At::path(temporary))));
}

fn sync_parent(point: Point, dir: &Path, durability: Durability) -> Result<(), PersistError> {
    if durability != Durability::Power {
        return Ok(());
    }
    File::open(dir)
        .and_then(|folder| perform(point, Op::SyncDir(folder.as_fd())))
        .map_err(|source| failed("sync", dir, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> PersistError {
    PersistError {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_whole_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        for (bytes, durability) in [
            (b"1", Durability::Power),
            (b"2", Durability::Process),
            (b"3", Durability::Boot),
        ] {
            replace("test.replace", dir.path(), "a", bytes, durability).unwrap();
            assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), bytes);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_first_writer_wins() {
        let dir = tempfile::tempdir().unwrap();
        let write = |bytes| write_new("test.new", dir.path(), "a", bytes, Durability::Power);
        assert!(write(b"1").unwrap());
        assert!(!write(b"2").unwrap());
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"1");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_path() {
        let error = replace("test", Path::new("/proc/none"), "a", b"", Durability::Boot);
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("cannot write /proc/none/"), "{text}");
    }
}

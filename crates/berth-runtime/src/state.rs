//! Writing the state files that the runtime owns.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;

/// Writes a JSON file so that a reader sees the old one or the new one, never a part: a
/// temporary file of mode 0600, then renameat2(2). Not synced: volatile state dies with the boot.
///
/// An old file is exchanged and removed rather than renamed over: as atomic for readers, but ext4
/// does not start to write the new one to disk (auto_da_alloc), which it would wait for when the
/// file is removed a few milliseconds later.
pub(crate) fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let temporary = write_temporary(path, value)?;
    match renameat_with(CWD, &temporary, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => fs::remove_file(temporary),
        // Nothing to replace, or a file system that cannot exchange.
        Err(_) => fs::rename(&temporary, path),
    }
}

/// Like [`replace`], but the first writer wins: link(2) refuses an existing name.
pub(crate) fn create_once(path: &Path, value: &impl Serialize) -> io::Result<bool> {
    let temporary = write_temporary(path, value)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_temporary(path: &Path, value: &impl Serialize) -> io::Result<std::path::PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let json = serde_json::to_vec(value)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(&json)?;
    Ok(temporary)
}

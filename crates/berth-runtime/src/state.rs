//! Writing the state files that the runtime owns.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;

/// Writes a JSON file so that a reader sees the old one or the new one, never a part: a
/// temporary file of mode 0600, then rename(2). Not synced: volatile state dies with the boot.
pub(crate) fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let temporary = write_temporary(path, value)?;
    fs::rename(&temporary, path)
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

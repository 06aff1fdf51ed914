//! Reading and writing cgroup files relative to a directory descriptor.
//!
//! kernfs takes a write whole or not at all, and reports what is wrong by errno.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::CgroupError;

/// Opens a cgroup directory by its absolute path.
pub(super) fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(
        path,
        OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Opens a cgroup directory below another; `name` may hold several components.
pub(super) fn open_directory_at(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Writes `value` to an existing file in one write(2).
pub(super) fn write_at(dir: BorrowedFd<'_>, file: &str, value: &str) -> Result<(), Errno> {
    write_whole(open_to_write(dir, file)?.as_fd(), value.as_bytes())
}

/// Opens an existing file, to be written once or several times.
pub(super) fn open_to_write(dir: BorrowedFd<'_>, file: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Writes `value` in one write(2); a short write counts as an I/O error.
pub(super) fn write_whole(fd: BorrowedFd<'_>, value: &[u8]) -> Result<(), Errno> {
    let written = rustix::io::retry_on_intr(|| rustix::io::write(fd, value))?;
    if written == value.len() {
        Ok(())
    } else {
        Err(Errno::IO)
    }
}

/// Reads a whole file as text.
pub(super) fn read_at(dir: BorrowedFd<'_>, file: &str) -> Result<String, Errno> {
    let fd = rustix::fs::openat(dir, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    read_whole(fd.as_fd())
}

/// Reads an open file from its beginning as text.
pub(super) fn read_whole(fd: BorrowedFd<'_>) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let offset = u64::try_from(bytes.len()).map_err(|_| Errno::FBIG)?;
        let count = rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut chunk, offset))?;
        match chunk.get(..count) {
            None | Some([]) => break,
            Some(read) => bytes.extend_from_slice(read),
        }
    }
    String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
}

/// Whether a cgroup has sub-cgroups, by one fstat(2).
///
/// kernfs keeps a directory's link count at two plus its directories; files do not count.
pub(super) fn has_children(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(rustix::fs::fstat(dir)?.st_nlink > 2)
}

/// An [`CgroupError::Access`] for one file.
pub(super) fn access(
    verb: &'static str,
    dir: &Path,
    file: &str,
) -> impl FnOnce(Errno) -> CgroupError {
    let path: PathBuf = if file.is_empty() {
        dir.to_owned()
    } else {
        dir.join(file)
    };
    move |source| CgroupError::Access { verb, path, source }
}

/// The value after `key` in a file of `key value` lines (memory.stat, cgroup.events, ...).
pub(super) fn flat_value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key {
            value.trim().parse().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_files_are_looked_up_by_whole_key() {
        let text = "inactive_file 7\ntotal_inactive_file 12\n";
        assert_eq!(flat_value(text, "inactive_file"), Some(7));
        assert_eq!(flat_value(text, "total_inactive_file"), Some(12));
        assert_eq!(flat_value(text, "file"), None);
    }
}

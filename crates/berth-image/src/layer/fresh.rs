//! A file that gets its name once it is whole: whoever dies before leaves what had the name as it was.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// So many names are tried for what others may have left.
const TRIES: u32 = 100;

/// A file to write, in the folder in which it gets its name.
pub(super) struct Fresh<'a> {
    folder: BorrowedFd<'a>,
    file: OwnedFd,
    /// The name that it has meanwhile, where it has any: it is taken away again.
    beside: Option<String>,
}

impl<'a> Fresh<'a> {
    /// Makes one without a name (O_TMPFILE, open(2)), which vanishes with us; where the file system
    /// has none of these, one that is called as [`beside`] says.
    pub(super) fn make(folder: BorrowedFd<'a>) -> Result<Self, Errno> {
        let mode = Mode::RUSR | Mode::WUSR;
        let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        if let Ok(file) = openat(folder, c".", nameless, mode) {
            return Ok(Self {
                folder,
                file,
                beside: None,
            });
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (name, file) = with_free_name(|name| openat(folder, name, flags, mode))?;
        Ok(Self {
            folder,
            file,
            beside: Some(name),
        })
    }

    /// What is to be written to.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Gives it its name, in the place of whatever has that and is no folder (EISDIR).
    pub(super) fn publish(mut self, name: &[u8]) -> Result<(), Errno> {
        if self.beside.is_none() {
            let link = |name: &[u8]| link_to(self.file.as_fd(), self.folder, name);
            match link(name) {
                Err(Errno::EXIST) => {}
                linked => return linked,
            }
            let (name, ()) = with_free_name(|name| link(name.as_bytes()))?;
            self.beside = Some(name);
        }
        if let Some(beside) = &self.beside {
            renameat(self.folder, beside.as_str(), self.folder, name)?;
        }
        self.beside = None;
        Ok(())
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.beside
            && unlinkat(self.folder, name.as_str(), AtFlags::empty()).is_err()
        {
            // Gone already, or to be known by its name.
        }
    }
}

/// Gives a file without a name one, by its descriptor alone: for root, from Linux 6.10 on for whoever
/// opened it. Else by procfs (openat(2), O_TMPFILE).
fn link_to(file: BorrowedFd<'_>, folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match linkat(file, c"", folder, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT) => {}
        linked => return linked,
    }
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    // by path: the magic link of a descriptor of ours
    linkat(CWD, own, folder, name, AtFlags::SYMLINK_FOLLOW)
}

/// Finds a name that nobody has.
fn with_free_name<T>(take: impl Fn(&str) -> Result<T, Errno>) -> Result<(String, T), Errno> {
    for number in 0..TRIES {
        let name = beside(number);
        match take(&name) {
            Err(Errno::EXIST) => {}
            taken => return Ok((name, taken?)),
        }
    }
    Err(Errno::EXIST)
}

/// The name of a file that is not whole yet, or about to take the place of another: `.berth-PID-N`.
fn beside(number: u32) -> String {
    format!(".berth-{}-{number}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &std::path::Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_name_is_taken_at_the_end_alone() {
        let folder = tempfile::tempdir().unwrap();
        let open = fs::File::open(folder.path()).unwrap();
        fs::write(folder.path().join("old"), "old").unwrap();
        for name in ["new", "old"] {
            let fresh = Fresh::make(open.as_fd()).unwrap();
            rustix::io::write(fresh.file(), b"whole").unwrap();
            let before = folder.path().join(name);
            assert_ne!(fs::read(&before).unwrap_or_default(), b"whole");
            fresh.publish(name.as_bytes()).unwrap();
            assert_eq!(fs::read(&before).unwrap(), b"whole");
        }
        assert_eq!(names(folder.path()), ["new", "old"]);
    }

    #[test]
    fn one_with_a_name_of_its_own_leaves_nothing_either() {
        let folder = tempfile::tempdir().unwrap();
        let open = fs::File::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        fs::write(folder.path().join(beside(0)), "of somebody before").unwrap();
        let named = || {
            let (name, file) = with_free_name(|name| {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
                openat(&open, name, flags, Mode::RUSR)
            })
            .unwrap();
            Fresh {
                folder: open.as_fd(),
                file,
                beside: Some(name),
            }
        };
        drop(named());
        assert_eq!(named().publish(b"folder"), Err(Errno::ISDIR));
        named().publish(b"file").unwrap();
        assert_eq!(names(folder.path()), [&*beside(0), "file", "folder"]);
    }
}

//! How much is in a folder.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};

/// The bytes of all files in a folder, as `du --apparent-size` counts them: a file with several
/// names once. By descriptors, following no link; what cannot be read is left out.
pub(crate) fn size_of(folder: OwnedFd) -> io::Result<u64> {
    let mut seen = HashSet::new();
    let mut bytes = 0u64;
    let mut open = vec![Dir::new(folder)?];
    while let Some(dir) = open.last_mut() {
        let Some(entry) = dir.read() else {
            open.pop();
            continue;
        };
        let Ok(entry) = entry else {
            open.pop();
            continue;
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let parent = dir.fd()?;
        let Ok(stat) = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = openat(parent, name, flags, Mode::empty());
            open.extend(below.ok().and_then(|below| Dir::new(below).ok()));
        } else if stat.st_nlink < 2 || seen.insert((stat.st_dev, stat.st_ino)) {
            bytes = bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_once_and_links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/file"), [0; 1000]).unwrap();
        std::fs::hard_link(dir.path().join("a/file"), dir.path().join("again")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("etc")).unwrap();
        let folder = std::fs::File::open(dir.path()).unwrap();
        assert_eq!(size_of(folder.into()).unwrap(), 1000 + 4);
    }
}

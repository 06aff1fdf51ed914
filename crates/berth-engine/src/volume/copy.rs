//! A folder copied into another: what fills a volume from a root that is a directory.
//!
//! By descriptors on both sides, following no link; the source may change meanwhile, which spoils
//! the copy and nothing else.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use berth_base::state::RootSource;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid,
    XattrFlags, chownat, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens, linkat,
    mkdirat, mknodat, openat, openat2, readlinkat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::mounts::MadeVolumes;
use crate::EngineError;

impl MadeVolumes<'_> {
    /// Fills the empty volumes from a root that is a directory. The built-in host image fills none:
    /// its folders are this host's, secrets and all.
    pub(crate) fn fill_from(&self, root: &RootSource) -> Result<(), EngineError> {
        let RootSource::Directory { path, .. } = root else {
            return Ok(());
        };
        let mut image = None;
        for copy_up in self.copy_ups()? {
            if image.is_none() {
                // by path: the root itself, which the caller names; what lies in it is opened below
                image = Some(File::open(path).map_err(|e| copy_up.failed(&e))?);
            }
            let Some(image) = &image else { continue };
            match folder_in(image.as_fd(), copy_up.target()) {
                Ok(Some(folder)) => {
                    copy_up.begin()?;
                    let copied = copy_folder(folder, copy_up.data());
                    copied.map_err(|e| copy_up.failed(&e))?;
                    copy_up.finish()?;
                }
                Ok(None) => {}
                Err(e) => return Err(copy_up.failed(&e)),
            }
        }
        Ok(())
    }
}

/// The folder at a path of a root, links followed inside it alone; `None` where there is none.
fn folder_in(root: BorrowedFd<'_>, path: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, flags, Mode::empty(), resolve) {
        Ok(folder) => Ok(Some(folder)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// A folder that is being copied.
struct Level {
    from: Dir,
    to: OwnedFd,
    stat: Stat,
    /// Below the folder that is the target of it all.
    path: PathBuf,
}

/// Copies what is in a folder, and the folder's own mode, owner and attributes.
pub(super) fn copy_folder(from: OwnedFd, to: BorrowedFd<'_>) -> io::Result<()> {
    let top = to;
    let mut names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let mut levels = vec![Level {
        stat: fstat(&from)?,
        from: Dir::new(from)?,
        to: top.try_clone_to_owned()?,
        path: PathBuf::new(),
    }];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.from.read() else {
            let Some(done) = levels.pop() else { break };
            attributes(done.from.fd()?, done.to.as_fd(), &done.stat)?;
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = statat(level.from.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let path = level.path.join(OsStr::from_bytes(name.to_bytes()));
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = openat(level.from.fd()?, name, flags, Mode::empty())?;
            mkdirat(&level.to, name, Mode::RWXU)?;
            let to = openat(&level.to, name, flags, Mode::empty())?;
            let from = Dir::new(below)?;
            levels.push(Level {
                from,
                to,
                stat,
                path,
            });
            continue;
        }
        if stat.st_nlink > 1 {
            if let Some(first) = names.get(&(stat.st_dev, stat.st_ino)) {
                linkat(top, first, &level.to, name, AtFlags::empty())?;
                continue;
            }
            names.insert((stat.st_dev, stat.st_ino), path);
        }
        copy_entry(level.from.fd()?, level.to.as_fd(), name, &stat)?;
    }
    Ok(())
}

/// Copies what is no folder.
fn copy_entry(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
) -> io::Result<()> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let mut source = File::from(openat(from, name, flags, Mode::empty())?);
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mut copy = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
            io::copy(&mut source, &mut copy)?;
            return attributes(source.as_fd(), copy.as_fd(), stat);
        }
        FileType::Symlink => {
            let target: CString = readlinkat(from, name, Vec::new())?;
            symlinkat(&target, to, name)?;
        }
        // A socket is nobody's once its process is gone.
        FileType::Socket => return Ok(()),
        kind => {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
            match mknodat(to, name, kind, mode, stat.st_rdev) {
                // Without privilege there are no devices to copy.
                Err(Errno::PERM) => return Ok(()),
                other => other?,
            }
        }
    }
    let (uid, gid) = owner(stat);
    allow_foreign(chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
    utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Owner, extended attributes, mode and times, in the order in which none undoes another: a change
/// of owner takes set-id bits and capabilities away.
fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    allow_foreign(fchown(to, uid, gid))?;
    copy_xattrs(from, to)?;
    fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    futimens(to, &times(stat))?;
    Ok(())
}

fn copy_xattrs(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    /// What the kernel allows for all names, and for one value (xattr(7)).
    const MOST: usize = 65_536;
    let mut list = vec![0; MOST];
    let length = match flistxattr(from, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let names = list.get(..length).unwrap_or_default();
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        let mut value = vec![0; MOST];
        let length = fgetxattr(from, name, &mut value[..])?;
        let value = value.get(..length).unwrap_or_default();
        match fsetxattr(to, name, value, XattrFlags::empty()) {
            // Not on this file system, or not by us.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )
}

/// Without privilege every file is the caller's, which is the container's root.
fn allow_foreign(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Err(Errno::PERM) if !rustix::process::geteuid().is_root() => Ok(()),
        other => Ok(other?),
    }
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanos: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanos).unwrap_or(0),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    #[test]
    fn a_folder_is_copied_with_all_that_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        let to = dir.path().join("to");
        std::fs::create_dir_all(from.join("a/b")).unwrap();
        std::fs::create_dir(&to).unwrap();
        std::fs::write(from.join("a/file"), "text").unwrap();
        std::fs::hard_link(from.join("a/file"), from.join("a/b/again")).unwrap();
        symlink("/nowhere", from.join("link")).unwrap();
        let mode = |path: PathBuf, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(from.join("a/file"), 0o4755);
        mode(from.join("a/b"), 0o1777);
        mode(from.clone(), 0o711);
        let xattr = fsetxattr(
            File::open(from.join("a/file")).unwrap(),
            "user.x",
            b"y",
            XattrFlags::empty(),
        );
        let source = File::open(&from).unwrap();
        let target = File::open(&to).unwrap();
        copy_folder(source.into(), target.as_fd()).unwrap();
        let stat = |path: &str| std::fs::symlink_metadata(to.join(path)).unwrap();
        assert_eq!(std::fs::read(to.join("a/file")).unwrap(), b"text");
        assert_eq!(stat("a/file").ino(), stat("a/b/again").ino());
        assert_eq!(stat("a/file").mode() & 0o7777, 0o4755);
        assert_eq!(stat("a/b").mode() & 0o7777, 0o1777);
        assert_eq!(stat("").mode() & 0o7777, 0o711);
        assert_eq!(
            std::fs::read_link(to.join("link")).unwrap(),
            Path::new("/nowhere")
        );
        assert_eq!(
            stat("a").mtime_nsec(),
            std::fs::metadata(from.join("a")).unwrap().mtime_nsec()
        );
        if xattr.is_ok() {
            let mut value = [0; 8];
            let copy = File::open(to.join("a/file")).unwrap();
            assert_eq!(fgetxattr(copy, "user.x", &mut value[..]), Ok(1));
        }
    }
}

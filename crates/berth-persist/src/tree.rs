//! Taking a whole folder away.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::{At, Op, Point, perform};

/// Removes what we may not.
type Remover = Box<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

static REMOVER: std::sync::OnceLock<Remover> = std::sync::OnceLock::new();

/// How often a folder is emptied into which somebody writes through a descriptor.
const ATTEMPTS: u32 = 100;

/// Says who removes a folder that this process may not: in the store of a user, files belong to its
/// sub-ids, and only a process in a user namespace with these may. The first call counts.
pub fn on_foreign_files(remover: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static) {
    // One that is there already is as good.
    drop(REMOVER.set(Box::new(remover)));
}

/// Removes a folder, or a file, with all that is below it: by descriptors, following no link. What
/// is gone already is fine.
///
/// Folders that deny even their owner the way in (mode 0) are opened up first. The entries
/// themselves do not pass [`perform`], only the last step does: whoever calls this has renamed the
/// folder out of sight before, and every part of it is worth nothing.
pub fn remove_tree(point: Point, at: At<'_>) -> io::Result<()> {
    match (remove_own(point, at), REMOVER.get()) {
        (Err(e), Some(remover)) if e.kind() == io::ErrorKind::PermissionDenied => {
            remover(&absolute(at)?)
        }
        (done, _) => done,
    }
}

/// The path of an entry, for another process.
fn absolute(at: At<'_>) -> io::Result<std::path::PathBuf> {
    use std::os::fd::AsRawFd;
    if at.name.is_absolute() {
        return Ok(at.name.to_owned());
    }
    let folder = match at.dir.as_raw_fd() {
        below if below < 0 => std::env::current_dir()?,
        // by path: procfs, of our own descriptor
        open => std::fs::read_link(format!("/proc/self/fd/{open}"))?,
    };
    Ok(folder.join(at.name))
}

fn remove_own(point: Point, at: At<'_>) -> io::Result<()> {
    match rustix::fs::unlinkat(at.dir, at.name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        match remove_folder(point, at) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Whoever had it open has put something in behind our back.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty && attempts < ATTEMPTS => {}
            other => return other,
        }
    }
}

fn remove_folder(point: Point, at: At<'_>) -> io::Result<()> {
    empty(open_folder(at.dir, at.name.as_os_str())?)?;
    perform(point, Op::RemoveDir(at))
}

/// Empties a folder without recursion: an image decides how deep its folders go, and our stack does
/// not. Descriptors of at most the deepest path are open at a time.
fn empty(folder: OwnedFd) -> io::Result<()> {
    let mut open: Vec<(Dir, Option<std::ffi::CString>)> = vec![(Dir::new(folder)?, None)];
    while let Some((dir, _)) = open.last_mut() {
        let Some(entry) = dir.read() else {
            let Some((_, name)) = open.pop() else { break };
            if let (Some((parent, _)), Some(name)) = (open.last(), name) {
                forget(rustix::fs::unlinkat(
                    parent.fd()?,
                    name.as_c_str(),
                    AtFlags::REMOVEDIR,
                ))?;
            }
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let parent = dir.fd()?;
        if entry.file_type() != FileType::Directory && remove_file(parent, name)? {
            continue;
        }
        let below = match open_folder(parent, OsStr::from_bytes(name.to_bytes())) {
            // Somebody else removes the same.
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        let name = name.to_owned();
        open.push((Dir::new(below)?, Some(name)));
    }
    Ok(())
}

/// Removes what is no folder; `false` when it is one after all (file systems without d_type).
fn remove_file(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn forget(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Opens a folder, making it ours to enter first where its mode forbids that.
fn open_folder(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let path = openat(
                parent,
                name,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            open_up(path.as_fd())?;
            openat(parent, name, flags, Mode::empty())
        }
        other => other,
    }
}

/// chmod(2) of a folder that is held by an O_PATH descriptor.
fn open_up(folder: BorrowedFd<'_>) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    // by path: our own descriptor, which fchmod(2) refuses for being O_PATH
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
    rustix::fs::chmod(Path::new(&path), Mode::RWXU)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_goes_and_what_its_links_name_stays() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "x").unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
        std::fs::write(tree.join("a/b/c/file"), "x").unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("a/link")).unwrap();
        remove_tree("test.tree", At::path(&tree)).unwrap();
        assert!(!tree.exists());
        assert!(kept.join("file").exists());
        // Once more finds nothing, and says nothing.
        remove_tree("test.tree", At::path(&tree)).unwrap();
    }

    #[test]
    fn a_tree_goes_while_somebody_still_writes_into_it() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let tree = dir.path().join(round.to_string());
            std::fs::create_dir(&tree).unwrap();
            let folder = open_folder(rustix::fs::CWD, tree.as_os_str()).unwrap();
            let (sender, started) = std::sync::mpsc::channel();
            let writer = std::thread::spawn(move || {
                for name in 0..200 {
                    let flags = OFlags::CREATE | OFlags::WRONLY;
                    let made = openat(&folder, name.to_string(), flags, Mode::RUSR);
                    // Nothing is made in a folder that is gone.
                    assert!(made.is_ok() || made.err() == Some(Errno::NOENT));
                    sender.send(()).ok();
                }
            });
            started.recv().unwrap();
            remove_tree("test.tree", At::path(&tree)).unwrap();
            writer.join().unwrap();
            assert!(!tree.exists());
        }
    }

    #[test]
    fn a_deep_tree_goes_as_far_as_descriptors_reach() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        let deep: std::path::PathBuf = std::iter::repeat_n("d", 500).collect();
        std::fs::create_dir_all(tree.join(deep)).unwrap();
        remove_tree("test.tree", At::path(&tree)).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn two_may_remove_one_tree() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..20 {
            let tree = dir.path().join("tree");
            for at in 0..50 {
                std::fs::create_dir_all(tree.join(format!("{at}/a/b"))).unwrap();
            }
            std::thread::scope(|scope| {
                let remove = || remove_tree("test.tree", At::path(&tree));
                let others = [scope.spawn(remove), scope.spawn(remove)];
                remove().unwrap();
                for other in others {
                    other.join().unwrap().unwrap();
                }
            });
            assert!(!tree.exists());
        }
    }

    #[test]
    fn a_file_goes_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        remove_tree("test.tree", At::path(&file)).unwrap();
        assert!(!file.exists());
    }
}

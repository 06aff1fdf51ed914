//! Bounded reading below one root: the host's, or that of an engine in a mount namespace of its
//! own.
//!
//! What an engine inside a container wrote, the container may have written. So nothing leads out
//! of the root, only regular files are read, sizes and counts are limited, and an engine's root
//! inside a container is read without following links.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use berth_base::NamespaceId;
use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::discover::ProcRoot;
use crate::discover::proc_root::read_file;
use crate::model::decode_untrusted;
use berth_base::HostPid;

/// No state file of an engine is longer; a longer one is left out.
pub(super) const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Entries of one directory that are looked at.
pub(super) const MAX_ENTRIES: usize = 4096;
/// Runtime folders of users who are logged in.
pub(super) const USERS: &str = "run/user";
/// Types of file systems that another machine or a program serves.
const SLOW: [&str; 7] = ["fuse", "nfs", "cifs", "smb", "9p", "afs", "ceph"];
/// Bytes of directory entries taken per getdents64(2).
const DIRENT_BUFFER: usize = 16 * 1024;

/// The PID namespace in which an engine inside a container counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nested {
    /// The namespace.
    pub(super) pid_namespace: NamespaceId,
    /// Its level.
    pub(super) level: usize,
    /// Who led here: the engine's daemon.
    pub(super) daemon: HostPid,
}

/// A root below which engines keep files.
#[derive(Debug)]
pub(super) struct Tree {
    dir: OwnedFd,
    /// What stands before paths in messages and evidence.
    label: String,
    /// Set where the files were written inside a container.
    pub(super) nested: Option<Nested>,
    /// Mount points of file systems that a program of the container's may serve, and not answer.
    avoided: Vec<String>,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct FileRead {
    /// Its contents.
    pub(super) bytes: Vec<u8>,
    /// When it was last written, in seconds since 1970.
    pub(super) written_s: i64,
    /// Who owns it.
    pub(super) uid: u32,
}

impl Tree {
    /// The root of the host's files, or of a fake host's.
    pub(super) fn host(proc: &ProcRoot, root: &Path) -> Option<Self> {
        let dir = rustix::fs::openat(CWD, root, dir_flags(), Mode::empty()).ok()?;
        let mut tree = Self {
            dir,
            label: root.display().to_string().trim_end_matches('/').to_owned(),
            nested: None,
            avoided: Vec::new(),
        };
        // Users keep engines' files in their homes, which may be far away.
        if !tree.list(USERS).unwrap_or_default().is_empty() {
            tree.avoided = slow_mounts(proc, "self");
            tree.avoided.retain(|point| point != "/");
        }
        Some(tree)
    }

    /// The root of a process in another mount namespace.
    pub(super) fn of_process(proc: &ProcRoot, nested: Nested) -> Option<Self> {
        let avoided = slow_mounts(proc, &nested.daemon.to_string());
        if avoided.iter().any(|point| point == "/") {
            return None;
        }
        let path = format!("{}/root", nested.daemon);
        let dir = rustix::fs::openat(proc, path.as_str(), dir_flags(), Mode::empty()).ok()?;
        Some(Self {
            dir,
            label: format!("/proc/{path}"),
            nested: Some(nested),
            avoided,
        })
    }

    /// A path as messages show it.
    pub(super) fn name(&self, path: &str) -> String {
        format!("{}/{}", self.label, path.trim_start_matches('/'))
    }

    /// Reads a regular file; `None` when there is none.
    ///
    /// # Errors
    /// It may not be read, is no regular file, or is longer than [`MAX_FILE_BYTES`].
    pub(super) fn read(&self, path: &str) -> io::Result<Option<FileRead>> {
        self.read_up_to(path, MAX_FILE_BYTES)
    }

    /// As [`Self::read`], with a limit of the caller's.
    pub(super) fn read_up_to(&self, path: &str, limit: u64) -> io::Result<Option<FileRead>> {
        // What a name stands for is looked at before it is opened: opening a device acts on it.
        let Some(looked) = absent(self.open(path, OFlags::PATH))? else {
            return Ok(None);
        };
        check_regular(&rustix::fs::fstat(&looked)?, limit)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Some(file) = absent(self.open(path, flags))? else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&file)?;
        check_regular(&stat, limit)?;
        let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0) + 1);
        let max = usize::try_from(limit).unwrap_or(usize::MAX);
        while bytes.len() <= max {
            bytes.reserve(4096);
            match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(max);
        Ok(Some(FileRead {
            bytes,
            written_s: stat.st_mtime,
            uid: stat.st_uid,
        }))
    }

    /// The names in a directory, sorted; none when there is no such directory.
    ///
    /// # Errors
    /// It may not be listed.
    pub(super) fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let Some(dir) = absent(self.open(path, flags))? else {
            return Ok(Vec::new());
        };
        let mut buffer = vec![MaybeUninit::uninit(); DIRENT_BUFFER];
        let mut entries = RawDir::new(&dir, &mut buffer);
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(decode_untrusted(name));
            }
            if names.len() >= MAX_ENTRIES {
                break;
            }
        }
        names.sort();
        Ok(names)
    }

    /// The inode number of what is at a path, as a number of an nsfs file.
    pub(super) fn inode(&self, path: &str) -> Option<u64> {
        let looked = self.open(path, OFlags::PATH).ok()?;
        Some(rustix::fs::fstat(&looked).ok()?.st_ino)
    }

    /// A path by which this process reaches what is at a path below the root.
    pub(super) fn handle(&self, path: &str) -> io::Result<Handle> {
        Ok(Handle(self.open(path, OFlags::PATH)?))
    }

    /// Whether something is at a path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.open(path, OFlags::PATH).is_ok()
    }

    /// Opens a path below the root.
    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if self.nested.is_some() {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let covers = |point: &String| {
            let rest = point
                .strip_prefix('/')
                .and_then(|point| path.strip_prefix(point));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.avoided.iter().any(covers) {
            return Err(Errno::OPNOTSUPP);
        }
        let flags = flags | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.dir, path, flags, Mode::empty(), resolve)
    }
}

/// Something below a root, which is reached by a path while this lives.
pub(super) struct Handle(OwnedFd);

impl Handle {
    /// The path.
    pub(super) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}

/// Where file systems are mounted, in the mount namespace of a process, whose reads somebody else
/// answers, in his own time.
fn slow_mounts(proc: &ProcRoot, process: &str) -> Vec<String> {
    let mut text = Vec::new();
    if read_file(proc, format!("{process}/mountinfo").as_str(), &mut text).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&text);
    let mounts = text.lines().filter_map(|line| {
        // proc_pid_mountinfo(5): the mount point is the fifth field, the type follows a dash.
        let (mount, rest) = line.split_once(" - ")?;
        let kind = rest.split(' ').next()?;
        let slow = SLOW.iter().any(|slow| kind.starts_with(slow)) && kind != "fuseblk";
        let point = slow.then(|| mount.split(' ').nth(4)).flatten()?;
        Some(point.replace("\\040", " "))
    });
    mounts.collect()
}

fn dir_flags() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC
}

/// `None` for what is not there, or vanished.
fn absent<T>(result: Result<T, Errno>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Refuses what is no file, or too long a one.
fn check_regular(stat: &rustix::fs::Stat, limit: u64) -> io::Result<()> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no regular file"));
    }
    if u64::try_from(stat.st_size).is_ok_and(|size| size > limit) {
        let text = format!("it is longer than {limit} bytes");
        return Err(io::Error::other(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_leads_out_and_only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        std::fs::write(root.join("file"), "inside").unwrap();
        symlink("../secret", root.join("up")).unwrap();
        symlink("/file", root.join("link")).unwrap();
        let proc = ProcRoot::open("/proc").unwrap();
        let tree = Tree::host(&proc, &root).unwrap();
        assert!(tree.read("up").unwrap().is_none());
        assert!(tree.read("../secret").unwrap().is_none());
        assert_eq!(tree.read("link").unwrap().unwrap().bytes, b"inside");
        assert!(tree.read("nothing").unwrap().is_none());
        let fifo = std::process::Command::new("mkfifo")
            .arg(root.join("fifo"))
            .status();
        assert!(fifo.unwrap().success());
        for name in ["fifo", "."] {
            let error = tree.read(name).unwrap_err().to_string();
            assert!(error.contains("no regular file"), "{error}");
        }
        let error = tree.read_up_to("file", 3).unwrap_err().to_string();
        assert!(error.contains("longer than 3"), "{error}");
        assert_eq!(tree.list("/").unwrap(), ["fifo", "file", "link", "up"]);
        assert!(tree.list("nothing").unwrap().is_empty());
    }
}

//! A procfs, opened once and then read by descriptor.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::HostPid;
use rustix::fs::{CWD, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::DiscoverError;
use super::pid_dir::Reader;
use crate::model::{Mount, decode_untrusted};

/// The root of a procfs: `/proc`, a private mount of it, or a fake tree of a test.
///
/// PIDs of the PID namespace that this procfs was mounted for are what the map calls host PIDs.
#[derive(Debug)]
pub struct ProcRoot {
    dir: OwnedFd,
    /// For messages only.
    path: PathBuf,
}

/// Bytes of directory entries taken per getdents64(2): about 1,000 processes.
const DIRENT_BUFFER: usize = 32 * 1024;
/// No file read here is longer; a longer one is cut.
const MAX_FILE: usize = 4 * 1024 * 1024;

impl ProcRoot {
    /// Opens a procfs by path.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DiscoverError> {
        let path = path.into();
        match open_dir(CWD, path.as_path()) {
            Ok(dir) => Ok(Self { dir, path }),
            Err(error) => Err(DiscoverError::OpenProc {
                path,
                source: error.into(),
            }),
        }
    }

    /// Takes an open directory, such as a detached procfs mount.
    pub fn from_fd(dir: OwnedFd) -> Self {
        Self {
            dir,
            path: PathBuf::from("procfs"),
        }
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The PIDs it lists: thread group leaders, in the order of the directory.
    pub fn list_pids(&self) -> Result<Vec<HostPid>, DiscoverError> {
        let failed = |error: Errno| DiscoverError::ListProc {
            path: self.path.clone(),
            source: error.into(),
        };
        let dir = open_dir(&self.dir, Path::new(".")).map_err(failed)?;
        list_numbers(&dir).map_err(failed)
    }

    /// The thread ids of a process; empty when it is gone.
    pub fn list_threads(&self, pid: HostPid) -> Vec<HostPid> {
        let path = format!("{pid}/task");
        open_dir(&self.dir, Path::new(&path))
            .and_then(|dir| list_numbers(&dir))
            .unwrap_or_default()
    }

    /// Reads a small file of the procfs, such as `sys/kernel/pid_max`, without its line end.
    pub fn read_text(&self, path: &str) -> io::Result<String> {
        let mut buffer = Vec::new();
        read_file(&self.dir, Path::new(path), &mut buffer)?;
        Ok(decode_untrusted(buffer.trim_ascii_end()))
    }

    /// Opens a namespace link of a process as a descriptor (`PID/ns/KIND`).
    pub fn open_namespace(&self, pid: HostPid, kind: &str) -> io::Result<OwnedFd> {
        let path = format!("{pid}/ns/{kind}");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(
            &self.dir,
            path.as_str(),
            flags,
            Mode::empty(),
        )?)
    }

    /// When a process started, in clock ticks since boot; `None` when there is none.
    pub fn start_ticks(&self, pid: HostPid) -> Option<u64> {
        Reader::new(self).read_life(pid).map(|life| life.0)
    }

    /// Reads the command line of a process: its arguments, each escaped, joined by spaces.
    ///
    /// `None` when the process is gone, is a zombie or a kernel thread, or emptied its arguments.
    /// The text is the process's own choice. Reading it takes the process's memory lock, so this
    /// is for listings of few processes.
    pub fn read_command(&self, pid: HostPid) -> Option<String> {
        let text = self.read_arguments(pid)?;
        let escape = |argument: &[u8]| {
            berth_base::escape_untrusted(&decode_untrusted(argument)).into_owned()
        };
        let arguments: Vec<String> = text.split(|byte| *byte == 0).map(escape).collect();
        Some(arguments.join(" "))
    }

    /// Reads the arguments of a process as they are, a NUL between each two. `None` as
    /// [`ProcRoot::read_command`] has it.
    pub fn read_arguments(&self, pid: HostPid) -> Option<Vec<u8>> {
        let mut buffer = Vec::new();
        let path = format!("{pid}/cmdline");
        read_file(&self.dir, Path::new(&path), &mut buffer).ok()?;
        if buffer.last() == Some(&0) {
            buffer.pop();
        }
        (!buffer.is_empty()).then_some(buffer)
    }
}

impl ProcRoot {
    /// Reads the mounts of a process, those below its root (`PID/mountinfo`). Takes the rights of
    /// ptrace(2) for reading.
    pub fn read_mounts(&self, pid: HostPid) -> io::Result<Vec<Mount>> {
        let mut buffer = Vec::new();
        let path = format!("{pid}/mountinfo");
        read_file(&self.dir, Path::new(&path), &mut buffer)?;
        Ok(super::details::parse_mounts(&buffer))
    }
}

impl AsFd for ProcRoot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Opens a directory for reading.
pub(super) fn open_dir(at: impl AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// The entries of a directory that are numbers.
pub(super) fn list_numbers(dir: &OwnedFd) -> Result<Vec<HostPid>, Errno> {
    let mut buffer = vec![MaybeUninit::uninit(); DIRENT_BUFFER];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut pids = Vec::new();
    while let Some(entry) = entries.next() {
        pids.extend(parse_pid(entry?.file_name()));
    }
    Ok(pids)
}

/// A file name that is a PID.
fn parse_pid(name: &CStr) -> Option<HostPid> {
    let text = name.to_str().ok()?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    HostPid::new(text.parse().ok()?)
}

/// Reads a whole file below a directory into a buffer, which keeps its capacity.
pub(super) fn read_file(
    dir: impl AsFd,
    path: impl rustix::path::Arg,
    buffer: &mut Vec<u8>,
) -> Result<(), Errno> {
    buffer.clear();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, path, flags, Mode::empty())?;
    while buffer.len() < MAX_FILE {
        buffer.reserve(2048);
        let room = buffer.capacity() - buffer.len();
        match rustix::io::read(&file, rustix::buffer::spare_capacity(buffer)) {
            // The files read here are one record each (single_open in the kernel), so that a read
            // that leaves room has met the end.
            Ok(read) if read < room => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_the_reader_itself() {
        let proc = ProcRoot::open("/proc").unwrap();
        let own = HostPid::new(std::process::id()).unwrap();
        assert!(proc.list_pids().unwrap().contains(&own));
        assert!(proc.list_threads(own).contains(&own));
        assert!(proc.read_command(own).is_some());
    }

    #[test]
    fn long_files_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let text = "x".repeat(10_000);
        std::fs::write(folder.path().join("f"), &text).unwrap();
        let proc = ProcRoot::open(folder.path()).unwrap();
        assert_eq!(proc.read_text("f").unwrap(), text);
    }

    #[test]
    fn hostile_arguments_are_escaped() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("7")).unwrap();
        std::fs::write(folder.path().join("7/cmdline"), b"sh\0-c\0\x1b[2J\xff\0").unwrap();
        let proc = ProcRoot::open(folder.path()).unwrap();
        let command = proc.read_command(HostPid::new(7).unwrap()).unwrap();
        assert_eq!(command, "sh -c \\x1b[2J\\xff");
    }

    #[test]
    fn a_missing_procfs_is_said() {
        let error = ProcRoot::open("/nonexistent").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot open the procfs at /nonexistent:"),
            "{error}"
        );
    }
}

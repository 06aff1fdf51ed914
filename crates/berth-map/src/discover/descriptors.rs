//! Descriptors that are namespaces or sockets, from the links in `/proc/PID/fd`.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use berth_base::{HostPid, NamespaceId};
use rustix::fs::RawDir;
use rustix::io::Errno;

use super::details::Reading;
use super::parse;
use super::proc_root::open_dir;
use super::ways::Way;
use crate::model::Holder;

/// What processes have open.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// Sockets, by process.
    pub(super) sockets: Vec<Socket>,
}

/// One descriptor of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) pid: HostPid,
    pub(super) fd: u32,
    /// The inode number of the socket.
    pub(super) inode: u64,
}

/// What one descriptor is.
enum Target {
    Namespace(NamespaceId),
    Socket(u64),
}

/// Bytes of directory entries taken per getdents64(2).
const DIRENT_BUFFER: usize = 16 * 1024;

/// Reads the descriptors of every process. Those of threads that do not share them with their
/// process (unshare(2) of CLONE_FILES) are not looked at.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let mut space = vec![MaybeUninit::uninit(); DIRENT_BUFFER];
    let mut refused = 0usize;
    let mut first = None;
    for process in &reading.scan.processes {
        if process.kernel_thread || process.is_zombie() {
            continue;
        }
        let pid = process.pid;
        let mut found = Vec::new();
        let path = format!("{pid}/fd");
        match open_dir(reading.proc, Path::new(&path))
            .and_then(|dir| read_links(&dir, &mut space, &mut found))
        {
            Ok(()) | Err(Errno::NOENT | Errno::SRCH) => {}
            Err(error) => {
                refused += 1;
                first.get_or_insert((pid, error));
            }
        }
        for (fd, target) in found {
            match target {
                Target::Socket(inode) => {
                    reading.descriptors.sockets.push(Socket { pid, fd, inode });
                }
                Target::Namespace(id) if reading.wanted.holders => {
                    reading.ways.insert(id, Way::Descriptor { pid, fd });
                    reading.hold(id, Holder::Descriptor { pid, fd });
                }
                Target::Namespace(_) => {}
            }
        }
    }
    match first {
        None => Ok(()),
        Some((pid, error)) => Err(format!(
            "those of {refused} processes cannot be read, as of process {pid} (the first of them): {}; try again as root",
            std::io::Error::from(error)
        )),
    }
}

/// Reads the links of one process.
fn read_links(
    dir: &OwnedFd,
    space: &mut [MaybeUninit<u8>],
    found: &mut Vec<(u32, Target)>,
) -> Result<(), Errno> {
    let mut entries = RawDir::new(dir, space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let Some(fd) = parse_number(entry.file_name()) else {
            continue;
        };
        let mut target = [MaybeUninit::<u8>::uninit(); 64];
        // A longer target is cut, and is the path of a file.
        let Ok((target, _)) = rustix::fs::readlinkat_raw(dir, entry.file_name(), &mut target)
        else {
            continue;
        };
        if let Some(inode) = parse::parse_socket(target) {
            found.push((fd, Target::Socket(inode)));
        } else if let Some(id) = parse::parse_any_link(target) {
            found.push((fd, Target::Namespace(id)));
        }
    }
    Ok(())
}

/// A file name that is a number.
fn parse_number(name: &CStr) -> Option<u32> {
    let text = name.to_str().ok()?;
    text.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    text.parse().ok()
}

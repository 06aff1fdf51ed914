//! Descriptors that are namespaces or sockets, from the links in `/proc/PID/fd`.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use berth_base::{HostPid, NamespaceId};
use rustix::fs::RawDir;
use rustix::io::Errno;

use super::Reading;
use crate::discover::bpf::Beside;
use crate::discover::parse;
use crate::discover::proc_root::open_dir;
use crate::discover::ways::{Way, identify, identify_descriptor, nsfs_device};
use crate::model::{Holder, Process};

/// What processes have open, process by process, by ascending PID.
#[derive(Debug, Default)]
pub(in crate::discover) struct Descriptors {
    /// Namespaces.
    pub(in crate::discover) namespaces: Vec<Namespace>,
    /// Sockets.
    pub(in crate::discover) sockets: Vec<Socket>,
}

impl Descriptors {
    /// Adds those of other processes.
    fn extend(&mut self, other: Self) {
        self.namespaces.extend(other.namespaces);
        self.namespaces.sort_by_key(|open| (open.pid, open.fd));
        self.sockets.extend(other.sockets);
        self.sockets.sort_by_key(|open| (open.pid, open.fd));
    }
}

/// One descriptor of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::discover) struct Namespace {
    pub(in crate::discover) pid: HostPid,
    pub(in crate::discover) fd: u32,
    pub(in crate::discover) id: NamespaceId,
}

/// One descriptor of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::discover) struct Socket {
    pub(in crate::discover) pid: HostPid,
    pub(in crate::discover) fd: u32,
    /// The inode number of the socket.
    pub(in crate::discover) inode: u64,
    /// The network namespace in which it was made, where the source tells.
    pub(in crate::discover) namespace: Option<NamespaceId>,
}

/// Bytes of directory entries taken per getdents64(2).
const DIRENT_BUFFER: usize = 16 * 1024;

/// Reads the descriptors of every process, and takes namespaces among them for holders.
pub(in crate::discover) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let (found, refused) = match reading.beside.as_mut().map(Beside::descriptors) {
        None => list(reading, |_| true),
        Some(Err(why)) => {
            let line = format!("descriptors: BPF is not available: {why}");
            reading.warnings.push(line);
            list(reading, |_| true)
        }
        Some(Ok(mut found)) => {
            let unseen = |p: &Process| reading.beside.as_ref().is_some_and(|b| !b.shows(p.pid));
            let (rest, refused) = list(reading, unseen);
            found.extend(rest);
            (found, refused)
        }
    };
    reading.descriptors = found;
    if reading.wanted.holders {
        for Namespace { pid, fd, id } in reading.descriptors.namespaces.clone() {
            reading.ways.insert(id, Way::Descriptor { pid, fd });
            reading.hold(id, Holder::Descriptor { pid, fd });
        }
    }
    match refused.first() {
        None => Ok(()),
        Some((pid, error)) => Err(format!(
            "those of {} processes cannot be read, as of process {pid} (the first of them): {}; try again as root",
            refused.len(),
            std::io::Error::from(*error)
        )),
    }
}

/// Lists the descriptors of the chosen processes, and those that refuse. Those of threads that do
/// not share them with their process (unshare(2) of CLONE_FILES) are not looked at.
fn list(
    reading: &Reading<'_>,
    is_chosen: impl Fn(&Process) -> bool,
) -> (Descriptors, Vec<(HostPid, Errno)>) {
    let mut space = vec![MaybeUninit::uninit(); DIRENT_BUFFER];
    let nsfs = nsfs_device(reading.proc);
    let mut found = Descriptors::default();
    let mut refused = Vec::new();
    for process in reading.scan.processes.iter().filter(|p| is_chosen(p)) {
        if process.kernel_thread || process.is_zombie() {
            continue;
        }
        let pid = process.pid;
        let path = format!("{pid}/fd");
        let read = open_dir(reading.proc, Path::new(&path)).and_then(|dir| {
            read_links(&dir, &mut space, |fd, name, target| {
                if target.starts_with(b"/") {
                    // One that was opened by a bind mount goes by the path of that.
                    let is_namespace =
                        nsfs.is_some() && identify(&dir, name).map(|file| file.device) == nsfs;
                    let id = is_namespace.then(|| identify_descriptor(reading.proc, pid, fd));
                    let id = id.flatten();
                    found
                        .namespaces
                        .extend(id.map(|id| Namespace { pid, fd, id }));
                } else if let Some(inode) = parse::parse_socket(target) {
                    found.sockets.push(Socket {
                        pid,
                        fd,
                        inode,
                        namespace: None,
                    });
                } else if let Some(id) = parse::parse_any_link(target) {
                    found.namespaces.push(Namespace { pid, fd, id });
                }
            })
        });
        match read {
            Ok(()) | Err(Errno::NOENT | Errno::SRCH) => {}
            Err(error) => refused.push((pid, error)),
        }
    }
    (found, refused)
}

/// Calls `each` with the number, the name and the target of every descriptor of one process.
fn read_links(
    dir: &OwnedFd,
    space: &mut [MaybeUninit<u8>],
    mut each: impl FnMut(u32, &CStr, &[u8]),
) -> Result<(), Errno> {
    let mut entries = RawDir::new(dir, space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let Some(fd) = parse_number(entry.file_name()) else {
            continue;
        };
        let mut target = [MaybeUninit::<u8>::uninit(); 64];
        // A longer target is cut, and is the path of a file.
        if let Ok((target, _)) = rustix::fs::readlinkat_raw(dir, entry.file_name(), &mut target) {
            each(fd, entry.file_name(), target);
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

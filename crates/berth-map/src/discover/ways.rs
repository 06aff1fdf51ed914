//! How each known namespace can be opened, without following a name that a container chose.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_sys::socket;
use rustc_hash::FxHashSet;
use rustix::fs::{AtFlags, FsWord, Mode, OFlags, StatxFlags};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};

use super::ProcRoot;
use crate::model::Process;

/// What leads to a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The link of a process that lives in it.
    Process(HostPid),
    /// The link of a thread that lives in it.
    Thread { process: HostPid, tid: HostPid },
    /// The link of a process whose next child will be born in it.
    ForChildren(HostPid),
    /// A descriptor of its nsfs file.
    Descriptor { pid: HostPid, fd: u32 },
    /// A socket that was made in it.
    Socket { pid: HostPid, fd: u32 },
    /// A bind mount of its nsfs file in our own mount namespace, all of whose folders are on file
    /// systems that answer at once.
    Mounted(Vec<u8>),
    /// It was seen, but nothing is known that opens it.
    Passed,
}

/// NSFS_MAGIC of linux/magic.h.
pub(super) const NSFS_MAGIC: FsWord = 0x6e73_6673;

/// One way for each namespace: the first that was found, so that processes come before the rest.
#[derive(Debug, Default)]
pub(super) struct Ways(BTreeMap<NamespaceId, Way>);

impl Ways {
    /// The ways through processes.
    pub(super) fn through(processes: &[Process]) -> Self {
        let mut ways = Self::default();
        let mut seen = FxHashSet::default();
        // Most processes live where others do, often their neighbours.
        let runs = processes.chunk_by(|a, b| a.namespaces == b.namespaces);
        let firsts = runs.filter_map(|run| run.first());
        for process in firsts.filter(|p| seen.insert(p.namespaces)) {
            for id in process.namespaces.iter() {
                ways.insert(id, Way::Process(process.pid));
            }
        }
        ways
    }

    /// Adds a way, unless there is one.
    pub(super) fn insert(&mut self, id: NamespaceId, way: Way) {
        self.0.entry(id).or_insert(way);
    }

    /// Whether there is something through which a namespace can be opened.
    pub(super) fn leads_to(&self, id: NamespaceId) -> bool {
        !matches!(self.0.get(&id), None | Some(Way::Passed))
    }

    /// The folder in procfs of a process or thread that lives in a namespace.
    pub(super) fn folder(&self, id: NamespaceId) -> Option<String> {
        match self.0.get(&id)? {
            Way::Process(pid) => Some(pid.to_string()),
            Way::Thread { process, tid } => Some(format!("{process}/task/{tid}")),
            _ => None,
        }
    }

    /// Whether a process or a thread lives in a namespace.
    pub(super) fn is_inhabited(&self, id: NamespaceId) -> bool {
        matches!(self.0.get(&id), Some(Way::Process(_) | Way::Thread { .. }))
    }

    /// The namespaces of one kind, by inode.
    pub(super) fn of_kind(&self, kind: NamespaceKind) -> impl Iterator<Item = NamespaceId> + '_ {
        self.iter().filter(move |id| id.kind == kind)
    }

    /// All namespaces, by kind and inode.
    pub(super) fn iter(&self) -> impl Iterator<Item = NamespaceId> + '_ {
        self.0.keys().copied()
    }

    /// Opens a namespace, and makes sure that it is still the same one.
    pub(super) fn open(&self, proc: &ProcRoot, id: NamespaceId) -> Option<OwnedFd> {
        let link = |path: String| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::openat(proc, path, flags, Mode::empty()).ok()
        };
        let kind = id.kind.as_str();
        let opened = match self.0.get(&id)? {
            Way::Process(pid) => link(format!("{pid}/ns/{kind}")),
            Way::Thread { process, tid } => link(format!("{process}/task/{tid}/ns/{kind}")),
            Way::ForChildren(pid) => link(format!("{pid}/ns/{kind}_for_children")),
            Way::Descriptor { pid, fd } => open_descriptor(proc, *pid, *fd, id),
            Way::Socket { pid, fd } => socket::open_network_namespace(duplicate(*pid, *fd)?).ok(),
            Way::Mounted(path) => open_mounted(proc, path, id),
            Way::Passed => None,
        }?;
        let inode = rustix::fs::fstat(&opened).ok()?.st_ino;
        (inode == id.inode && is_namespace(&opened)).then_some(opened)
    }
}

/// Opens what a descriptor of another process refers to, if it is the namespace.
///
/// The process may have put a FIFO or a device there meanwhile, which must not be opened for real,
/// or a file of FUSE, which must not even be asked for its attributes: so only the place is taken
/// (O_PATH) until it is known for the namespace.
fn open_descriptor(proc: &ProcRoot, pid: HostPid, fd: u32, id: NamespaceId) -> Option<OwnedFd> {
    open_place(proc, &place_of_descriptor(proc, pid, fd)?, id)
}

fn place_of_descriptor(proc: &ProcRoot, pid: HostPid, fd: u32) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat(proc, format!("{pid}/fd/{fd}"), flags, Mode::empty()).ok()
}

/// Opens a bind mount of our own mount namespace, following no link, if it is the namespace.
fn open_mounted(proc: &ProcRoot, path: &[u8], id: NamespaceId) -> Option<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let root = super::proc_root::open_dir(rustix::fs::CWD, std::path::Path::new("/")).ok()?;
    let place = rustix::fs::openat2(
        &root,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
    .ok()?;
    open_place(proc, &place, id)
}

/// Opens the namespace of which the place is known; `None` when something else is there.
fn open_place(proc: &ProcRoot, place: &OwnedFd, id: NamespaceId) -> Option<OwnedFd> {
    let file = identify(place, c"")?;
    let is_it = file.device == nsfs_device(proc)? && file.inode == id.inode;
    is_it.then(|| berth_sys::reopen(place.as_fd(), OFlags::RDONLY).ok())?
}

fn is_namespace(descriptor: impl AsFd) -> bool {
    rustix::fs::fstatfs(descriptor).is_ok_and(|stat| stat.f_type == NSFS_MAGIC)
}

/// Which file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    /// Major and minor number of the device.
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
}

/// Identifies a file below a directory, links of procfs followed, or a descriptor with an empty
/// path. The file system is not asked (AT_STATX_DONT_SYNC), since it may be one of FUSE that never
/// answers.
pub(super) fn identify(at: impl AsFd, path: &CStr) -> Option<FileIdentity> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(at, path, flags, StatxFlags::INO).ok()?;
    Some(FileIdentity {
        device: (stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
    })
}

/// The device of nsfs, of which the kernel has one.
pub(super) fn nsfs_device(proc: &ProcRoot) -> Option<(u32, u32)> {
    // We are not in a procfs of another PID namespace; its PID 1 is.
    let places = [c"thread-self/ns/mnt", c"1/ns/mnt"];
    let found = places.into_iter().find_map(|path| identify(proc, path));
    found.map(|file| file.device)
}

/// The namespace behind a descriptor of another process, whichever it is; `None` when it is none.
pub(super) fn identify_descriptor(proc: &ProcRoot, pid: HostPid, fd: u32) -> Option<NamespaceId> {
    let place = place_of_descriptor(proc, pid, fd)?;
    let file = identify(&place, c"")?;
    if file.device != nsfs_device(proc)? {
        return None;
    }
    let opened = berth_sys::reopen(place.as_fd(), OFlags::RDONLY).ok()?;
    Some(NamespaceId {
        kind: kind_of(&opened)?,
        inode: file.inode,
    })
}

/// Duplicates a socket of another process.
fn duplicate(pid: HostPid, fd: u32) -> Option<OwnedFd> {
    duplicate_socket(&open_pidfd(pid)?, fd)
}

/// A pidfd of a process.
pub(super) fn open_pidfd(pid: HostPid) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid.get()).ok()?)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Duplicates a socket of the process behind a pidfd (pidfd_getfd(2), 5.6).
///
/// `None` for anything else: it could be a file of FUSE by now, whose process must not be asked.
pub(super) fn duplicate_socket(pidfd: &OwnedFd, fd: u32) -> Option<OwnedFd> {
    let fd = i32::try_from(fd).ok()?;
    let duplicate = rustix::process::pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty()).ok()?;
    // Answered by the kernel alone: ENOTSOCK for what is none.
    rustix::net::sockopt::socket_domain(&duplicate).ok()?;
    Some(duplicate)
}

/// The kind of an open namespace.
pub(super) fn kind_of(namespace: &OwnedFd) -> Option<NamespaceKind> {
    let flag = berth_sys::namespace_flag(namespace.as_fd()).ok()?;
    // CLONE_NEW* of linux/sched.h.
    match flag {
        0x80 => Some(NamespaceKind::Time),
        0x0002_0000 => Some(NamespaceKind::Mnt),
        0x0200_0000 => Some(NamespaceKind::Cgroup),
        0x0400_0000 => Some(NamespaceKind::Uts),
        0x0800_0000 => Some(NamespaceKind::Ipc),
        0x1000_0000 => Some(NamespaceKind::User),
        0x2000_0000 => Some(NamespaceKind::Pid),
        0x4000_0000 => Some(NamespaceKind::Net),
        _ => None,
    }
}

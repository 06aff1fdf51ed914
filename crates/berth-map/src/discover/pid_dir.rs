//! Reading one process from its directory in procfs.

use std::collections::HashMap;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use berth_base::{HostPid, NamespaceKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::parse::{self, Stat};
use super::proc_root::read_file;
use super::{DiscoverError, ProcRoot};
use crate::model::{CgroupSet, Links, NamespaceSet, Process, Thread};

/// Reads processes one after the other, reusing its buffers.
///
/// A directory is opened once and everything is read below its descriptor, which stays bound to
/// the process: a PID that is reused meanwhile gives errors, never a mixture of two processes.
pub(super) struct Reader<'p> {
    proc: &'p ProcRoot,
    buffer: Vec<u8>,
    /// Sets of cgroups already parsed, by the text of the file.
    cgroups: HashMap<Vec<u8>, Arc<CgroupSet>>,
}

/// A process exists but may not, or cannot, be read.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) pid: HostPid,
    pub(super) file: &'static str,
    pub(super) error: Errno,
}

impl From<Refused> for DiscoverError {
    fn from(refused: Refused) -> Self {
        Self::ReadProcess {
            pid: refused.pid.get(),
            file: refused.file,
            source: refused.error.into(),
        }
    }
}

/// The eight links, in the order of [`NamespaceKind::ALL`].
const LINKS: [(NamespaceKind, &CStr); 8] = [
    (NamespaceKind::Cgroup, c"ns/cgroup"),
    (NamespaceKind::Ipc, c"ns/ipc"),
    (NamespaceKind::Mnt, c"ns/mnt"),
    (NamespaceKind::Net, c"ns/net"),
    (NamespaceKind::Pid, c"ns/pid"),
    (NamespaceKind::Time, c"ns/time"),
    (NamespaceKind::User, c"ns/user"),
    (NamespaceKind::Uts, c"ns/uts"),
];

impl<'p> Reader<'p> {
    /// A reader of one procfs.
    pub(super) fn new(proc: &'p ProcRoot) -> Self {
        Self {
            proc,
            buffer: Vec::with_capacity(4096),
            cgroups: HashMap::new(),
        }
    }

    /// Reads a process; `None` when there is none (any more).
    pub(super) fn read(&mut self, pid: HostPid) -> Result<Option<Process>, Refused> {
        Ok(self.read_counted(pid)?.map(|(process, _)| process))
    }

    /// Reads a process and the number of its threads.
    pub(super) fn read_counted(&mut self, pid: HostPid) -> Result<Option<(Process, u32)>, Refused> {
        let refused = |file, error| Refused { pid, file, error };
        let result = self.read_parts(pid);
        match result {
            Ok(process) => Ok(Some(process)),
            Err((_, Errno::NOENT | Errno::SRCH)) => Ok(None),
            Err((file, error)) => Err(refused(file, error)),
        }
    }

    /// Reads only when a process started, and its state; `None` when there is none.
    pub(super) fn read_life(&mut self, pid: HostPid) -> Option<(u64, char)> {
        let dir = open_pid(self.proc, pid).ok()?;
        let stat = self.read_stat(&dir).ok()?;
        Some((stat.start_ticks, stat.state))
    }

    /// Reads a thread of a process, when `wanted` says so of the namespaces it lives in; `None`
    /// when there is none (any more), it is not wanted, or it may not be read.
    pub(super) fn read_thread(
        &mut self,
        process: HostPid,
        tid: HostPid,
        wanted: impl FnOnce(&NamespaceSet) -> bool,
    ) -> Option<Thread> {
        let path = format!("{process}/task/{tid}");
        let dir = open_dir(self.proc, path.as_bytes()).ok()?;
        // A thread that has ended is gone at once, save the first one of its process.
        let (namespaces, _) = read_links(&dir, false).ok()?;
        if !wanted(&namespaces) {
            return None;
        }
        let stat = self.read_stat(&dir).ok()?;
        read_file(&dir, c"status", &mut self.buffer).ok()?;
        let mut tids = parse::parse_status(&self.buffer)?.pids;
        if tids.is_empty() {
            tids.push(tid.get());
        }
        Some(Thread {
            tid,
            tids,
            namespaces,
            comm: stat.comm,
            state: stat.state,
            start_ticks: stat.start_ticks,
        })
    }

    fn read_parts(&mut self, pid: HostPid) -> Result<(Process, u32), (&'static str, Errno)> {
        let dir = open_pid(self.proc, pid).map_err(|e| ("the directory", e))?;
        let stat = self.read_stat(&dir).map_err(|e| ("stat", e))?;
        read_file(&dir, c"status", &mut self.buffer).map_err(|e| ("status", e))?;
        let status = parse::parse_status(&self.buffer).ok_or(("status", Errno::ILSEQ))?;
        let mut pids = status.pids;
        if pids.is_empty() {
            pids.push(pid.get());
        }
        let cgroups = self.read_cgroups(&dir).map_err(|e| ("cgroup", e))?;
        let zombie = matches!(stat.state, 'Z' | 'X' | 'x');
        let (namespaces, links) = read_links(&dir, zombie).map_err(|e| ("ns", e))?;
        let process = Process {
            pid,
            pids,
            namespaces,
            links,
            parent: stat.parent,
            comm: stat.comm,
            state: stat.state,
            start_ticks: stat.start_ticks,
            cgroups,
            uid: status.uid,
            kernel_thread: stat.kernel_thread,
        };
        Ok((process, stat.threads))
    }

    fn read_stat(&mut self, dir: &OwnedFd) -> Result<Stat, Errno> {
        read_file(dir, c"stat", &mut self.buffer)?;
        parse::parse_stat(&self.buffer).ok_or(Errno::ILSEQ)
    }

    /// The cgroups; of a kernel without cgroups, none.
    fn read_cgroups(&mut self, dir: &OwnedFd) -> Result<Arc<CgroupSet>, Errno> {
        match read_file(dir, c"cgroup", &mut self.buffer) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::ACCESS) => self.buffer.clear(),
            Err(error) => return Err(error),
        }
        if let Some(known) = self.cgroups.get(self.buffer.as_slice()) {
            return Ok(Arc::clone(known));
        }
        let parsed = Arc::new(parse::parse_cgroup(&self.buffer));
        self.cgroups
            .insert(self.buffer.clone(), Arc::clone(&parsed));
        Ok(parsed)
    }
}

/// Opens the directory of a process, for looking up names in it.
pub(super) fn open_pid(proc: &ProcRoot, pid: HostPid) -> Result<OwnedFd, Errno> {
    let mut digits = [0u8; 11];
    open_dir(proc, write_digits(&mut digits, pid.get()))
}

/// Opens a directory below a procfs, for looking up names in it.
fn open_dir(proc: &ProcRoot, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(proc, name, flags, Mode::empty())
}

/// Writes a number as text, without allocating.
fn write_digits(space: &mut [u8; 11], number: u32) -> &[u8] {
    let mut rest = number;
    let mut start = space.len();
    for place in space.iter_mut().rev() {
        *place = b'0'.wrapping_add(u8::try_from(rest % 10).unwrap_or(0));
        start -= 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    space.get(start..).unwrap_or_default()
}

/// Reads the namespace links.
///
/// The kernel shows a zombie's `pid` and `user` only. The access check is one per process, so the
/// first refusal stands for all. A link that is missing is left out, but `pid` is there until the
/// process is reaped: without it the process is gone (ESRCH).
fn read_links(dir: &OwnedFd, zombie: bool) -> Result<(NamespaceSet, Links), Errno> {
    let mut set = NamespaceSet::default();
    for (kind, name) in LINKS {
        if zombie && !matches!(kind, NamespaceKind::Pid | NamespaceKind::User) {
            continue;
        }
        let mut space = [MaybeUninit::<u8>::uninit(); 64];
        match rustix::fs::readlinkat_raw(dir, name, &mut space) {
            Ok((target, _)) => {
                if let Some(id) = parse::parse_link(kind, target) {
                    set.insert(id);
                }
            }
            Err(Errno::NOENT) if kind == NamespaceKind::Pid => return Err(Errno::SRCH),
            Err(Errno::NOENT) => {}
            Err(Errno::ACCESS | Errno::PERM) => return Ok((set, Links::Denied)),
            Err(error) => return Err(error),
        }
    }
    Ok((set, Links::Read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_the_number() {
        for number in [1, 10, 31_995, 4_194_304, u32::MAX] {
            let mut space = [0; 11];
            assert_eq!(
                write_digits(&mut space, number),
                number.to_string().as_bytes()
            );
        }
    }

    #[test]
    fn reads_itself_as_the_kernel_describes_it() {
        let proc = ProcRoot::open("/proc").unwrap();
        let own = HostPid::new(std::process::id()).unwrap();
        let process = Reader::new(&proc).read(own).unwrap().unwrap();
        assert_eq!(process.pids.first(), Some(&own.get()));
        assert_eq!(process.links, Links::Read);
        for id in process.namespaces.iter() {
            let link = std::fs::read_link(format!("/proc/self/ns/{}", id.kind.as_str())).unwrap();
            assert_eq!(link.to_str().unwrap(), id.to_string());
        }
    }

    #[test]
    fn no_process_is_none() {
        let proc = ProcRoot::open("/proc").unwrap();
        let beyond = HostPid::new(i32::MAX.unsigned_abs()).unwrap();
        assert!(Reader::new(&proc).read(beyond).unwrap().is_none());
    }
}

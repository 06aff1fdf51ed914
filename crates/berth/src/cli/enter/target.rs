//! The process whose namespaces are entered: a pidfd that is proven to be that very process, and
//! what is opened of it while we are still outside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use berth_base::{ErrorClass, HostPid, NamespaceKind};
use berth_map::Sources;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::cli::subject::{find_process, process_spec};

/// A process, and what of it is to be entered.
pub(super) struct Target {
    /// Its PID on the host, for messages.
    pub(super) pid: HostPid,
    /// The process itself.
    pub(super) pidfd: OwnedFd,
    /// The kinds of namespace that are entered.
    pub(super) kinds: Vec<NamespaceKind>,
    /// Its root and its working directory, when its mount namespace is entered.
    pub(super) folders: Option<(OwnedFd, OwnedFd)>,
    /// `cgroup.procs` of each of its cgroups, open for writing.
    pub(super) cgroups: Vec<File>,
}

impl Target {
    /// Finds a process and opens everything that is needed of it.
    ///
    /// `wanted` names the kinds to enter; without it all that differ from ours.
    pub(super) fn open(
        context: &Context,
        sources: &Sources,
        text: &str,
        wanted: Option<&[NamespaceKind]>,
        with_cgroups: bool,
    ) -> Result<Self, Failure> {
        let spec = process_spec(context, sources, text)?;
        let found = find_process(sources, &spec)?;
        let pid = found.pid;
        let process = found.world.process(pid);
        let started = process.map(|process| process.start_ticks);
        if process.is_some_and(berth_map::Process::is_zombie) {
            return Err(ended(pid));
        }
        let raw = i32::try_from(pid.get()).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| ended(pid))?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(|error| match error {
            Errno::SRCH if !counts_as_we_do() => foreign_procfs(pid),
            Errno::SRCH => ended(pid),
            // Before 6.9 a thread that leads no process has no pidfd.
            Errno::INVAL | Errno::NOENT => Failure::new(
                ErrorClass::Invalid,
                format!("cannot enter {pid}: it is a thread, not a process; name its process"),
            ),
            error => cannot(pid, "open a pidfd of it", error),
        })?;
        // The number may have been given to another process before the pidfd was opened, but not
        // after: who has it now, with the start time that was found, is who the pidfd means.
        if started.is_none() || sources.proc.start_ticks(pid) != started {
            return Err(ended(pid));
        }
        if counted_by_procfs(&pidfd) != Some(pid.get()) {
            return Err(foreign_procfs(pid));
        }
        let kinds = kinds_to_enter(pid, wanted)?;
        let folders = match kinds.contains(&NamespaceKind::Mnt) {
            true => Some((open_folder(pid, "root")?, open_folder(pid, "cwd")?)),
            false => None,
        };
        let cgroups = match with_cgroups {
            true => open_cgroups(pid)?,
            false => Vec::new(),
        };
        let target = Self {
            pid,
            pidfd,
            kinds,
            folders,
            cgroups,
        };
        // Everything above went by number: it was this process's if that one still lives.
        match target.has_ended() {
            true => Err(ended(pid)),
            false => Ok(target),
        }
    }

    /// Whether a kind of namespace is entered.
    pub(super) fn enters(&self, kind: NamespaceKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether the process has ended: its pidfd is readable then (pidfd_open(2)).
    fn has_ended(&self) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&now)), Ok(1..))
    }
}

/// The PID of a pidfd's process as the procfs counts it (`Pid:` of /proc/PID/fdinfo/FD,
/// pidfd_open(2)): pidfd_open counts in the caller's own PID namespace, and a procfs may belong to
/// another.
fn counted_by_procfs(pidfd: &OwnedFd) -> Option<u32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok()
}

/// Whether /proc belongs to our own PID namespace: it calls us by the PID that we know.
fn counts_as_we_do() -> bool {
    let own = std::process::id().to_string();
    std::fs::read_link("/proc/self").is_ok_and(|link| link.as_os_str() == own.as_str())
}

fn foreign_procfs(pid: HostPid) -> Failure {
    Failure::new(
        ErrorClass::Unsupported,
        format!("cannot enter process {pid}: /proc belongs to another PID namespace than yours, so that the PID means another process or none; mount your own with \"mount -t proc proc /proc\""),
    )
    .on(pid.to_string())
}

/// A process that is gone, or waits to be reaped.
pub(super) fn ended(pid: HostPid) -> Failure {
    Failure::new(
        ErrorClass::NotFound,
        format!("cannot enter process {pid}: it has ended; \"berth map\" draws those there are"),
    )
    .on(pid.to_string())
}

/// Something that the kernel refused.
fn cannot(pid: HostPid, what: &str, error: Errno) -> Failure {
    let (class, next) = match error {
        Errno::ACCESS | Errno::PERM => (ErrorClass::Denied, "; try again as root"),
        _ => (ErrorClass::Unavailable, ""),
    };
    let why = io::Error::from(error);
    Failure::new(
        class,
        format!("cannot enter process {pid}: cannot {what}: {why}{next}"),
    )
    .on(pid.to_string())
}

/// The kinds that are asked for, or all, that differ from our own.
fn kinds_to_enter(
    pid: HostPid,
    wanted: Option<&[NamespaceKind]>,
) -> Result<Vec<NamespaceKind>, Failure> {
    let mut kinds = Vec::new();
    for kind in NamespaceKind::ALL {
        if wanted.is_some_and(|wanted| !wanted.contains(&kind)) {
            continue;
        }
        let name = kind.as_str();
        let inode =
            |who: &str| rustix::fs::stat(format!("/proc/{who}/ns/{name}")).map(|s| s.st_ino);
        let theirs = match inode(&pid.to_string()) {
            Ok(theirs) => theirs,
            // A kernel without this kind.
            Err(Errno::NOENT) if inode("self").is_err() => continue,
            Err(Errno::NOENT | Errno::SRCH) => return Err(ended(pid)),
            Err(error) => {
                let what = format!("read its {name} namespace");
                return Err(cannot(pid, &what, error));
            }
        };
        // Entering one's own user namespace again is EINVAL, of the others it does nothing.
        if inode("self") != Ok(theirs) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

/// Opens a folder of the process for fchdir(2).
fn open_folder(pid: HostPid, name: &str) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/{pid}/{name}"), flags, Mode::empty())
        .map_err(|error| cannot(pid, &format!("open its {name} folder"), error))
}

/// Opens `cgroup.procs` of every cgroup of the process, in the hierarchies that are mounted.
fn open_cgroups(pid: HostPid) -> Result<Vec<File>, Failure> {
    let read = |path: String| {
        std::fs::read_to_string(path).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            cannot(pid, "read its cgroups", errno)
        })
    };
    let theirs = read(format!("/proc/{pid}/cgroup"))?;
    let mounts = read("/proc/self/mountinfo".to_owned())?;
    let mut opened = Vec::new();
    for line in theirs.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let Some(folder) = mount_of(&mounts, controllers) else {
            continue;
        };
        let file = format!("{folder}{}/cgroup.procs", path.trim_end_matches('/'));
        let file = File::options().write(true).open(&file).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            cannot(pid, &format!("open {file}"), errno)
        })?;
        opened.push(file);
    }
    Ok(opened)
}

/// Where a hierarchy is mounted whole (proc_pid_mountinfo(5)); `controllers` is empty for v2.
fn mount_of<'m>(mounts: &'m str, controllers: &str) -> Option<&'m str> {
    mounts.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut filesystem = filesystem.split(' ');
        let kind = filesystem.next()?;
        let options = filesystem.nth(1)?;
        let fits = match controllers {
            "" => kind == "cgroup2",
            _ => {
                let mut wanted = controllers.split(',');
                kind == "cgroup" && wanted.all(|c| options.split(',').any(|o| o == c))
            }
        };
        (fits && root == "/").then_some(point)
    })
}

/// Writes the caller into the cgroups. A v1 hierarchy takes `0` for the writer, as v2 does.
pub(super) fn enter_cgroups(target: &Target) -> Result<(), Failure> {
    for file in &target.cgroups {
        rustix::io::write(file.as_fd(), b"0")
            .map_err(|error| cannot(target.pid, "sit in its cgroups", error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_by_their_controllers() {
        let mounts = "\
30 25 0:26 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw
31 25 0:27 /sub /sys/fs/cgroup/wrong rw - cgroup cgroup rw,memory
32 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 25 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
34 25 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
";
        assert_eq!(mount_of(mounts, ""), Some("/sys/fs/cgroup/unified"));
        assert_eq!(mount_of(mounts, "memory"), Some("/sys/fs/cgroup/memory"));
        assert_eq!(mount_of(mounts, "cpu,cpuacct"), Some("/sys/fs/cgroup/cpu"));
        assert_eq!(
            mount_of(mounts, "name=systemd"),
            Some("/sys/fs/cgroup/systemd")
        );
        assert_eq!(mount_of(mounts, "pids"), None);
    }
}

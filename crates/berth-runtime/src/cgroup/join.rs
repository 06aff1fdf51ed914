//! How a process enters the cgroups of a container.
//!
//! Moving another process by its PID costs 15 ms on v2 and on v1's `cgroup.procs`: the kernel
//! waits for a grace period of the threadgroup semaphore. A process that is born in its v2 cgroup
//! (CLONE_INTO_CGROUP, 5.7) and writes `0` into v1's `tasks` itself pays 0.02 ms.

use std::os::fd::{AsFd, OwnedFd};

use berth_base::HostPid;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Cgroup;
use super::error::CgroupError;
use super::files;

/// Descriptors by which a new process enters a container's cgroups. All are close-on-exec.
#[derive(Debug, Default)]
pub struct JoinDescriptors {
    /// The v2 directory, for `clone_args.cgroup` with CLONE_INTO_CGROUP.
    pub v2: Option<OwnedFd>,
    /// The `tasks` files of the v1 hierarchies, open for writing.
    pub v1: Vec<OwnedFd>,
}

impl JoinDescriptors {
    /// Moves the calling thread into the v1 cgroups; to be called while it is the only one of its
    /// process. Allocates nothing.
    pub fn enter_v1(&self) -> Result<(), Errno> {
        self.v1
            .iter()
            .try_for_each(|tasks| files::write_whole(tasks.as_fd(), b"0"))
    }

    /// Lets [`JoinDescriptors::enter_v1`] enter v2 as well, in place of CLONE_INTO_CGROUP.
    ///
    /// For who is about to join another cgroup namespace: on a v2 hierarchy mounted with
    /// nsdelegate, as systemd mounts it, CLONE_INTO_CGROUP answers ENOENT from a namespace that
    /// does not hold the present cgroup. A write is judged by the namespace in which the file was
    /// opened (kernel 5.16, with fixes to 5.10 and later).
    pub fn enter_v2_by_file(&mut self) -> Result<(), Errno> {
        if let Some(directory) = self.v2.take() {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            let file = rustix::fs::openat(directory, "cgroup.procs", flags, Mode::empty())?;
            self.v1.push(file);
        }
        Ok(())
    }
}

impl Cgroup {
    /// Opens what a new process needs to enter the cgroups.
    pub fn join_descriptors(&self) -> Result<JoinDescriptors, CgroupError> {
        let v2 = match &self.v2 {
            None => None,
            Some(branch) => Some(
                rustix::io::fcntl_dupfd_cloexec(branch.open()?, 3).map_err(files::access(
                    "open",
                    &branch.path,
                    "",
                ))?,
            ),
        };
        let v1 = self
            .v1
            .iter()
            .map(|branch| {
                let flags = OFlags::WRONLY | OFlags::CLOEXEC;
                rustix::fs::openat(branch.open()?, "tasks", flags, Mode::empty())
                    .map_err(files::access("open", &branch.path, "tasks"))
            })
            .collect::<Result<_, _>>()?;
        Ok(JoinDescriptors { v2, v1 })
    }

    /// Like [`Cgroup::join_descriptors`], but enters v2 where `init` is, if that is below the
    /// container's own directory.
    ///
    /// For sessions in a container that manages its cgroup itself, as one with systemd does: once
    /// it has enabled a controller for sub-cgroups, its own directory takes no process
    /// (EBUSY, the "no internal processes" rule of cgroups(7)).
    pub fn join_descriptors_beside(&self, init: HostPid) -> Result<JoinDescriptors, CgroupError> {
        let mut join = self.join_descriptors()?;
        let Some(branch) = &self.v2 else {
            return Ok(join);
        };
        // A process that is gone is in no sub-cgroup.
        let own = std::fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap_or_default();
        if let Some(below) = branch
            .path
            .file_name()
            .and_then(|name| path_below(&own, name.to_str()?))
        {
            match files::open_directory_at(branch.open()?, below) {
                Ok(dir) => join.v2 = Some(dir),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(files::access("open", &branch.path, below)(errno)),
            }
        }
        Ok(join)
    }
}

/// What the v2 line of `/proc/PID/cgroup` says below the directory called `name`.
fn path_below<'a>(own: &'a str, name: &str) -> Option<&'a str> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (at, found) = path.match_indices(name).find(|(at, found)| {
        path.get(..*at).is_some_and(|before| before.ends_with('/'))
            && path
                .get(at + found.len()..)
                .is_some_and(|after| after.starts_with('/'))
    })?;
    let below = path.get(at + found.len() + 1..)?;
    let is_plain = below
        .split('/')
        .all(|part| !matches!(part, "" | "." | ".."));
    is_plain.then_some(below)
}

#[cfg(test)]
mod tests {
    use super::path_below;

    #[test]
    fn the_place_below_a_directory_is_found() {
        let own = "1:cpu:/\n0::/berth/abc/init.scope/x\n";
        assert_eq!(path_below(own, "abc"), Some("init.scope/x"));
        assert_eq!(path_below(own, "bc"), None);
        assert_eq!(path_below("0::/berth/abc\n", "abc"), None);
        assert_eq!(path_below("0::/berth/abc/../d\n", "abc"), None);
        assert_eq!(path_below("4:memory:/abc/d\n", "abc"), None);
    }
}

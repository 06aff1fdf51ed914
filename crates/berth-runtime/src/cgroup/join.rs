//! How a process enters the cgroups of a container.
//!
//! Moving another process by its PID costs 15 ms on v2 and on v1's `cgroup.procs`: the kernel
//! waits for a grace period of the threadgroup semaphore. A process that is born in its v2 cgroup
//! (CLONE_INTO_CGROUP, 5.7) and writes `0` into v1's `tasks` itself pays 0.02 ms.

use std::os::fd::{AsFd, OwnedFd};

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
}

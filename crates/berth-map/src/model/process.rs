//! One process, as the host and every PID namespace above it see it.

use std::sync::Arc;

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use serde::{Deserialize, Serialize};

use super::{CgroupSet, NamespaceSet};

/// Whether the namespace links of a process could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Links {
    /// They were read; a kind that is missing does not exist for this process.
    Read,
    /// The kernel refused (EACCES: ptrace access mode checks, user_namespaces(7)); some or all
    /// kinds are missing.
    Denied,
}

/// One process of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its PID on the host.
    pub pid: HostPid,
    /// Its PID at every level, outermost (the host's) first: the NSpid line of
    /// `/proc/PID/status` (4.1). Never empty.
    pub pids: Vec<u32>,
    /// The namespaces it lives in.
    pub namespaces: NamespaceSet,
    /// Whether [`Self::namespaces`] is all there is.
    pub links: Links,
    /// Its parent; `None` for PID 1, for kthreadd, and when the parent is outside the host's PID
    /// namespace.
    pub parent: Option<HostPid>,
    /// Its name, chosen by itself; bytes that are not UTF-8 read `\xNN`. Escape before showing.
    pub comm: String,
    /// The state character of `/proc/PID/stat` (proc_pid_stat(5)): `R S D Z T t I ...`.
    pub state: char,
    /// Start time in clock ticks since boot; with the PID it identifies the process.
    pub start_ticks: u64,
    /// Its cgroups.
    pub cgroups: Arc<CgroupSet>,
    /// Its effective uid, as the reader's user namespace maps it.
    pub uid: u32,
    /// Whether it is a thread of the kernel (PF_KTHREAD).
    pub kernel_thread: bool,
}

impl Process {
    /// Depth of the PID namespace it lives in; 0 is the host's.
    pub fn level(&self) -> usize {
        self.pids.len().saturating_sub(1)
    }

    /// Its PID in the PID namespace it lives in.
    pub fn innermost_pid(&self) -> u32 {
        self.pids.last().copied().unwrap_or(self.pid.get())
    }

    /// The PID namespace it lives in, when its link could be read.
    pub fn pid_namespace(&self) -> Option<NamespaceId> {
        self.namespaces.of(NamespaceKind::Pid)
    }

    /// Whether it has ended and waits for its parent to reap it.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether it is PID 1 of a PID namespace below the host's.
    pub fn is_namespace_init(&self) -> bool {
        self.level() > 0 && self.innermost_pid() == 1
    }
}

//! What happens to processes. Pure.

use std::time::Duration;

use berth_base::{HostPid, NamespaceId};

use crate::model::NamespaceSet;
use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since boot, time asleep included (CLOCK_BOOTTIME).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct BootTime(pub u64);

impl BootTime {
    /// How long before `later` it was; zero when it was not.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// Something that happened to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the kernel's clock.
    pub at: BootTime,
    /// The process, as the reader's PID namespace counts it. Of a thread, its process.
    pub pid: HostPid,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// It was born.
    Forked {
        /// Its parent.
        parent: Option<HostPid>,
        /// Its PID at every level, outermost first; its host PID alone where the source does not
        /// tell the others.
        pids: Vec<u32>,
        /// The PID namespace it lives in, where the source tells it.
        pid_namespace: Option<NamespaceId>,
        /// Its name, which is its parent's until it executes. Escape before showing.
        comm: String,
    },
    /// It executes another program: execve(2).
    Executed {
        /// Its name now. Escape before showing.
        comm: String,
    },
    /// Its last thread ended.
    Exited(Exit),
    /// It was moved to another cgroup.
    CgroupMoved {
        /// The path within its hierarchy, where the source tells it. Escape before showing.
        path: Option<String>,
    },
    /// It, or one of its threads, lives in other namespaces now.
    NamespacesChanged {
        /// How.
        how: Joined,
        /// Those that it lives in now, as far as the source tells.
        namespaces: NamespaceSet,
    },
}

/// How a process came to live in other namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Joined {
    /// It entered existing ones: setns(2).
    Setns,
    /// It made new ones: unshare(2).
    Unshare,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
    /// Nobody saw how.
    Unknown,
}

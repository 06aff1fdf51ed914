//! PIDs, and the namespaces that give them meaning.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// A PID as the host (the PID namespace of the caller's procfs) counts it.
///
/// Not interchangeable with [`NsPid`]: only the map turns one into the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostPid(NonZeroU32);

impl HostPid {
    /// Makes a PID; 0 is none.
    pub fn new(pid: u32) -> Option<Self> {
        // PID_MAX_LIMIT is 2^22; anything that does not fit an i32 cannot be a PID.
        i32::try_from(pid).ok()?;
        NonZeroU32::new(pid).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for HostPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for HostPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostPid({})", self.0)
    }
}

/// The kinds of Linux namespace, in the order in which `/proc/PID/ns` sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// cgroup_namespaces(7).
    Cgroup,
    /// ipc_namespaces(7).
    Ipc,
    /// mount_namespaces(7).
    Mnt,
    /// network_namespaces(7).
    Net,
    /// pid_namespaces(7).
    Pid,
    /// time_namespaces(7).
    Time,
    /// user_namespaces(7).
    User,
    /// uts_namespaces(7).
    Uts,
}

impl NamespaceKind {
    /// All eight kinds.
    pub const ALL: [Self; 8] = [
        Self::Cgroup,
        Self::Ipc,
        Self::Mnt,
        Self::Net,
        Self::Pid,
        Self::Time,
        Self::User,
        Self::Uts,
    ];

    /// The name below `/proc/PID/ns`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mnt => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Time => "time",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }
}

/// A namespace: its kind and the inode number of its nsfs file.
///
/// The kernel reuses inode numbers after a namespace is gone, so an id is good for one snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamespaceId {
    /// Which kind of namespace.
    pub kind: NamespaceKind,
    /// The nsfs inode, the number in `pid:[4026531836]`.
    pub inode: u64,
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:[{}]", self.kind.as_str(), self.inode)
    }
}

/// A PID together with the PID namespace that counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NsPid {
    /// The PID namespace (kind is always [`NamespaceKind::Pid`]).
    pub namespace: NamespaceId,
    /// The PID inside it, from 1.
    pub pid: u32,
}

/// A process identified so that PID reuse cannot deceive: PID, start time and boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its PID on the host.
    pub pid: HostPid,
    /// Field 22 of /proc/PID/stat: start time in clock ticks since boot.
    pub start_ticks: u64,
    /// /proc/sys/kernel/random/boot_id.
    pub boot_id: String,
}

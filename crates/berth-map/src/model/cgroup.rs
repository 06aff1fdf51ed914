//! Where a process sits in the cgroup hierarchies.

use serde::{Deserialize, Serialize};

/// One line of `/proc/PID/cgroup` (cgroups(7)).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CgroupEntry {
    /// The hierarchy's number; 0 is v2.
    pub hierarchy: u32,
    /// The v1 controllers, comma separated, or `name=...`; empty on v2.
    pub controllers: String,
    /// The path, relative to the reader's cgroup namespace. Its components may have been chosen
    /// inside a container.
    pub path: String,
}

/// All cgroups of a process. Processes of the same cgroups share one set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CgroupSet {
    /// One entry per hierarchy, as the kernel lists them. The kernel shows `/` for a zombie on
    /// v1 hierarchies, whatever its cgroup was.
    pub entries: Vec<CgroupEntry>,
}

impl CgroupSet {
    /// The path in one hierarchy.
    pub fn path(&self, hierarchy: u32) -> Option<&str> {
        let entry = self.entries.iter().find(|e| e.hierarchy == hierarchy)?;
        Some(&entry.path)
    }
}

/// State and use of the cgroups of a set, each from the hierarchy that holds the controller.
/// `None` where there is no such controller, or it could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupUsage {
    /// Whether it is frozen, or below one that is.
    pub frozen: Option<bool>,
    /// Processes and threads in it and below.
    pub pids: Option<u64>,
    /// The most that are allowed, here or further up; `None` is no limit.
    pub pids_max: Option<u64>,
    /// How many more may be made before a limit here or further up is met; `None` is no limit.
    /// A limit further up counts what is beside it too, so this may be less than the difference
    /// of the two numbers above.
    pub pids_left: Option<u64>,
    /// Memory in use, in bytes.
    pub memory_bytes: Option<u64>,
    /// The most that is allowed, here or further up; `None` is no limit.
    pub memory_max_bytes: Option<u64>,
}

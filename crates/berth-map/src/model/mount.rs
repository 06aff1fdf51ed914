//! The mounts of a mount namespace.

use serde::{Deserialize, Serialize};

/// One mount (proc_pid_mountinfo(5), statmount(2)). All text may come from inside a container:
/// escape before showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Its id: the unique one (6.8) where the kernel tells it, else mountinfo's.
    pub id: u64,
    /// The id of the mount that carries it.
    pub parent: u64,
    /// Which directory of the file system is its root.
    pub root: String,
    /// The mount point, below the root of the mount namespace.
    pub point: String,
    /// The type of the file system.
    pub kind: String,
    /// The source, where there is one.
    pub source: Option<String>,
    /// The options of the mount, as mountinfo writes them.
    pub options: String,
    /// Propagation, as mountinfo writes it: `shared:7 master:2`; empty for a private mount.
    pub propagation: String,
}

//! What keeps a namespace alive, besides the processes and threads that live in it.

use berth_base::{HostPid, NamespaceId};
use serde::{Deserialize, Serialize};

/// One reference to a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Holder {
    /// An open descriptor of its nsfs file, or a pidfd-like reference: `/proc/PID/fd/FD`.
    Descriptor {
        /// Who has it open.
        pid: HostPid,
        /// Its number.
        fd: u32,
    },
    /// A socket that was made in it (network namespaces): a socket holds its namespace for life.
    Socket {
        /// Who has it open.
        pid: HostPid,
        /// Its number.
        fd: u32,
    },
    /// A bind mount of its nsfs file.
    BindMount {
        /// The mount namespace in which it is mounted, when known.
        mount_namespace: Option<NamespaceId>,
        /// The mount point as seen there. Chosen by whoever mounted it: escape before showing.
        path: String,
    },
    /// The next child of a process will be born in it (`pid_for_children`, `time_for_children`).
    ForChildren {
        /// The process that called unshare(2) or setns(2).
        pid: HostPid,
    },
    /// A namespace that was made in it, or that it owns.
    Child {
        /// The other namespace.
        namespace: NamespaceId,
    },
}

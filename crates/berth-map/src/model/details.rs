//! What a snapshot holds beyond processes and their namespaces, as far as it was asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use berth_base::{HostPid, NamespaceId};

use super::{CgroupSet, CgroupUsage, Holder, IdMaps, Mount, Network, Thread};

/// Details by what they belong to. What was not asked for, or could not be read, has no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Threads by their process, by ascending thread id, the first one left out: all of them, or
    /// those that live in another namespace than their process.
    pub threads: BTreeMap<HostPid, Vec<Thread>>,
    /// What keeps a namespace alive besides the processes and threads in it.
    pub holders: BTreeMap<NamespaceId, Vec<Holder>>,
    /// The id mappings of user namespaces.
    pub id_maps: BTreeMap<NamespaceId, IdMaps>,
    /// What is inside of network namespaces.
    pub networks: BTreeMap<NamespaceId, Network>,
    /// The numbers that the reader's network namespace has given to others (RTM_GETNSID); `None`
    /// is one that it has given none.
    pub network_numbers: BTreeMap<NamespaceId, Option<i32>>,
    /// The mounts of mount namespaces, parents before children.
    pub mounts: BTreeMap<NamespaceId, Vec<Mount>>,
    /// State and use of cgroups.
    pub usage: HashMap<Arc<CgroupSet>, CgroupUsage>,
}

/// Which details to read. The default is none: processes and namespaces alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Which threads.
    pub threads: WantedThreads,
    /// Holders of namespaces; also finds namespaces without processes.
    pub holders: bool,
    /// Mappings of user namespaces.
    pub id_maps: bool,
    /// Interfaces, addresses, peers, listening sockets.
    pub networks: bool,
    /// The numbers of network namespaces.
    pub network_numbers: bool,
    /// Mounts of these mount namespaces.
    pub mounts: Vec<NamespaceId>,
    /// Freezer, PID and memory use of cgroups.
    pub usage: bool,
}

impl Wanted {
    /// Everything but mounts, all threads and numbers of network namespaces: what a full document shows.
    pub fn everything() -> Self {
        Self {
            threads: WantedThreads::Strays,
            holders: true,
            id_maps: true,
            networks: true,
            network_numbers: false,
            mounts: Vec::new(),
            usage: true,
        }
    }
}

/// Which threads to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedThreads {
    /// None.
    #[default]
    None,
    /// Those that live in another namespace than their process.
    Strays,
    /// All.
    All,
}

//! The documents of `berth map --json`, `berth pid --json` and the commands around them: wire types, apart from the model.
//!
//! docs/map.md describes every field. Lists are flat and refer to each other; numbers of 64 bits
//! are strings. Fields may be added within a version; a change that breaks a reader raises it.

mod check;
mod map;
mod ns;
mod number;
mod pid;
mod sarif;
mod text;

use serde::Serialize;

pub use check::{CheckDocument, CheckSummary, FindingDocument};
pub use map::{
    CgroupDocument, CgroupSetDocument, ContainerDocument, EndedDocument, EvidenceDocument,
    HolderDocument, HostDocument, IdRangeDocument, InterfaceDocument, ListenerDocument,
    MapDocument, MapRequest, MountDocument, NamespaceDocument, NetworkDocument, PeerDocument,
    PodDocument, ProcessDocument, ProcessList, PublishedDocument, ThreadDocument, UsageDocument,
};
pub use ns::{KeeperDocument, NsDocument, NsRowDocument, Residents};
pub use number::Digits;
pub use pid::{ContainerReference, LevelDocument, PidDocument};
pub use sarif::SarifLog;
pub use text::{Layout, to_text, write};

use crate::model::{ContainerIndex, World};

/// The version of all documents.
pub const VERSION: u32 = 2;

/// The namespaces of a process by kind, each as its inode number; a kind that is not known is
/// `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NamespacesDocument {
    /// cgroup_namespaces(7).
    pub cgroup: Option<Digits>,
    /// ipc_namespaces(7).
    pub ipc: Option<Digits>,
    /// mount_namespaces(7).
    pub mnt: Option<Digits>,
    /// network_namespaces(7).
    pub net: Option<Digits>,
    /// pid_namespaces(7).
    pub pid: Option<Digits>,
    /// time_namespaces(7).
    pub time: Option<Digits>,
    /// user_namespaces(7).
    pub user: Option<Digits>,
    /// uts_namespaces(7).
    pub uts: Option<Digits>,
}

impl From<&crate::model::NamespaceSet> for NamespacesDocument {
    fn from(set: &crate::model::NamespaceSet) -> Self {
        use berth_base::NamespaceKind as Kind;
        let of = |kind| set.of(kind).map(|id| Digits(id.inode));
        Self {
            cgroup: of(Kind::Cgroup),
            ipc: of(Kind::Ipc),
            mnt: of(Kind::Mnt),
            net: of(Kind::Net),
            pid: of(Kind::Pid),
            time: of(Kind::Time),
            user: of(Kind::User),
            uts: of(Kind::Uts),
        }
    }
}

/// The reference to a container: engine and id, such as `berth/0123...`. An engine that has names
/// instead of ids can have two of one name in different containers: there the outer container's
/// reference comes first.
fn key(world: &World, index: ContainerIndex) -> String {
    let chain: Vec<ContainerIndex> = world.enclosing(Some(index)).collect();
    let mut key = String::new();
    for container in chain.iter().filter_map(|index| world.container(*index)) {
        let one = format!("{}/{}", container.engine, container.id);
        key = if key.is_empty() {
            one
        } else {
            format!("{one}/{key}")
        };
        if container.id.len() == 64 {
            break;
        }
    }
    key
}

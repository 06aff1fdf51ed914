//! Namespaces of the map document, and what holds them.

use berth_base::NamespaceId;
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::json::key;
use crate::model::{Holder, IdRange, Namespace, World};

/// One namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamespaceDocument {
    /// `cgroup ipc mnt net pid time user uts`.
    pub kind: &'static str,
    /// The nsfs inode number.
    pub id: String,
    /// PID namespaces: depth below the host's, which is 0.
    pub level: Option<usize>,
    /// PID and user namespaces: the id of the namespace it was made in.
    pub parent: Option<String>,
    /// The id of the user namespace that owns it.
    pub owner: Option<String>,
    /// User namespaces: the uid that made it.
    pub owner_uid: Option<u32>,
    /// PID namespaces: the container whose own it is.
    pub container: Option<String>,
    /// Number of processes that live in it, not deeper.
    pub processes: u32,
    /// User namespaces: uids inside and what they are outside.
    pub uid_map: Option<Vec<IdRangeDocument>>,
    /// The same of gids.
    pub gid_map: Option<Vec<IdRangeDocument>>,
}

/// One range of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IdRangeDocument {
    /// The first id inside.
    pub inside: u32,
    /// The id that stands for it in the reader's user namespace.
    pub outside: u32,
    /// How many ids.
    pub count: u32,
}

/// What keeps a namespace alive besides the processes and threads in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HolderDocument {
    /// The namespace that is held.
    pub namespace: String,
    /// `descriptor socket bind-mount for-children child`.
    pub kind: &'static str,
    /// The process, of a descriptor, a socket and for-children.
    pub pid: Option<u32>,
    /// The number of the descriptor.
    pub fd: Option<u32>,
    /// The mount namespace of a bind mount, when known.
    pub mount_namespace: Option<String>,
    /// The mount point, as seen there.
    pub path: Option<String>,
    /// The namespace that was made in it, or that it owns.
    pub child: Option<String>,
}

/// The containers whose own PID namespaces are, by key.
pub(super) type Owners = FxHashMap<NamespaceId, String>;

/// Finds the owner of each PID namespace.
pub(super) fn find_owners(world: &World) -> Owners {
    let mut owners = Owners::default();
    for (index, container) in world.indexed_containers() {
        if let (true, Some(id)) = (container.own_pid_namespace, container.pid_namespace) {
            owners.entry(id).or_insert_with(|| key(world, index));
        }
    }
    owners
}

pub(super) fn describe_namespace(
    world: &World,
    owners: &Owners,
    namespace: &Namespace,
) -> NamespaceDocument {
    let maps = world.details().id_maps.get(&namespace.id);
    NamespaceDocument {
        kind: namespace.id.kind.as_str(),
        id: namespace.id.inode.to_string(),
        level: namespace.level,
        parent: namespace.parent.map(|id| id.inode.to_string()),
        owner: namespace.owner.map(|id| id.inode.to_string()),
        owner_uid: namespace.owner_uid,
        container: owners.get(&namespace.id).cloned(),
        processes: namespace.processes,
        uid_map: maps.map(|maps| describe_ranges(&maps.uids)),
        gid_map: maps.map(|maps| describe_ranges(&maps.gids)),
    }
}

fn describe_ranges(ranges: &[IdRange]) -> Vec<IdRangeDocument> {
    let ranges = ranges.iter().map(|range| IdRangeDocument {
        inside: range.inside,
        outside: range.outside,
        count: range.count,
    });
    ranges.collect()
}

pub(super) fn describe_holder(namespace: NamespaceId, holder: &Holder) -> HolderDocument {
    let empty = |kind| HolderDocument {
        namespace: namespace.inode.to_string(),
        kind,
        pid: None,
        fd: None,
        mount_namespace: None,
        path: None,
        child: None,
    };
    match holder {
        Holder::Descriptor { pid, fd } => HolderDocument {
            pid: Some(pid.get()),
            fd: Some(*fd),
            ..empty("descriptor")
        },
        Holder::Socket { pid, fd } => HolderDocument {
            pid: Some(pid.get()),
            fd: Some(*fd),
            ..empty("socket")
        },
        Holder::BindMount {
            mount_namespace,
            path,
        } => HolderDocument {
            mount_namespace: mount_namespace.map(|id| id.inode.to_string()),
            path: Some(path.clone()),
            ..empty("bind-mount")
        },
        Holder::ForChildren { pid } => HolderDocument {
            pid: Some(pid.get()),
            ..empty("for-children")
        },
        Holder::Child { namespace } => HolderDocument {
            child: Some(namespace.inode.to_string()),
            ..empty("child")
        },
    }
}

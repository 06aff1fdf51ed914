//! The documents of `berth ns --json` and `berth who --json`.

use berth_base::{NamespaceId, escape_untrusted};
use serde::Serialize;

use super::{VERSION, key};
use crate::model::World;
use crate::ns_table::{NsRow, unseen};
use crate::who::{How, Keeper, beyond_processes, keepers};

/// Namespaces, and what keeps each of them alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NsDocument {
    /// [`VERSION`].
    pub version: u32,
    /// Where the processes were read from.
    pub source: &'static str,
    /// The namespaces, by number and kind.
    pub namespaces: Vec<NsRowDocument>,
    /// What keeps them alive: for `berth ns` all but processes, for `berth who` everything.
    pub keepers: Vec<KeeperDocument>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// One namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NsRowDocument {
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
    /// Network namespaces: the number that the reader's network namespace has given to it.
    pub network_number: Option<i32>,
    /// Number of processes that live in it, not deeper.
    pub processes: u32,
    /// Number of threads that live in it although their process does not.
    pub threads: usize,
    /// Number of descriptors, sockets, bind mounts and parents of children to come.
    pub holders: usize,
    /// The lowest host PID in it.
    pub pid: Option<u32>,
    /// The name of that process.
    pub comm: Option<String>,
    /// The key of the container whose namespace it is.
    pub container: Option<String>,
    /// Where it can be opened; escaped.
    pub path: Option<String>,
}

/// One thing that keeps a namespace alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeeperDocument {
    /// The kind of the namespace.
    pub kind: &'static str,
    /// The id of the namespace.
    pub id: String,
    /// `process thread for-children descriptor socket bind-mount child`.
    pub how: &'static str,
    /// Host PID of the process that it belongs to.
    pub pid: Option<u32>,
    /// Its name, or the thread's; escaped.
    pub name: Option<String>,
    /// The key of the container that owns that process.
    pub container: Option<String>,
    /// Threads: the thread id on the host.
    pub tid: Option<u32>,
    /// Descriptors and sockets: the number.
    pub fd: Option<u32>,
    /// Bind mounts: the mount point; escaped.
    pub path: Option<String>,
    /// Bind mounts: the id of the mount namespace.
    pub mount_namespace: Option<String>,
    /// Children: kind and id of the other namespace, as in `net:[4026532193]`.
    pub child: Option<String>,
}

/// Whether a document lists the processes that live in its namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residents {
    /// They are counted.
    Counted,
    /// They are listed among the keepers.
    Listed,
}

impl NsDocument {
    /// Describes rows of this world.
    pub fn new(world: &World, rows: &[NsRow], residents: Residents) -> Self {
        let keepers = rows.iter().flat_map(|row| {
            let id = row.namespace.id;
            let found = match residents {
                Residents::Listed => keepers(world, id).unwrap_or_default(),
                Residents::Counted => beyond_processes(world, id),
            };
            found
                .into_iter()
                .map(move |keeper| keeper_document(world, id, &keeper))
        });
        Self {
            version: VERSION,
            source: world.source().as_str(),
            namespaces: rows.iter().map(|row| row_document(world, row)).collect(),
            keepers: keepers.collect(),
            warnings: world
                .warnings()
                .iter()
                .cloned()
                .chain(unseen(world))
                .collect(),
        }
    }
}

fn row_document(world: &World, row: &NsRow) -> NsRowDocument {
    let namespace = &row.namespace;
    let number = |id: NamespaceId| id.inode.to_string();
    let process = row.lowest.and_then(|pid| world.process(pid));
    NsRowDocument {
        kind: namespace.id.kind.as_str(),
        id: number(namespace.id),
        level: namespace.level,
        parent: namespace.parent.map(number),
        owner: namespace.owner.map(number),
        owner_uid: namespace.owner_uid,
        network_number: world
            .details()
            .network_numbers
            .get(&namespace.id)
            .copied()
            .flatten(),
        processes: namespace.processes,
        threads: row.threads,
        holders: row.holders,
        pid: row.lowest.map(|pid| pid.get()),
        comm: process.map(|p| p.comm.clone()),
        container: row.container.map(|index| key(world, index)),
        path: row
            .path
            .as_deref()
            .map(|p| escape_untrusted(p).into_owned()),
    }
}

fn keeper_document(world: &World, id: NamespaceId, keeper: &Keeper) -> KeeperDocument {
    let mut document = KeeperDocument {
        kind: id.kind.as_str(),
        id: id.inode.to_string(),
        how: keeper.how.as_str(),
        pid: keeper.pid.map(|pid| pid.get()),
        name: keeper.name.clone(),
        container: keeper.container.map(|index| key(world, index)),
        tid: None,
        fd: None,
        path: None,
        mount_namespace: None,
        child: None,
    };
    match &keeper.how {
        How::Process | How::ForChildren => {}
        How::Thread { tid } => document.tid = Some(tid.get()),
        How::Descriptor { fd } | How::Socket { fd } => document.fd = Some(*fd),
        How::BindMount {
            mount_namespace,
            path,
        } => {
            document.path = Some(path.clone());
            document.mount_namespace = mount_namespace.map(|id| id.inode.to_string());
        }
        How::Child { namespace } => document.child = Some(namespace.to_string()),
    }
    document
}

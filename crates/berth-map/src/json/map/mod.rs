//! The document of `berth map --json`.

mod cgroup;
mod container;
mod namespace;
mod network;
mod process;

use std::collections::{BTreeMap, HashSet};

use berth_base::NamespaceId;
use serde::Serialize;

use super::{NamespacesDocument, VERSION};
use crate::model::{ContainerIndex, Extent, Process, World};
use crate::scope::Selection;

pub use cgroup::{CgroupDocument, CgroupSetDocument, UsageDocument};
pub use container::{ContainerDocument, EndedDocument, EvidenceDocument, PodDocument};
pub use namespace::{HolderDocument, IdRangeDocument, NamespaceDocument};
pub use network::{
    InterfaceDocument, ListenerDocument, MountDocument, NetworkDocument, PeerDocument,
    PublishedDocument,
};
pub use process::{ProcessDocument, ProcessList, ThreadDocument};

/// A snapshot, or a part of it.
#[derive(Clone, Debug, Serialize)]
pub struct MapDocument<'w> {
    /// [`VERSION`].
    pub version: u32,
    /// Where the processes were read: `bpf` or `procfs`.
    pub source: &'static str,
    /// Whether these are all processes that the source shows.
    pub complete: bool,
    /// The part that was asked for; all when absent.
    pub scope: Option<String>,
    /// The host.
    pub host: HostDocument,
    /// Every namespace, by kind and number.
    pub namespaces: Vec<NamespaceDocument>,
    /// What keeps namespaces alive besides processes and threads in them.
    pub holders: Vec<HolderDocument>,
    /// What is inside of network namespaces.
    pub networks: Vec<NetworkDocument>,
    /// The mounts of the mount namespaces that were asked for.
    pub mounts: Vec<MountDocument>,
    /// Every distinct set of cgroups; processes refer to it by place, from 0.
    pub cgroups: Vec<CgroupSetDocument>,
    /// State and use of cgroups.
    pub usage: Vec<UsageDocument>,
    /// Every container that has processes.
    pub containers: Vec<ContainerDocument>,
    /// Containers of Berth that ended but whose run.json is still there.
    pub ended: Vec<EndedDocument>,
    /// Every process, by host PID.
    pub processes: ProcessList<'w>,
    /// Threads other than the first of their process, as far as they were read.
    pub threads: Vec<ThreadDocument<'w>>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// The host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostDocument {
    /// The reader's hostname.
    pub hostname: Option<String>,
    /// The boot, as /proc/sys/kernel/random/boot_id names it.
    pub boot_id: Option<String>,
    /// /proc/sys/kernel/pid_max.
    pub pid_max: Option<u32>,
    /// The PID namespace that counts host PIDs.
    pub pid_namespace: Option<String>,
    /// The namespaces that count as the host's.
    pub namespaces: NamespacesDocument,
}

/// What a document is to hold.
#[derive(Clone, Copy, Debug)]
pub struct MapRequest<'a> {
    /// The scope as it was written.
    pub scope: Option<&'a str>,
    /// What it selects.
    pub selection: &'a Selection,
}

impl<'w> From<&'w World> for MapDocument<'w> {
    fn from(world: &'w World) -> Self {
        let request = MapRequest {
            scope: None,
            selection: &Selection::default(),
        };
        Self::new(world, &request)
    }
}

impl<'w> MapDocument<'w> {
    /// Describes a world, or the part of it that is asked for.
    pub fn new(world: &'w World, request: &MapRequest<'_>) -> Self {
        let selection = request.selection;
        let mut cgroups = cgroup::CgroupTable::default();
        let processes = ProcessList::choose(world, selection, &mut cgroups);
        let threads = processes.processes().flat_map(|p| {
            let threads = world.threads(p.pid).iter();
            threads.map(|thread| process::describe_thread(p, thread))
        });
        let owners = namespace::find_owners(world);
        let namespaces = world.namespaces();
        let namespaces = namespaces.filter(|n| selection.has_namespace(n.id));
        let whole = selection.is_whole();
        let ended = world.stale().iter().filter(|_| whole);
        Self {
            version: VERSION,
            source: world.source().as_str(),
            complete: whole && world.extent() == Extent::Host,
            scope: request.scope.map(str::to_owned),
            host: describe_host(world),
            namespaces: namespaces
                .map(|n| namespace::describe_namespace(world, &owners, n))
                .collect(),
            holders: chosen_of(selection, &world.details().holders)
                .flat_map(|(id, all)| all.iter().map(move |h| namespace::describe_holder(id, h)))
                .collect(),
            networks: chosen_of(selection, &world.details().networks)
                .map(|(id, found)| network::describe_network(id, found))
                .collect(),
            mounts: chosen_of(selection, &world.details().mounts)
                .flat_map(|(id, all)| all.iter().map(move |m| network::describe_mount(id, m)))
                .collect(),
            containers: describe_containers(world, selection, processes.processes()),
            ended: ended.map(EndedDocument::from).collect(),
            threads: threads.collect(),
            processes,
            usage: cgroups.usage(world),
            cgroups: cgroups.sets,
            warnings: world.warnings().to_vec(),
        }
    }
}

/// The details of the namespaces that are part of a selection.
fn chosen_of<'a, T>(
    selection: &'a Selection,
    details: &'a BTreeMap<NamespaceId, T>,
) -> impl Iterator<Item = (NamespaceId, &'a T)> {
    let all = details.iter().map(|(id, detail)| (*id, detail));
    all.filter(|(id, _)| selection.has_namespace(*id))
}

/// The containers that own what is selected, and those around such a container; all of a whole
/// world.
fn describe_containers<'w>(
    world: &World,
    selection: &Selection,
    processes: impl Iterator<Item = &'w Process>,
) -> Vec<ContainerDocument> {
    let whole = selection.is_whole();
    let owners = processes.filter_map(|p| world.owner(p.pid));
    let own = world.indexed_containers().filter(|(_, c)| {
        let namespace = c.pid_namespace.filter(|_| c.own_pid_namespace);
        namespace.is_some_and(|id| selection.has_namespace(id))
    });
    let owners = owners.chain(own.map(|(index, _)| index));
    let owners: HashSet<ContainerIndex> = owners.flat_map(|o| world.enclosing(Some(o))).collect();
    let all = world.indexed_containers();
    all.filter(|(index, _)| whole || owners.contains(index))
        .map(|(index, c)| container::describe_container(world, index, c))
        .collect()
}

fn describe_host(world: &World) -> HostDocument {
    let host = world.host();
    HostDocument {
        hostname: host.hostname.clone(),
        boot_id: host.boot_id.clone(),
        pid_max: host.pid_max,
        pid_namespace: host.pid_namespace.map(|id| id.inode.to_string()),
        namespaces: (&host.namespaces).into(),
    }
}

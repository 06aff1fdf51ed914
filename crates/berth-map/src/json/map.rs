//! The document of `berth map --json`.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::{NamespacesDocument, VERSION, key};
use crate::model::{
    CgroupSet, Container, ContainerIndex, Extent, Links, Namespace, Process, StaleReason, World,
};

/// A whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MapDocument {
    /// [`VERSION`].
    pub version: u32,
    /// Where the processes were read: `procfs`.
    pub source: &'static str,
    /// Whether these are all processes that the source shows.
    pub complete: bool,
    /// The host.
    pub host: HostDocument,
    /// Every namespace, by kind and number.
    pub namespaces: Vec<NamespaceDocument>,
    /// Every distinct set of cgroups; processes refer to it by place, from 0.
    pub cgroups: Vec<CgroupSetDocument>,
    /// Every container that has processes.
    pub containers: Vec<ContainerDocument>,
    /// Containers of Berth that ended but whose run.json is still there.
    pub ended: Vec<EndedDocument>,
    /// Every process, by host PID.
    pub processes: Vec<ProcessDocument>,
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
}

/// One distinct set of cgroups.
pub type CgroupSetDocument = Vec<CgroupDocument>;

/// One cgroup of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CgroupDocument {
    /// The hierarchy's number; 0 is v2.
    pub hierarchy: u32,
    /// v1 controllers, comma separated, or `name=...`; empty on v2.
    pub controllers: String,
    /// The path, relative to the reader's cgroup namespace.
    pub path: String,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainerDocument {
    /// What other lists refer to it by.
    pub key: String,
    /// The word of [`crate::model::Engine`].
    pub engine: &'static str,
    /// Its id in its engine.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Host PID of its first process.
    pub init: Option<u32>,
    /// The PID namespace in which its PIDs count.
    pub pid_namespace: Option<String>,
    /// The level of that namespace.
    pub pid_level: Option<usize>,
    /// Whether that namespace was made for it.
    pub own_pid_namespace: bool,
    /// The kinds of namespace in which its first process lives with the host.
    pub shares_with_host: Vec<&'static str>,
    /// The container it runs inside of.
    pub parent: Option<String>,
    /// The image it was made from.
    pub image: Option<String>,
    /// The pod it belongs to.
    pub pod: Option<PodDocument>,
    /// `certain`, `likely` or `guess`.
    pub confidence: &'static str,
    /// How the map knows, the weightiest first.
    pub evidence: Vec<EvidenceDocument>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PodDocument {
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: Option<String>,
    /// Its uid or id.
    pub id: Option<String>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvidenceDocument {
    /// `run-file state-file socket cgroup-path program namespaces`.
    pub kind: &'static str,
    /// Where: a path, a cgroup, a program's name.
    pub detail: String,
}

/// One container that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndedDocument {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The host PID its first process had.
    pub init: u32,
    /// `ended`, `pid-reused` or `other-boot`.
    pub reason: &'static str,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessDocument {
    /// Its PID on the host.
    pub pid: u32,
    /// Its PID at every level, the host's first.
    pub pids: Vec<u32>,
    /// The PID namespaces that count them, in the same order.
    pub pid_namespaces: Vec<Option<String>>,
    /// The namespaces it lives in.
    pub namespaces: NamespacesDocument,
    /// Whether the kernel refused to show them.
    pub namespaces_denied: bool,
    /// Host PID of its parent.
    pub parent: Option<u32>,
    /// Its name, chosen by itself.
    pub comm: String,
    /// Its state character (proc_pid_stat(5)).
    pub state: char,
    /// Start time in clock ticks since boot.
    pub start_ticks: String,
    /// Its effective uid.
    pub uid: u32,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: bool,
    /// Its place in `cgroups`.
    pub cgroups: usize,
    /// The innermost container that owns it.
    pub container: Option<String>,
}

impl From<&World> for MapDocument {
    fn from(world: &World) -> Self {
        let mut cgroups = CgroupTable::default();
        let processes = world.processes().iter();
        let processes = processes.map(|p| describe_process(world, &mut cgroups, p));
        let processes = processes.collect();
        let containers = world.indexed_containers();
        Self {
            version: VERSION,
            source: world.source().as_str(),
            complete: world.extent() == Extent::Host,
            host: describe_host(world),
            namespaces: world
                .namespaces()
                .map(|n| describe_namespace(world, n))
                .collect(),
            cgroups: cgroups.sets,
            containers: containers
                .map(|(index, c)| describe_container(world, index, c))
                .collect(),
            ended: world.stale().iter().map(EndedDocument::from).collect(),
            processes,
            warnings: world.warnings().to_vec(),
        }
    }
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

fn describe_namespace(world: &World, namespace: &Namespace) -> NamespaceDocument {
    let container = world.container_of_namespace(namespace.id);
    NamespaceDocument {
        kind: namespace.id.kind.as_str(),
        id: namespace.id.inode.to_string(),
        level: namespace.level,
        parent: namespace.parent.map(|id| id.inode.to_string()),
        owner: namespace.owner.map(|id| id.inode.to_string()),
        owner_uid: namespace.owner_uid,
        container: container.map(|index| key(world, index)),
        processes: namespace.processes,
    }
}

fn describe_container(
    world: &World,
    index: ContainerIndex,
    container: &Container,
) -> ContainerDocument {
    let init = container.init.and_then(|pid| world.process(pid));
    let host = &world.host().namespaces;
    let shared = init.map(|p| p.namespaces.shared_with(host));
    let shared = shared.unwrap_or_default();
    ContainerDocument {
        key: key(world, index),
        engine: container.engine.as_str(),
        id: container.id.clone(),
        name: container.name.clone(),
        init: container.init.map(berth_base::HostPid::get),
        pid_namespace: container.pid_namespace.map(|id| id.inode.to_string()),
        pid_level: container.pid_level,
        own_pid_namespace: container.own_pid_namespace,
        shares_with_host: shared.into_iter().map(|kind| kind.as_str()).collect(),
        parent: container.parent.map(|outer| key(world, outer)),
        image: container.image.clone(),
        pod: container.pod.as_ref().map(|pod| PodDocument {
            name: pod.name.clone(),
            namespace: pod.namespace.clone(),
            id: pod.id.clone(),
        }),
        confidence: container.confidence().as_str(),
        evidence: container
            .evidence
            .iter()
            .map(|evidence| EvidenceDocument {
                kind: evidence.kind.as_str(),
                detail: evidence.detail.clone(),
            })
            .collect(),
    }
}

impl From<&crate::model::StaleContainer> for EndedDocument {
    fn from(stale: &crate::model::StaleContainer) -> Self {
        Self {
            id: stale.id.clone(),
            name: stale.name.clone(),
            init: stale.init.get(),
            reason: match stale.reason {
                StaleReason::Ended => "ended",
                StaleReason::PidReused => "pid-reused",
                StaleReason::OtherBoot => "other-boot",
            },
        }
    }
}

fn describe_process(
    world: &World,
    cgroups: &mut CgroupTable,
    process: &Process,
) -> ProcessDocument {
    let namespaces = world.pid_namespaces(process).into_iter();
    let owner = world.owner(process.pid);
    ProcessDocument {
        pid: process.pid.get(),
        pids: process.pids.clone(),
        pid_namespaces: namespaces
            .map(|id| id.map(|id| id.inode.to_string()))
            .collect(),
        namespaces: (&process.namespaces).into(),
        namespaces_denied: process.links == Links::Denied,
        parent: process.parent.map(berth_base::HostPid::get),
        comm: process.comm.clone(),
        state: process.state,
        start_ticks: process.start_ticks.to_string(),
        uid: process.uid,
        kernel_thread: process.kernel_thread,
        cgroups: cgroups.place(&process.cgroups),
        container: owner.map(|index| key(world, index)),
    }
}

/// The distinct sets of cgroups, in the order in which processes name them.
#[derive(Default)]
struct CgroupTable {
    sets: Vec<CgroupSetDocument>,
    places: HashMap<Arc<CgroupSet>, usize>,
}

impl CgroupTable {
    fn place(&mut self, set: &Arc<CgroupSet>) -> usize {
        if let Some(place) = self.places.get(set) {
            return *place;
        }
        let place = self.sets.len();
        let entries = set.entries.iter().map(|entry| CgroupDocument {
            hierarchy: entry.hierarchy,
            controllers: entry.controllers.clone(),
            path: entry.path.clone(),
        });
        self.sets.push(entries.collect());
        self.places.insert(Arc::clone(set), place);
        place
    }
}

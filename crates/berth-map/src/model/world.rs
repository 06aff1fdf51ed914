//! The snapshot, and how its parts are put together.

mod diff;
mod edit;
mod stored;

use std::collections::BTreeMap;

use berth_base::{HostPid, NamespaceId};

use super::{
    CgroupUsage, Container, ContainerIndex, Details, Engine, Holder, Namespace, NamespaceSet,
    Process, StaleContainer, Thread, hierarchy,
};
pub use diff::{Change, Changed, Diff, Ended, Started};
pub(crate) use edit::Returned;
pub(crate) use stored::{StoredDiff, StoredWorld};

use crate::attribute::{self, KnownContainer};
use serde::{Deserialize, Serialize};

/// Which source the processes were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// BPF iterators over tasks.
    Bpf,
    /// `/proc/PID/*`.
    Procfs,
}

impl Source {
    /// The word in the JSON document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bpf => "bpf",
            Self::Procfs => "procfs",
        }
    }
}

/// How much of the host a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Extent {
    /// Every process the source shows.
    Host,
    /// One process, and as many others as are needed to say where it lives.
    OneProcess,
}

/// Facts about the host itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The PID namespace that the source counts host PIDs in.
    pub pid_namespace: Option<NamespaceId>,
    /// The namespaces that count as the host's when sharing is looked for: those of its PID 1
    /// where readable, else the reader's own.
    pub namespaces: NamespaceSet,
    /// The reader's hostname.
    pub hostname: Option<String>,
    /// `/proc/sys/kernel/pid_max`.
    pub pid_max: Option<u32>,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Option<String>,
}

/// What sources found, before it is linked.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where the processes come from.
    pub source: Source,
    /// Whether these are all processes.
    pub extent: Extent,
    /// The host.
    pub host: Host,
    /// The processes, in any order.
    pub processes: Vec<Process>,
    /// What is known of namespaces beyond their processes: parents and owners. `processes` and
    /// `level` are ignored.
    pub namespaces: Vec<Namespace>,
    /// Containers that an engine's own files name, each with a living first process.
    pub known: Vec<KnownContainer>,
    /// Containers that an engine's files name but that have ended.
    pub stale: Vec<StaleContainer>,
    /// What was asked for beyond that.
    pub details: Details,
    /// What could not be read, one line each.
    pub warnings: Vec<String>,
}

/// An immutable snapshot of the host: its namespaces, processes and containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    source: Source,
    extent: Extent,
    host: Host,
    processes: Vec<Process>,
    owners: Vec<Option<ContainerIndex>>,
    namespaces: BTreeMap<NamespaceId, Namespace>,
    containers: Vec<Container>,
    container_of: BTreeMap<NamespaceId, ContainerIndex>,
    stale: Vec<StaleContainer>,
    details: Details,
    warnings: Vec<String>,
}

impl World {
    /// Links processes, namespaces and containers into a snapshot. Pure.
    pub fn assemble(parts: Parts) -> Self {
        let mut processes = parts.processes;
        processes.sort_by_key(|p| p.pid);
        processes.dedup_by_key(|p| p.pid);
        if let Some(host_namespace) = parts.host.pid_namespace {
            // A single NSpid is a PID of the procfs's own namespace, readable link or not.
            for process in processes.iter_mut().filter(|p| p.level() == 0) {
                process.namespaces.insert(host_namespace);
            }
        }
        let mut world = Self {
            namespaces: hierarchy::link(&processes, &parts.host, parts.namespaces),
            owners: Vec::new(),
            containers: Vec::new(),
            container_of: BTreeMap::new(),
            source: parts.source,
            extent: parts.extent,
            host: parts.host,
            processes,
            stale: parts.stale,
            details: parts.details,
            warnings: parts.warnings,
        };
        let attribution = attribute::attribute(&world, &parts.known);
        world.containers = attribution.containers;
        world.owners = attribution.owners;
        world.container_of = attribution.namespaces;
        world
    }

    /// Where the processes were read from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether the snapshot holds all processes.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// All processes, by ascending host PID.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The process with this PID on the host.
    pub fn process(&self, pid: HostPid) -> Option<&Process> {
        self.position(pid).and_then(|at| self.processes.get(at))
    }

    /// The parent of a process, when the snapshot holds it.
    pub fn parent(&self, process: &Process) -> Option<&Process> {
        self.process(process.parent?)
    }

    /// All namespaces, by kind and inode.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.namespaces.values()
    }

    /// One namespace.
    pub fn namespace(&self, id: NamespaceId) -> Option<&Namespace> {
        self.namespaces.get(&id)
    }

    /// The PID namespaces a process has a PID in, outermost first, one per entry of
    /// [`Process::pids`]; `None` where the namespace is not known.
    pub fn pid_namespaces(&self, process: &Process) -> Vec<Option<NamespaceId>> {
        hierarchy::pid_namespaces(&self.namespaces, &self.host, process)
    }

    /// All containers.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// One container.
    pub fn container(&self, index: ContainerIndex) -> Option<&Container> {
        self.containers.get(index.0)
    }

    /// All containers with their places.
    pub fn indexed_containers(&self) -> impl Iterator<Item = (ContainerIndex, &Container)> {
        self.containers
            .iter()
            .enumerate()
            .map(|(at, container)| (ContainerIndex(at), container))
    }

    /// The innermost container that owns a process: by cgroup, then by PID namespace.
    pub fn owner(&self, pid: HostPid) -> Option<ContainerIndex> {
        let at = self.position(pid)?;
        self.owners.get(at).copied().flatten()
    }

    /// Whether a container is, or runs inside of, another.
    pub fn is_inside(&self, inner: ContainerIndex, outer: ContainerIndex) -> bool {
        self.enclosing(Some(inner)).any(|index| index == outer)
    }

    /// A container and those it runs inside of, from the inside out.
    pub fn enclosing(
        &self,
        inner: Option<ContainerIndex>,
    ) -> impl Iterator<Item = ContainerIndex> + '_ {
        let next = |index: &ContainerIndex| self.container(*index)?.parent;
        // Parents come from cgroup paths, which a container may write: never follow a cycle.
        std::iter::successors(inner, next).take(self.containers.len())
    }

    /// The container that a namespace belongs to: a PID namespace as its own, any other as the
    /// one whose first process lives in it and began first, or that owns all processes in it.
    /// `None` for the host's.
    pub fn container_of_namespace(&self, id: NamespaceId) -> Option<ContainerIndex> {
        self.container_of.get(&id).copied()
    }

    /// Berth's containers that ended but whose `run.json` is still there.
    pub fn stale(&self) -> &[StaleContainer] {
        &self.stale
    }

    /// Everything that was read beyond processes and namespaces.
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// The threads of a process that were read, its first one left out.
    pub fn threads(&self, process: HostPid) -> &[Thread] {
        self.details
            .threads
            .get(&process)
            .map_or(&[], Vec::as_slice)
    }

    /// What keeps a namespace alive besides the processes and threads in it.
    pub fn holders(&self, id: NamespaceId) -> &[Holder] {
        self.details.holders.get(&id).map_or(&[], Vec::as_slice)
    }

    /// State and use of the cgroups of a process.
    pub fn usage(&self, process: &Process) -> Option<&CgroupUsage> {
        self.details.usage.get(&process.cgroups)
    }

    /// What could not be read, one line each, escaped.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Number of containers of one engine.
    pub fn count_of(&self, engine: Engine) -> usize {
        self.containers
            .iter()
            .filter(|c| c.engine == engine)
            .count()
    }

    /// The place of a process in [`Self::processes`].
    fn position(&self, pid: HostPid) -> Option<usize> {
        self.processes.binary_search_by_key(&pid, |p| p.pid).ok()
    }
}

//! The attribution itself: containers found, processes given to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_base::NamespaceId;
use rustc_hash::FxHashMap;

use super::claims::{Claims, Link};
use super::{KnownContainer, name_by_path};
use crate::model::{
    CgroupSet, Container, ContainerIndex, Engine, Evidence, EvidenceKind, Process, World,
};

/// The containers of a world, and the owner of each of its processes.
pub(crate) struct Attribution {
    /// The containers.
    pub(crate) containers: Vec<Container>,
    /// The innermost owner of each process, in the order of [`World::processes`].
    pub(crate) owners: Vec<Option<ContainerIndex>>,
    /// The container that each namespace belongs to, of those that belong to one.
    pub(crate) namespaces: BTreeMap<NamespaceId, ContainerIndex>,
}

/// Attributes the processes of a world that has no containers yet.
pub(crate) fn attribute(world: &World, known: &[KnownContainer]) -> Attribution {
    let claims = Claims::collect(world, known);
    let mut registry = Registry::with_known(world, known, &claims);
    let owners = registry.own_by_cgroup(world, &claims);
    let mut attribution = Attribution {
        containers: registry.containers,
        owners,
        namespaces: BTreeMap::new(),
    };
    attribution.find_first_processes(world);
    attribution.nest_by_first_process(world, &claims);
    attribution.nest_by_namespace(world);
    attribution.own_by_namespace(world);
    attribution.own_by_mounts(world);
    attribution.find_unclaimed(world);
    attribution.nest_by_namespace(world);
    attribution.own_zombies_by_parent(world);
    attribution.own_namespaces_of_all_kinds(world);
    attribution
}

/// Containers while they are being found.
struct Registry<'a> {
    containers: Vec<Container>,
    /// Containers that only cgroup paths name, by what they are in, engine and id.
    by_path: FxHashMap<(Option<ContainerIndex>, Engine, String), ContainerIndex>,
    world: &'a World,
}

impl<'a> Registry<'a> {
    /// Begins with the recorded containers, at the same places.
    fn with_known(world: &'a World, known: &[KnownContainer], claims: &Claims) -> Self {
        let containers = known.iter().enumerate().map(|(place, k)| {
            let init = world.process(k.init);
            let pid_namespace = init.and_then(Process::pid_namespace).or(k.pid_namespace);
            let level = pid_namespace.and_then(|id| world.namespace(id)?.level);
            let cgroup = claims.cgroup_of(place).map(by_cgroup);
            let mut evidence: Vec<Evidence> = cgroup.into_iter().collect();
            evidence.push(k.evidence.clone());
            evidence.sort_by_key(|e| e.kind);
            Container {
                engine: k.engine,
                id: k.id.clone(),
                name: k.name.clone(),
                init: Some(k.init),
                pid_namespace,
                pid_level: init.map(Process::level).or(level),
                own_pid_namespace: k.own_pid_namespace,
                parent: None,
                image: k.image.clone(),
                pod: k.pod.clone(),
                evidence,
            }
        });
        Self {
            containers: containers.collect(),
            by_path: FxHashMap::default(),
            world,
        }
    }

    /// Gives each process to the deepest container that its cgroups name.
    fn own_by_cgroup(&mut self, world: &World, claims: &Claims) -> Vec<Option<ContainerIndex>> {
        let mut seen: FxHashMap<*const CgroupSet, Option<ContainerIndex>> = FxHashMap::default();
        let mut owners = Vec::with_capacity(world.processes().len());
        for process in world.processes() {
            let owner = *seen
                .entry(Arc::as_ptr(&process.cgroups))
                .or_insert_with(|| self.intern(claims, &process.cgroups));
            owners.push(owner);
        }
        owners
    }

    /// Enters the containers that a set of cgroups names; returns the innermost.
    fn intern(&mut self, claims: &Claims, cgroups: &CgroupSet) -> Option<ContainerIndex> {
        let mut outer: Option<ContainerIndex> = None;
        for link in claims.chain(cgroups) {
            let index = match link {
                Link::Known(place) => ContainerIndex(place),
                Link::Named(engine, id, cgroup) => self.intern_by_path(outer, engine, id, cgroup),
            };
            if let Some(container) = self.containers.get_mut(index.0)
                && container.parent.is_none()
            {
                container.parent = outer;
            }
            outer = Some(index);
        }
        outer
    }

    /// Enters a container that only a cgroup path names.
    fn intern_by_path(
        &mut self,
        outer: Option<ContainerIndex>,
        engine: Engine,
        id: &str,
        cgroup: &str,
    ) -> ContainerIndex {
        let next = ContainerIndex(self.containers.len());
        let index = *self
            .by_path
            .entry((outer, engine, id.to_owned()))
            .or_insert(next);
        if index == next {
            let stale = self.world.stale().iter().find(|s| s.id == id);
            let name = stale.map_or_else(|| name_by_path(engine, id), |s| s.name.clone());
            self.containers.push(Container {
                engine,
                id: id.to_owned(),
                name,
                init: None,
                pid_namespace: None,
                pid_level: None,
                own_pid_namespace: false,
                parent: outer,
                image: None,
                pod: None,
                evidence: vec![by_cgroup(cgroup)],
            });
        }
        index
    }
}

/// The path of a cgroup as evidence.
fn by_cgroup(path: &str) -> Evidence {
    Evidence {
        kind: EvidenceKind::CgroupPath,
        detail: path.to_owned(),
    }
}

impl Attribution {
    /// Finds the first process, and with it the PID namespace, of containers that only cgroup
    /// paths name: of the processes whose parent is outside, a living one before zombies (which
    /// stay in a removed cgroup until they are reaped), then the one at the shallowest level, PID 1
    /// before others, then the oldest.
    fn find_first_processes(&mut self, world: &World) {
        let mut first: FxHashMap<ContainerIndex, &Process> = FxHashMap::default();
        let rank = |p: &Process| {
            let other = p.innermost_pid() != 1;
            (p.is_zombie(), p.level(), other, p.start_ticks)
        };
        for (process, owner) in world.processes().iter().zip(&self.owners) {
            let Some(owner) = *owner else { continue };
            let parent = world.parent(process).and_then(|p| self.owner_of(world, p));
            if self.enclosing(parent).any(|index| index == owner) {
                continue;
            }
            // A container that holds nothing but another one still has its first process there.
            for index in self.enclosing(Some(owner)).collect::<Vec<_>>() {
                if self.enclosing(parent).any(|p| p == index) {
                    break;
                }
                let best = first.entry(index).or_insert(process);
                if rank(process) < rank(best) {
                    *best = process;
                }
            }
        }
        for (index, process) in first {
            let Some(container) = self.containers.get_mut(index.0) else {
                continue;
            };
            if container.init.is_none() {
                container.init = Some(process.pid);
                container.pid_namespace = process.pid_namespace();
                container.pid_level = Some(process.level());
                container.own_pid_namespace = process.is_namespace_init();
            }
        }
        self.keep_one_owner_per_namespace();
    }

    /// A PID namespace is the own one of one container at most: of nested claims the outermost.
    fn keep_one_owner_per_namespace(&mut self) {
        let mut owner: FxHashMap<NamespaceId, (usize, usize)> = FxHashMap::default();
        for at in 0..self.containers.len() {
            let depth = self.enclosing(Some(ContainerIndex(at))).count();
            let Some(container) = self.containers.get(at) else {
                continue;
            };
            if let (true, Some(id)) = (container.own_pid_namespace, container.pid_namespace) {
                let best = owner.entry(id).or_insert((depth, at));
                *best = (*best).min((depth, at));
            }
        }
        for (at, container) in self.containers.iter_mut().enumerate() {
            if let Some(id) = container.pid_namespace {
                container.own_pid_namespace &= owner.get(&id).is_some_and(|best| best.1 == at);
            }
        }
    }

    /// Gives zombies without an owner (v1 shows no cgroup of a zombie) to their parent's.
    fn own_zombies_by_parent(&mut self, world: &World) {
        for at in 0..self.owners.len() {
            let Some(process) = world.processes().get(at) else {
                continue;
            };
            if !process.is_zombie() || self.owners.get(at).is_some_and(Option::is_some) {
                continue;
            }
            let parent = world.parent(process);
            let same_level = parent.filter(|p| p.level() == process.level());
            let owner = same_level.and_then(|p| self.owner_of(world, p));
            if let Some(place) = self.owners.get_mut(at) {
                *place = owner;
            }
        }
    }

    /// The owner of a process, as far as found.
    pub(super) fn owner_of(&self, world: &World, process: &Process) -> Option<ContainerIndex> {
        let at = world
            .processes()
            .binary_search_by_key(&process.pid, |p| p.pid);
        at.ok()
            .and_then(|at| self.owners.get(at).copied().flatten())
    }

    /// A container and those it runs inside of, from the inside out.
    pub(super) fn enclosing(
        &self,
        inner: Option<ContainerIndex>,
    ) -> impl Iterator<Item = ContainerIndex> + '_ {
        let next = |index: &ContainerIndex| self.containers.get(index.0)?.parent;
        std::iter::successors(inner, next).take(self.containers.len())
    }
}

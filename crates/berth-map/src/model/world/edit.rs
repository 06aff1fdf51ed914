//! A snapshot with other processes in it. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use berth_base::{HostPid, NamespaceId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::World;
use crate::model::{CgroupSet, Container, ContainerIndex, Engine, Namespace, Process, hierarchy};

/// A process that is put into a snapshot.
pub(crate) struct Returned {
    /// The process.
    pub(crate) process: Process,
    /// The container that owned it and those around it, from the inside out.
    pub(crate) containers: Vec<Container>,
}

impl World {
    /// Takes the sets of cgroups from another snapshot where they are equal. It says the same, but
    /// sets that are the same one are compared, hashed and stored once.
    pub(crate) fn share_cgroups_with(&mut self, other: &Self) {
        // Not the quick hash: containers choose paths.
        let mut known: HashMap<&CgroupSet, &Arc<CgroupSet>> = HashMap::new();
        let mut last: *const CgroupSet = std::ptr::null();
        for process in &other.processes {
            // Neighbours often sit together.
            if Arc::as_ptr(&process.cgroups) != last {
                last = Arc::as_ptr(&process.cgroups);
                known.insert(&process.cgroups, &process.cgroups);
            }
        }
        let mut places: FxHashMap<*const CgroupSet, Arc<CgroupSet>> = FxHashMap::default();
        for process in &mut self.processes {
            let own = &process.cgroups;
            let shared = places.entry(Arc::as_ptr(own)).or_insert_with(|| {
                let shared = known.get(own.as_ref()).copied();
                Arc::clone(shared.unwrap_or(own))
            });
            process.cgroups = Arc::clone(shared);
        }
    }

    /// The same snapshot with some processes left out, and others put in. A process that is put in
    /// takes the place of one with the same PID. Containers that have no process then are left
    /// out. `known` are namespaces that the processes put in may live in.
    pub(crate) fn edited<'a>(
        &self,
        out: &FxHashSet<HostPid>,
        back: Vec<Returned>,
        known: impl Iterator<Item = &'a Namespace>,
    ) -> Self {
        let mut containers = Containers::new(self);
        let mut table: Vec<(Process, Option<ContainerIndex>)> = back
            .into_iter()
            .map(|returned| (returned.process, containers.find(&returned.containers)))
            .collect();
        let kept = self.processes.iter().zip(&self.owners);
        let kept = kept.filter(|(process, _)| !out.contains(&process.pid));
        table.extend(kept.map(|(process, owner)| (process.clone(), *owner)));
        // Stable: those put in come first.
        table.sort_by_key(|(process, _)| process.pid);
        table.dedup_by_key(|(process, _)| process.pid);
        let (processes, owners): (Vec<Process>, Vec<Option<ContainerIndex>>) =
            table.into_iter().unzip();
        let current = self.namespaces.values().cloned();
        let named = known.cloned().chain(current).collect();
        let mut world = Self {
            namespaces: hierarchy::link(&processes, &self.host, named),
            processes,
            owners,
            containers: containers.all,
            container_of: self.container_of.clone(),
            source: self.source,
            extent: self.extent,
            host: self.host.clone(),
            stale: self.stale.clone(),
            details: self.details.clone(),
            warnings: self.warnings.clone(),
        };
        world.forget_unused_namespaces(self);
        world.forget_empty_containers();
        world
    }

    /// Leaves out the namespaces that live here and lived in nothing of before.
    fn forget_unused_namespaces(&mut self, before: &Self) {
        let inhabited = self.namespaces.values().filter(|n| n.processes > 0);
        let mut open: Vec<NamespaceId> = inhabited.map(|n| n.id).collect();
        let mut used = FxHashSet::default();
        while let Some(id) = open.pop() {
            if used.insert(id)
                && let Some(namespace) = self.namespaces.get(&id)
            {
                open.extend([namespace.parent, namespace.owner].into_iter().flatten());
            }
        }
        self.namespaces.retain(|id, _| {
            let was = before.namespaces.get(id);
            // One without processes may be held by something else.
            used.contains(id) || was.is_some_and(|n| n.processes == 0)
        });
    }

    /// Leaves out the containers that own nothing.
    fn forget_empty_containers(&mut self) {
        let mut is_used = vec![false; self.containers.len()];
        let owners: FxHashSet<ContainerIndex> = self.owners.iter().flatten().copied().collect();
        for owner in owners {
            for index in self.enclosing(Some(owner)) {
                if let Some(used) = is_used.get_mut(index.0) {
                    *used = true;
                }
            }
        }
        let mut next = 0;
        let mut places = Vec::with_capacity(is_used.len());
        for used in &is_used {
            places.push(used.then_some(ContainerIndex(next)));
            next += usize::from(*used);
        }
        let moved = |index: ContainerIndex| places.get(index.0).copied().flatten();
        let mut used = is_used.into_iter();
        self.containers.retain(|_| used.next().unwrap_or(false));
        for container in &mut self.containers {
            container.parent = container.parent.and_then(moved);
        }
        for owner in &mut self.owners {
            *owner = owner.and_then(moved);
        }
        self.container_of.retain(|_, index| {
            let place = moved(*index);
            *index = place.unwrap_or(*index);
            place.is_some()
        });
        for (index, container) in (0..).map(ContainerIndex).zip(&self.containers) {
            if let Some(id) = container
                .pid_namespace
                .filter(|_| container.own_pid_namespace)
            {
                self.container_of.entry(id).or_insert(index);
            }
        }
    }
}

/// Containers while processes of others are put in.
struct Containers {
    all: Vec<Container>,
    places: HashMap<(Option<ContainerIndex>, Engine, String), ContainerIndex>,
}

impl Containers {
    fn new(world: &World) -> Self {
        let places = world
            .indexed_containers()
            .map(|(index, c)| ((c.parent, c.engine, c.id.clone()), index))
            .collect();
        Self {
            all: world.containers.clone(),
            places,
        }
    }

    /// The place of the first of these, each of which is inside of the next.
    fn find(&mut self, containers: &[Container]) -> Option<ContainerIndex> {
        let mut outer = None;
        for container in containers.iter().rev() {
            let key = (outer, container.engine, container.id.clone());
            let index = *self.places.entry(key).or_insert_with(|| {
                self.all.push(Container {
                    parent: outer,
                    ..container.clone()
                });
                ContainerIndex(self.all.len() - 1)
            });
            outer = Some(index);
        }
        outer
    }
}

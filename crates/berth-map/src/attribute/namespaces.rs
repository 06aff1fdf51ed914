//! What namespaces say of owners: of processes that no cgroup gives away, and of the namespaces
//! themselves.

use std::collections::BTreeMap;

use berth_base::{NamespaceId, NamespaceKind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::claims::Claims;
use super::owners::Attribution;
use crate::model::{
    Container, ContainerIndex, Engine, Evidence, EvidenceKind, NamespaceSet, Process, World,
};

/// The name of unshare(1), as `comm` shows it.
const UNSHARE: &str = "unshare";

impl Attribution {
    /// Puts a container without cgroups of its own inside the one whose cgroup its first process
    /// sits in.
    pub(super) fn nest_by_first_process(&mut self, world: &World, claims: &Claims) {
        let with_cgroup = claims.with_cgroup();
        for at in 0..self.containers.len() {
            let Some(container) = self.containers.get(at) else {
                continue;
            };
            if container.parent.is_some() || with_cgroup.contains(&at) {
                continue;
            }
            let init = container.init.and_then(|pid| world.process(pid));
            let around = init.and_then(|init| self.owner_of(world, init));
            let own = ContainerIndex(at);
            if let Some(around) = around
                && !self.enclosing(Some(around)).any(|index| index == own)
                && let Some(container) = self.containers.get_mut(at)
            {
                container.parent = Some(around);
            }
        }
    }

    /// Puts a container without a parent inside the one that owns the nearest PID namespace above.
    pub(super) fn nest_by_namespace(&mut self, world: &World) {
        let own = self.own_pid_namespaces();
        for at in 0..self.containers.len() {
            let Some(container) = self.containers.get(at) else {
                continue;
            };
            if container.parent.is_some() || !container.own_pid_namespace {
                continue;
            }
            let up = |id: &NamespaceId| world.namespace(*id)?.parent;
            let found = std::iter::successors(container.pid_namespace, up)
                .skip(1)
                .find_map(|id| own.get(&id).copied());
            if let Some(container) = self.containers.get_mut(at) {
                container.parent = found;
            }
        }
    }

    /// Gives processes to the container of the nearest PID namespace, where they have no owner or
    /// that container runs inside the one whose cgroup they sit in.
    pub(super) fn own_by_namespace(&mut self, world: &World) {
        let own = self.own_pid_namespaces();
        if own.is_empty() {
            return;
        }
        let mut nearest: FxHashMap<NamespaceId, Option<ContainerIndex>> = FxHashMap::default();
        for (at, process) in world.processes().iter().enumerate() {
            if process.level() == 0 {
                continue;
            }
            let find = || {
                let chain = world.pid_namespaces(process);
                let mut inside_out = chain.iter().rev().flatten();
                inside_out.find_map(|id| own.get(id).copied())
            };
            let found = match process.pid_namespace() {
                Some(id) => *nearest.entry(id).or_insert_with(find),
                None => find(),
            };
            self.give_if_deeper(at, found);
        }
    }

    /// Gives processes to containers without a PID namespace of their own, or any cgroup, by the
    /// mount namespace that the program which made them gave them.
    pub(super) fn own_by_mounts(&mut self, world: &World) {
        let mount = |p: &Process| p.namespaces.of(NamespaceKind::Mnt);
        let mut own: FxHashMap<NamespaceId, ContainerIndex> = FxHashMap::default();
        for (at, container) in self.containers.iter().enumerate() {
            let by_program = container.evidence.first().map(|e| e.kind);
            if container.own_pid_namespace || by_program != Some(EvidenceKind::Program) {
                continue;
            }
            let init = container.init.and_then(|pid| world.process(pid));
            if let Some(id) = init.and_then(mount) {
                own.entry(id).or_insert(ContainerIndex(at));
            }
        }
        if own.is_empty() {
            return;
        }
        for (at, process) in world.processes().iter().enumerate() {
            let found = mount(process).and_then(|id| own.get(&id).copied());
            self.give_if_deeper(at, found);
        }
    }

    /// Gives a process to a container, unless its owner is another than one around that.
    fn give_if_deeper(&mut self, at: usize, found: Option<ContainerIndex>) {
        let Some(found) = found else { return };
        let owner = self.owners.get(at).copied().flatten();
        let deeper =
            owner.is_none_or(|owner| self.enclosing(Some(found)).any(|index| index == owner));
        if deeper && let Some(place) = self.owners.get_mut(at) {
            *place = Some(found);
        }
    }

    /// Makes a container of each outermost PID namespace that nobody claims, with what lives in
    /// it and below.
    pub(super) fn find_unclaimed(&mut self, world: &World) {
        let mut inits: FxHashMap<NamespaceId, &Process> = FxHashMap::default();
        for init in world.processes().iter().filter(|p| p.is_namespace_init()) {
            inits.extend(init.pid_namespace().map(|id| (id, init)));
        }
        let mut outermost: FxHashMap<NamespaceId, Option<NamespaceId>> = FxHashMap::default();
        let mut made: FxHashMap<NamespaceId, ContainerIndex> = FxHashMap::default();
        for (at, process) in world.processes().iter().enumerate() {
            if process.level() == 0 || self.owners.get(at).copied().flatten().is_some() {
                continue;
            }
            let Some(own) = process.pid_namespace() else {
                continue;
            };
            let find = || world.pid_namespaces(process).get(1).copied().flatten();
            let Some(id) = *outermost.entry(own).or_insert_with(find) else {
                continue;
            };
            // While its PID 1 is not seen, nothing can be said of it.
            let Some(init) = inits.get(&id) else { continue };
            let next = ContainerIndex(self.containers.len());
            let index = *made.entry(id).or_insert(next);
            if index == next {
                self.containers.push(unclaimed(world, id, init));
            }
            if let Some(place) = self.owners.get_mut(at) {
                *place = Some(index);
            }
        }
    }

    /// Says of each namespace whose it is: the container's whose first process lives in it and
    /// began first (others joined), or else the one container that owns all its processes.
    pub(super) fn own_namespaces_of_all_kinds(&mut self, world: &World) {
        let mut namespaces = self.namespaces_of_first_processes(world);
        let mut shared: BTreeMap<NamespaceId, Option<ContainerIndex>> = BTreeMap::new();
        // Many processes live in few different sets of namespaces.
        let mut seen: FxHashSet<(&NamespaceSet, Option<ContainerIndex>)> = FxHashSet::default();
        for (process, owner) in world.processes().iter().zip(&self.owners) {
            if !seen.insert((&process.namespaces, *owner)) {
                continue;
            }
            for id in process.namespaces.iter() {
                if is_hosts(world, id) || namespaces.contains_key(&id) {
                    continue;
                }
                let one = shared.entry(id).or_insert(*owner);
                if *one != *owner {
                    *one = None;
                }
            }
        }
        namespaces.extend(shared.into_iter().filter_map(|(id, one)| Some((id, one?))));
        // A PID namespace is a container's own or nobody's.
        namespaces.retain(|id, _| id.kind != NamespaceKind::Pid);
        namespaces.extend(self.own_pid_namespaces());
        self.namespaces = namespaces;
    }

    /// The container that began first of those whose first process lives in a namespace.
    fn namespaces_of_first_processes(
        &self,
        world: &World,
    ) -> BTreeMap<NamespaceId, ContainerIndex> {
        let mut first: BTreeMap<NamespaceId, (u64, usize)> = BTreeMap::new();
        for (at, container) in self.containers.iter().enumerate() {
            let Some(init) = container.init.and_then(|pid| world.process(pid)) else {
                continue;
            };
            for id in init.namespaces.iter().filter(|id| !is_hosts(world, *id)) {
                let begun = (init.start_ticks, at);
                let best = first.entry(id).or_insert(begun);
                *best = (*best).min(begun);
            }
        }
        let first = first.into_iter();
        first
            .map(|(id, (_, at))| (id, ContainerIndex(at)))
            .collect()
    }

    /// The containers by the PID namespace they own.
    fn own_pid_namespaces(&self) -> FxHashMap<NamespaceId, ContainerIndex> {
        let own = self.containers.iter().enumerate();
        own.filter(|(_, c)| c.own_pid_namespace)
            .filter_map(|(at, c)| Some((c.pid_namespace?, ContainerIndex(at))))
            .collect()
    }
}

/// Whether a namespace counts as the host's.
fn is_hosts(world: &World, id: NamespaceId) -> bool {
    world.host().namespaces.of(id.kind) == Some(id) || world.host().pid_namespace == Some(id)
}

/// The container of a PID namespace that nobody claims.
fn unclaimed(world: &World, namespace: NamespaceId, init: &Process) -> Container {
    let maker = world.parent(init).filter(|p| p.comm == UNSHARE);
    let evidence = match maker {
        Some(maker) => Evidence {
            kind: EvidenceKind::Program,
            detail: maker.comm.clone(),
        },
        None => Evidence {
            kind: EvidenceKind::Namespaces,
            detail: namespace.to_string(),
        },
    };
    Container {
        engine: Engine::Unshare,
        id: init.pid.to_string(),
        name: init.pid.to_string(),
        init: Some(init.pid),
        pid_namespace: Some(namespace),
        pid_level: Some(init.level()),
        own_pid_namespace: true,
        parent: None,
        image: None,
        pod: None,
        evidence: vec![evidence],
    }
}

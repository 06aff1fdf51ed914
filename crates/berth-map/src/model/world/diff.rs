//! What changed between two snapshots. Pure.
//!
//! A process is the same one when PID and start time are: a PID that was reused is an end and a
//! start. Namespaces are compared by their number, which the kernel may give to another one
//! between two snapshots. A container is the same one when its engine, its id and what it runs
//! inside of are.

use std::collections::{BTreeMap, HashMap};

use berth_base::{HostPid, NamespaceId};

use super::World;
use crate::model::{
    Container, ContainerIndex, Details, Engine, Extent, Host, Namespace, Process, Source,
    StaleContainer,
};

/// Everything that makes one snapshot another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Processes that are new, by host PID.
    pub started: Vec<Started>,
    /// Processes that are gone, by host PID.
    pub ended: Vec<Ended>,
    /// Processes that are there in both and not the same, by host PID.
    pub changed: Vec<Changed>,
    /// Namespaces that are new.
    pub namespaces_appeared: Vec<Namespace>,
    /// Namespaces that are gone.
    pub namespaces_gone: Vec<NamespaceId>,
    /// Namespaces of which a fact became known or changed, such as the number of processes.
    pub namespaces_changed: Vec<Namespace>,
    /// Containers that are new: their places in the new snapshot.
    pub containers_appeared: Vec<ContainerIndex>,
    /// Containers that are gone, as they were.
    pub containers_gone: Vec<Container>,
    /// Containers that are there in both and not the same: their places in the new snapshot.
    pub containers_changed: Vec<ContainerIndex>,
    /// All containers of the new snapshot, where any of the three above is not empty or their
    /// order is another.
    pub(super) containers: Option<Vec<Container>>,
    pub(super) rest: Rest,
}

/// A process that is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The process.
    pub process: Process,
    /// The container that owns it: its place in the new snapshot.
    pub owner: Option<ContainerIndex>,
}

/// A process that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its PID on the host, which another process may have by now.
    pub pid: HostPid,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// Its name. Escape before showing.
    pub comm: String,
    /// The container that owned it: its place in the old snapshot.
    pub owner: Option<ContainerIndex>,
}

/// A process that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The process as it is now.
    pub process: Process,
    /// The container that owns it: its place in the new snapshot.
    pub owner: Option<ContainerIndex>,
    /// What is different, as far as it has a name; never empty.
    pub changes: Vec<Change>,
}

/// What can be different about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It lives in another namespace of this kind: setns(2), unshare(2).
    Namespace {
        /// Where it lived, when known.
        from: Option<NamespaceId>,
        /// Where it lives, when known.
        to: Option<NamespaceId>,
    },
    /// It sits in other cgroups.
    Cgroups,
    /// Its state character.
    State {
        /// Before.
        from: char,
        /// After.
        to: char,
    },
    /// Its name: execve(2), prctl(2).
    Comm {
        /// Before. Escape before showing.
        from: String,
    },
    /// Its parent ended, and another one got it.
    Reparented {
        /// The parent before.
        from: Option<HostPid>,
        /// The parent after.
        to: Option<HostPid>,
    },
    /// Its effective uid.
    Uid {
        /// Before.
        from: u32,
        /// After.
        to: u32,
    },
    /// Another container owns it, or none.
    Owner {
        /// The container before: its place in the old snapshot.
        from: Option<ContainerIndex>,
    },
    /// Something that no other change names, such as whether its links could be read.
    Other,
}

/// The parts of a snapshot that are replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) source: Option<Source>,
    pub(super) extent: Option<Extent>,
    pub(super) host: Option<Host>,
    pub(super) container_of: Option<BTreeMap<NamespaceId, ContainerIndex>>,
    pub(super) stale: Option<Vec<StaleContainer>>,
    pub(super) details: Option<Details>,
    pub(super) warnings: Option<Vec<String>>,
}

impl Diff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What leads from one snapshot to another.
    pub fn between(old: &World, new: &World) -> Self {
        let places = Places::between(&old.containers, &new.containers);
        let mut diff = Self {
            rest: Rest::between(old, new),
            ..Self::default()
        };
        diff.compare_processes(old, new, &places);
        diff.compare_namespaces(old, new);
        diff.compare_containers(old, new, &places);
        diff
    }

    /// Makes the new snapshot from the old one that this was made from.
    pub fn apply(&self, old: &World) -> World {
        let containers = self.containers.as_ref().unwrap_or(&old.containers);
        let places = Places::between(&old.containers, containers);
        let mut table: BTreeMap<HostPid, (Process, Option<ContainerIndex>)> = old
            .processes
            .iter()
            .zip(&old.owners)
            .map(|(process, owner)| (process.pid, (process.clone(), places.new_place(*owner))))
            .collect();
        for ended in &self.ended {
            table.remove(&ended.pid);
        }
        for Started { process, owner } in &self.started {
            table.insert(process.pid, (process.clone(), *owner));
        }
        for Changed { process, owner, .. } in &self.changed {
            table.insert(process.pid, (process.clone(), *owner));
        }
        let (processes, owners) = table.into_values().unzip();
        let mut namespaces = old.namespaces.clone();
        for id in &self.namespaces_gone {
            namespaces.remove(id);
        }
        for namespace in self
            .namespaces_appeared
            .iter()
            .chain(&self.namespaces_changed)
        {
            namespaces.insert(namespace.id, namespace.clone());
        }
        let rest = &self.rest;
        World {
            source: rest.source.unwrap_or(old.source),
            extent: rest.extent.unwrap_or(old.extent),
            host: rest.host.as_ref().unwrap_or(&old.host).clone(),
            processes,
            owners,
            namespaces,
            containers: containers.clone(),
            container_of: rest
                .container_of
                .as_ref()
                .unwrap_or(&old.container_of)
                .clone(),
            stale: rest.stale.as_ref().unwrap_or(&old.stale).clone(),
            details: rest.details.as_ref().unwrap_or(&old.details).clone(),
            warnings: rest.warnings.as_ref().unwrap_or(&old.warnings).clone(),
        }
    }

    fn compare_processes(&mut self, old: &World, new: &World, places: &Places) {
        let mut before = old.processes.iter().zip(&old.owners).peekable();
        let mut after = new.processes.iter().zip(&new.owners).peekable();
        // Both are sorted by PID.
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => return,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((was, _)), Some((is, _))) => was.pid.cmp(&is.pid),
            };
            let was = order.is_le().then(|| before.next()).flatten();
            let is = order.is_ge().then(|| after.next()).flatten();
            match (was, is) {
                (Some((was, owned)), Some((is, owner))) if was.start_ticks == is.start_ticks => {
                    self.compare(was, *owned, is, *owner, places);
                }
                (was, is) => {
                    self.ended.extend(was.map(|(process, owner)| Ended {
                        pid: process.pid,
                        start_ticks: process.start_ticks,
                        comm: process.comm.clone(),
                        owner: *owner,
                    }));
                    self.started.extend(is.map(|(process, owner)| Started {
                        process: process.clone(),
                        owner: *owner,
                    }));
                }
            }
        }
    }

    /// Compares one process with itself.
    fn compare(
        &mut self,
        was: &Process,
        owned: Option<ContainerIndex>,
        is: &Process,
        owner: Option<ContainerIndex>,
        places: &Places,
    ) {
        let mut changes = changes(was, is);
        if !places.is_same(owned, owner) {
            changes.push(Change::Owner { from: owned });
        }
        if !changes.is_empty() {
            self.changed.push(Changed {
                process: is.clone(),
                owner,
                changes,
            });
        }
    }

    fn compare_namespaces(&mut self, old: &World, new: &World) {
        for (id, namespace) in &new.namespaces {
            match old.namespaces.get(id) {
                None => self.namespaces_appeared.push(namespace.clone()),
                Some(was) if was != namespace => self.namespaces_changed.push(namespace.clone()),
                Some(_) => {}
            }
        }
        let gone = old
            .namespaces
            .keys()
            .filter(|id| !new.namespaces.contains_key(id));
        self.namespaces_gone = gone.copied().collect();
    }

    fn compare_containers(&mut self, old: &World, new: &World, places: &Places) {
        if old.containers == new.containers {
            return;
        }
        for (index, container) in new.indexed_containers() {
            let was = places
                .old
                .get(&index)
                .and_then(|place| old.container(*place));
            match was {
                None => self.containers_appeared.push(index),
                Some(was) if !places.is_unchanged(was, container) => {
                    self.containers_changed.push(index);
                }
                Some(_) => {}
            }
        }
        for (index, container) in old.indexed_containers() {
            if places.new_place(Some(index)).is_none() {
                self.containers_gone.push(container.clone());
            }
        }
        self.containers = Some(new.containers.clone());
    }
}

/// What is different about one process.
fn changes(was: &Process, is: &Process) -> Vec<Change> {
    let mut changes = Vec::new();
    for kind in berth_base::NamespaceKind::ALL {
        let (from, to) = (was.namespaces.of(kind), is.namespaces.of(kind));
        if from != to {
            changes.push(Change::Namespace { from, to });
        }
    }
    if was.cgroups != is.cgroups {
        changes.push(Change::Cgroups);
    }
    if was.state != is.state {
        let (from, to) = (was.state, is.state);
        changes.push(Change::State { from, to });
    }
    if was.comm != is.comm {
        let from = was.comm.clone();
        changes.push(Change::Comm { from });
    }
    if was.parent != is.parent {
        let (from, to) = (was.parent, is.parent);
        changes.push(Change::Reparented { from, to });
    }
    if was.uid != is.uid {
        let (from, to) = (was.uid, is.uid);
        changes.push(Change::Uid { from, to });
    }
    if changes.is_empty() && was != is {
        changes.push(Change::Other);
    }
    changes
}

impl Rest {
    fn between(old: &World, new: &World) -> Self {
        fn replaced<T: Clone + PartialEq>(old: &T, new: &T) -> Option<T> {
            (old != new).then(|| new.clone())
        }
        Self {
            source: replaced(&old.source, &new.source),
            extent: replaced(&old.extent, &new.extent),
            host: replaced(&old.host, &new.host),
            container_of: replaced(&old.container_of, &new.container_of),
            stale: replaced(&old.stale, &new.stale),
            details: replaced(&old.details, &new.details),
            warnings: replaced(&old.warnings, &new.warnings),
        }
    }
}

/// A container's identity: what it runs inside of, outermost first, and itself.
type Key<'a> = Vec<(Engine, &'a str)>;

/// Which container of one snapshot is which of another.
struct Places {
    new: HashMap<ContainerIndex, ContainerIndex>,
    old: HashMap<ContainerIndex, ContainerIndex>,
}

impl Places {
    fn between(old: &[Container], new: &[Container]) -> Self {
        let mut by_key: HashMap<Key, ContainerIndex> = HashMap::new();
        for (at, key) in keys(new).into_iter().enumerate() {
            by_key.entry(key).or_insert(ContainerIndex(at));
        }
        let mut places = Self {
            new: HashMap::new(),
            old: HashMap::new(),
        };
        for (at, key) in keys(old).into_iter().enumerate() {
            if let Some(place) = by_key.get(&key)
                && !places.old.contains_key(place)
            {
                places.new.insert(ContainerIndex(at), *place);
                places.old.insert(*place, ContainerIndex(at));
            }
        }
        places
    }

    /// Where an old container is now.
    fn new_place(&self, old: Option<ContainerIndex>) -> Option<ContainerIndex> {
        self.new.get(&old?).copied()
    }

    /// Whether an old place and a new one mean the same container, or both none.
    fn is_same(&self, old: Option<ContainerIndex>, new: Option<ContainerIndex>) -> bool {
        match (old, new) {
            (None, None) => true,
            (Some(_), Some(_)) => self.new_place(old) == new,
            _ => false,
        }
    }

    /// Whether a container is as it was, places of its parent aside.
    fn is_unchanged(&self, was: &Container, is: &Container) -> bool {
        let moved = Container {
            parent: self.new_place(was.parent),
            ..was.clone()
        };
        moved == *is
    }
}

/// The identity of each container.
fn keys(containers: &[Container]) -> Vec<Key<'_>> {
    let mut keys = Vec::with_capacity(containers.len());
    for container in containers {
        let mut key: Key = vec![(container.engine, container.id.as_str())];
        let mut parent = container.parent;
        // Parents come from cgroup paths: never follow a cycle.
        while let Some(outer) = parent.and_then(|index| containers.get(index.0))
            && key.len() <= containers.len()
        {
            key.push((outer.engine, outer.id.as_str()));
            parent = outer.parent;
        }
        key.reverse();
        keys.push(key);
    }
    keys
}

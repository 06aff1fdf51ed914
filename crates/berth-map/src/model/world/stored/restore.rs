//! From the disk to a snapshot. Whoever wrote it may have meant harm: what would make a reader
//! run for ever, or write control characters where none are expected, is refused or mended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use berth_base::{HostPid, NamespaceId, escape_untrusted};

use super::{StoredDetails, StoredDetailsDiff, StoredDiff, StoredProcess, StoredWorld};
use crate::model::world::diff::{Changed, Diff, Ended, Rest};
use crate::model::world::{Host, World};
use crate::model::{
    CgroupSet, CgroupUsage, Container, ContainerIndex, Details, Namespace, Process, StaleContainer,
};

/// Levels of PID namespaces below the host's: MAX_PID_NS_LEVEL of the kernel.
const MAX_LEVEL: usize = 32;

/// Processes, namespaces and containers of a snapshot at most: what a recording adds little by
/// little must end somewhere.
const MAX_THINGS: usize = 1_000_000;

/// A stored snapshot that cannot be one; the text says why.
pub(crate) type Invalid = &'static str;

impl StoredWorld {
    /// The snapshot.
    pub(crate) fn restore(self) -> Result<World, Invalid> {
        let sets = shared(self.cgroups);
        let mut processes = Vec::with_capacity(self.processes.len());
        let mut owners = Vec::with_capacity(self.processes.len());
        for stored in self.processes {
            owners.push(stored.owner);
            processes.push(stored.restore(&sets)?);
        }
        let details = self.details.restore(&sets);
        let world = World {
            source: self.source,
            extent: self.extent,
            host: self.host,
            processes,
            owners,
            namespaces: by_id(self.namespaces),
            containers: self.containers,
            container_of: self.container_of.into_iter().collect(),
            stale: self.stale,
            details,
            warnings: self.warnings,
        };
        world.checked()
    }
}

impl StoredDiff {
    /// The snapshot that this makes of another one.
    pub(crate) fn restore(self, old: &World) -> Result<World, Invalid> {
        let sets = shared(self.cgroups);
        let mut changed = Vec::with_capacity(self.processes.len());
        for stored in self.processes {
            let owner = stored.owner;
            let process = stored.restore(&sets)?;
            changed.push(Changed {
                process,
                owner,
                changes: Vec::new(),
            });
        }
        let ended = self.ended.into_iter().map(|pid| Ended {
            pid,
            start_ticks: 0,
            comm: String::new(),
            owner: None,
        });
        let diff = Diff {
            ended: ended.collect(),
            changed,
            namespaces_gone: self.namespaces_gone,
            namespaces_changed: self.namespaces,
            containers: self.containers,
            rest: Rest {
                source: self.source,
                extent: self.extent,
                host: self.host,
                container_of: self.container_of.map(|pairs| pairs.into_iter().collect()),
                stale: self.stale,
                details: self.details.restore(&old.details, &sets),
                warnings: self.warnings,
            },
            ..Diff::default()
        };
        diff.apply(old).checked()
    }
}

impl StoredProcess {
    fn restore(self, sets: &[Arc<CgroupSet>]) -> Result<Process, Invalid> {
        let pid = HostPid::new(self.pid.get()).ok_or("a PID is too large")?;
        if self.inner_pids.len() > MAX_LEVEL {
            return Err("a process is in more PID namespaces than there can be");
        }
        let set = usize::try_from(self.cgroups).ok();
        let cgroups = set.and_then(|at| sets.get(at));
        Ok(Process {
            pid,
            pids: std::iter::once(pid.get()).chain(self.inner_pids).collect(),
            namespaces: self.namespaces,
            links: self.links,
            parent: self.parent,
            comm: self.comm,
            state: match self.state.is_ascii_alphabetic() {
                true => self.state,
                false => '?',
            },
            start_ticks: self.start_ticks,
            cgroups: Arc::clone(cgroups.ok_or("a process has cgroups that are not there")?),
            uid: self.uid,
            kernel_thread: self.kernel_thread,
        })
    }
}

impl StoredDetails {
    fn restore(self, sets: &[Arc<CgroupSet>]) -> Details {
        Details {
            threads: self.threads,
            holders: self.holders,
            id_maps: self.id_maps,
            networks: self.networks,
            mounts: self.mounts,
            usage: usage_table(self.usage, sets),
        }
    }
}

impl StoredDetailsDiff {
    /// All details, if any is different.
    fn restore(self, old: &Details, sets: &[Arc<CgroupSet>]) -> Option<Details> {
        let is_same = self.threads.is_none()
            && self.holders.is_none()
            && self.id_maps.is_none()
            && self.networks.is_none()
            && self.mounts.is_none()
            && self.usage.is_none();
        if is_same {
            return None;
        }
        Some(Details {
            threads: self.threads.unwrap_or_else(|| old.threads.clone()),
            holders: self.holders.unwrap_or_else(|| old.holders.clone()),
            id_maps: self.id_maps.unwrap_or_else(|| old.id_maps.clone()),
            networks: self.networks.unwrap_or_else(|| old.networks.clone()),
            mounts: self.mounts.unwrap_or_else(|| old.mounts.clone()),
            usage: match self.usage {
                Some(all) => usage_table(all, sets),
                None => old.usage.clone(),
            },
        })
    }
}

fn shared(sets: Vec<CgroupSet>) -> Vec<Arc<CgroupSet>> {
    sets.into_iter()
        .map(|mut set| {
            for entry in &mut set.entries {
                mend(&mut entry.controllers);
            }
            Arc::new(set)
        })
        .collect()
}

fn usage_table(
    stored: Vec<(CgroupSet, CgroupUsage)>,
    sets: &[Arc<CgroupSet>],
) -> HashMap<Arc<CgroupSet>, CgroupUsage> {
    let known: HashMap<&CgroupSet, &Arc<CgroupSet>> =
        sets.iter().map(|set| (set.as_ref(), set)).collect();
    stored
        .into_iter()
        .map(|(set, usage)| match known.get(&set) {
            Some(shared) => (Arc::clone(shared), usage),
            None => (Arc::new(set), usage),
        })
        .collect()
}

fn by_id(namespaces: Vec<Namespace>) -> BTreeMap<NamespaceId, Namespace> {
    let pairs = namespaces
        .into_iter()
        .map(|namespace| (namespace.id, namespace));
    pairs.collect()
}

impl World {
    /// The same, with everything true that other code takes for granted.
    fn checked(mut self) -> Result<Self, Invalid> {
        if !self.processes.is_sorted_by(|a, b| a.pid < b.pid) {
            return Err("processes are not in order");
        }
        let is_there = |index: &ContainerIndex| index.0 < self.containers.len();
        let parents = self.containers.iter().filter_map(|c| c.parent.as_ref());
        let named = self.owners.iter().flatten();
        let named = named.chain(self.container_of.values()).chain(parents);
        if self.owners.len() != self.processes.len() || !named.into_iter().all(is_there) {
            return Err("a container is not there");
        }
        let levels = self.namespaces.values().filter_map(|n| n.level);
        let mut levels = levels.chain(self.containers.iter().filter_map(|c| c.pid_level));
        if levels.any(|level| level > MAX_LEVEL) {
            return Err("a PID namespace is deeper than it can be");
        }
        if self.processes.len() + self.namespaces.len() + self.containers.len() > MAX_THINGS {
            return Err("there are more processes and namespaces than there can be");
        }
        self.break_rings();
        self.host.mend();
        self.warnings.iter_mut().for_each(mend);
        self.containers.iter_mut().for_each(Container::mend);
        self.stale.iter_mut().for_each(StaleContainer::mend);
        let networks = self.details.networks.values_mut();
        let interfaces = networks.flat_map(|network| &mut network.interfaces);
        interfaces.filter_map(|i| i.kind.as_mut()).for_each(mend);
        Ok(self)
    }

    /// Nobody is his own ancestor.
    fn break_rings(&mut self) {
        let parents: HashMap<HostPid, HostPid> = self
            .processes
            .iter()
            .filter_map(|process| Some((process.pid, process.parent?)))
            .collect();
        for pid in ends_of_rings(&parents) {
            let at = self.processes.binary_search_by_key(&pid, |p| p.pid);
            if let Some(process) = at.ok().and_then(|at| self.processes.get_mut(at)) {
                process.parent = None;
            }
        }
        let links: [Link; 2] = [
            |namespace| &mut namespace.parent,
            |namespace| &mut namespace.owner,
        ];
        for link in links {
            let above: HashMap<NamespaceId, NamespaceId> = self
                .namespaces
                .iter_mut()
                .filter_map(|(id, namespace)| Some((*id, (*link(namespace))?)))
                .collect();
            for id in ends_of_rings(&above) {
                if let Some(namespace) = self.namespaces.get_mut(&id) {
                    *link(namespace) = None;
                }
            }
        }
        let above: HashMap<ContainerIndex, ContainerIndex> = self
            .indexed_containers()
            .filter_map(|(index, container)| Some((index, container.parent?)))
            .collect();
        for index in ends_of_rings(&above) {
            if let Some(container) = self.containers.get_mut(index.0) {
                container.parent = None;
            }
        }
    }
}

/// What a namespace stands below.
type Link = fn(&mut Namespace) -> &mut Option<NamespaceId>;

/// One member of each ring. Each node is walked over once.
fn ends_of_rings<K: Copy + Eq + std::hash::Hash>(above: &HashMap<K, K>) -> Vec<K> {
    let mut walked: HashMap<K, usize> = HashMap::with_capacity(above.len());
    let mut ends = Vec::new();
    for (walk, start) in above.keys().enumerate() {
        let mut at = *start;
        while let Some(next) = above.get(&at) {
            if let Some(before) = walked.insert(at, walk) {
                if before == walk {
                    ends.push(at);
                } else {
                    walked.insert(at, before);
                }
                break;
            }
            at = *next;
        }
    }
    ends
}

/// Makes a text safe that others do not escape.
fn mend(text: &mut String) {
    if let std::borrow::Cow::Owned(escaped) = escape_untrusted(text) {
        *text = escaped;
    }
}

impl Host {
    fn mend(&mut self) {
        [&mut self.hostname, &mut self.boot_id]
            .into_iter()
            .flatten()
            .for_each(mend);
    }
}

impl Container {
    fn mend(&mut self) {
        mend(&mut self.id);
    }
}

impl StaleContainer {
    fn mend(&mut self) {
        mend(&mut self.id);
        mend(&mut self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_found_once() {
        let above: HashMap<u32, u32> =
            [(1, 2), (2, 3), (3, 1), (4, 1), (5, 4), (6, 6), (7, 0)].into();
        let mut ends = ends_of_rings(&above);
        ends.sort_unstable();
        assert_eq!(ends.len(), 2);
        assert!((1..=3).contains(&ends[0]) && ends[1] == 6);
    }
}

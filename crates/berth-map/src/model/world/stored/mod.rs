//! Snapshots as they are stored, and what makes one another. Pure.
//!
//! These are the types of the disk: what they look like is part of a format that others read
//! ([`crate::live`]). [`World::store`] makes them; restoring believes nothing. Sets of cgroups,
//! which thousands of processes share, are stored once.

mod restore;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use berth_base::{HostPid, NamespaceId};
use serde::{Deserialize, Serialize};

use super::{Diff, Extent, Host, Source, World};
use crate::model::{
    CgroupSet, CgroupUsage, Container, ContainerIndex, Details, Holder, IdMaps, Links, Mount,
    Namespace, NamespaceSet, Network, Process, StaleContainer, Thread,
};

/// A whole snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredWorld {
    source: Source,
    extent: Extent,
    host: Host,
    cgroups: Vec<CgroupSet>,
    processes: Vec<StoredProcess>,
    namespaces: Vec<Namespace>,
    containers: Vec<Container>,
    container_of: Vec<(NamespaceId, ContainerIndex)>,
    stale: Vec<StaleContainer>,
    details: StoredDetails,
    warnings: Vec<String>,
}

/// What makes one snapshot another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredDiff {
    cgroups: Vec<CgroupSet>,
    ended: Vec<HostPid>,
    /// Those that are new or different.
    processes: Vec<StoredProcess>,
    namespaces_gone: Vec<NamespaceId>,
    /// Those that are new or different.
    namespaces: Vec<Namespace>,
    containers: Option<Vec<Container>>,
    source: Option<Source>,
    extent: Option<Extent>,
    host: Option<Host>,
    container_of: Option<Vec<(NamespaceId, ContainerIndex)>>,
    stale: Option<Vec<StaleContainer>>,
    details: StoredDetailsDiff,
    warnings: Option<Vec<String>>,
}

/// A process, and the container that owns it.
#[derive(Debug, Serialize, Deserialize)]
struct StoredProcess {
    pid: HostPid,
    /// Without the host's.
    inner_pids: Vec<u32>,
    namespaces: NamespaceSet,
    links: Links,
    parent: Option<HostPid>,
    comm: String,
    state: char,
    start_ticks: u64,
    /// The place of its cgroups in the table.
    cgroups: u32,
    uid: u32,
    kernel_thread: bool,
    owner: Option<ContainerIndex>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredDetails {
    threads: BTreeMap<HostPid, Vec<Thread>>,
    holders: BTreeMap<NamespaceId, Vec<Holder>>,
    id_maps: BTreeMap<NamespaceId, IdMaps>,
    networks: BTreeMap<NamespaceId, Network>,
    mounts: BTreeMap<NamespaceId, Vec<Mount>>,
    usage: Vec<(CgroupSet, CgroupUsage)>,
}

/// The tables of which something is different, whole.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredDetailsDiff {
    threads: Option<BTreeMap<HostPid, Vec<Thread>>>,
    holders: Option<BTreeMap<NamespaceId, Vec<Holder>>>,
    id_maps: Option<BTreeMap<NamespaceId, IdMaps>>,
    networks: Option<BTreeMap<NamespaceId, Network>>,
    mounts: Option<BTreeMap<NamespaceId, Vec<Mount>>>,
    usage: Option<Vec<(CgroupSet, CgroupUsage)>>,
}

impl World {
    /// The snapshot as it is stored.
    pub(crate) fn store(&self) -> StoredWorld {
        let mut cgroups = CgroupTable::default();
        let rows = self.processes.iter().zip(&self.owners);
        let processes = rows.map(|(process, owner)| cgroups.row(process, *owner));
        StoredWorld {
            processes: processes.collect(),
            cgroups: cgroups.sets,
            source: self.source,
            extent: self.extent,
            host: self.host.clone(),
            namespaces: self.namespaces.values().cloned().collect(),
            containers: self.containers.clone(),
            container_of: pairs(&self.container_of),
            stale: self.stale.clone(),
            details: StoredDetails::of(&self.details),
            warnings: self.warnings.clone(),
        }
    }

    /// What makes this snapshot another one, as it is stored.
    pub(crate) fn store_diff(&self, new: &Self) -> StoredDiff {
        let diff = Diff::between(self, new);
        let mut cgroups = CgroupTable::default();
        let started = diff.started.iter().map(|s| (&s.process, s.owner));
        let changed = diff.changed.iter().map(|c| (&c.process, c.owner));
        let processes = started
            .chain(changed)
            .map(|(process, owner)| cgroups.row(process, owner));
        StoredDiff {
            processes: processes.collect(),
            cgroups: cgroups.sets,
            ended: diff.ended.iter().map(|ended| ended.pid).collect(),
            namespaces_gone: diff.namespaces_gone,
            namespaces: [diff.namespaces_appeared, diff.namespaces_changed].concat(),
            containers: diff.containers,
            source: diff.rest.source,
            extent: diff.rest.extent,
            host: diff.rest.host,
            container_of: diff.rest.container_of.as_ref().map(pairs),
            stale: diff.rest.stale,
            details: StoredDetailsDiff::between(&self.details, &new.details),
            warnings: diff.rest.warnings,
        }
    }
}

/// Sets of cgroups while they are being stored.
#[derive(Default)]
struct CgroupTable {
    sets: Vec<CgroupSet>,
    by_address: HashMap<*const CgroupSet, u32>,
    places: HashMap<Arc<CgroupSet>, u32>,
}

impl CgroupTable {
    fn row(&mut self, process: &Process, owner: Option<ContainerIndex>) -> StoredProcess {
        StoredProcess {
            pid: process.pid,
            inner_pids: process.pids.get(1..).unwrap_or_default().to_vec(),
            namespaces: process.namespaces,
            links: process.links,
            parent: process.parent,
            comm: process.comm.clone(),
            state: process.state,
            start_ticks: process.start_ticks,
            cgroups: self.place(&process.cgroups),
            uid: process.uid,
            kernel_thread: process.kernel_thread,
            owner,
        }
    }

    /// Where a set is in the table. Most sets are shared: their address is quick to look up.
    fn place(&mut self, set: &Arc<CgroupSet>) -> u32 {
        if let Some(place) = self.by_address.get(&Arc::as_ptr(set)) {
            return *place;
        }
        let next = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(Arc::clone(set)).or_insert_with(|| {
            self.sets.push(CgroupSet::clone(set));
            next
        });
        self.by_address.insert(Arc::as_ptr(set), place);
        place
    }
}

impl StoredDetails {
    fn of(details: &Details) -> Self {
        Self {
            threads: details.threads.clone(),
            holders: details.holders.clone(),
            id_maps: details.id_maps.clone(),
            networks: details.networks.clone(),
            mounts: details.mounts.clone(),
            usage: usage(details),
        }
    }
}

impl StoredDetailsDiff {
    fn between(old: &Details, new: &Details) -> Self {
        fn replaced<T: Clone + PartialEq>(old: &T, new: &T) -> Option<T> {
            (old != new).then(|| new.clone())
        }
        Self {
            threads: replaced(&old.threads, &new.threads),
            holders: replaced(&old.holders, &new.holders),
            id_maps: replaced(&old.id_maps, &new.id_maps),
            networks: replaced(&old.networks, &new.networks),
            mounts: replaced(&old.mounts, &new.mounts),
            usage: (old.usage != new.usage).then(|| usage(new)),
        }
    }
}

/// In an order that does not change from run to run.
fn usage(details: &Details) -> Vec<(CgroupSet, CgroupUsage)> {
    let all = details.usage.iter();
    let mut all: Vec<_> = all
        .map(|(set, usage)| (CgroupSet::clone(set), *usage))
        .collect();
    let key = |set: &CgroupSet| -> Vec<String> {
        set.entries.iter().map(|entry| entry.path.clone()).collect()
    };
    all.sort_by_cached_key(|(set, _)| key(set));
    all
}

fn pairs<K: Copy, V: Copy>(table: &BTreeMap<K, V>) -> Vec<(K, V)> {
    table.iter().map(|(key, value)| (*key, *value)).collect()
}

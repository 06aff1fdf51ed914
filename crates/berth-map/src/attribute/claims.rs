//! Which cgroups a container recorded by its engine may claim.
//!
//! A container with a writable cgroup tree can make a cgroup that bears another container's id.
//! Therefore an id in a path counts for a recorded container only at the place where that
//! container's cgroup is: where its own first process sits, or where its engine's file says.

use std::collections::{HashMap, HashSet};

use berth_base::{HostPid, NamespaceId};

use super::containers_in_path;
use crate::model::{CgroupSet, Engine, Evidence, Pod, World};

/// A container as its engine's own files describe it; its first process was found alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownContainer {
    /// Who made it.
    pub engine: Engine,
    /// Its 64-digit id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its first process.
    pub init: HostPid,
    /// The PID namespace its PIDs count in, as recorded.
    pub pid_namespace: Option<NamespaceId>,
    /// Whether that namespace was made for it.
    pub own_pid_namespace: bool,
    /// Its cgroup directories on the host, absolute.
    pub cgroup_dirs: Vec<String>,
    /// The image it was made from.
    pub image: Option<String>,
    /// The pod it belongs to.
    pub pod: Option<Pod>,
    /// The record.
    pub evidence: Evidence,
}

/// The cgroups that recorded containers claim.
pub(super) struct Claims<'a> {
    /// Recorded containers by id, as places in the list they came from.
    places: HashMap<&'a str, usize>,
    /// (hierarchy, path) where the first process of a container was found, by place.
    prefixes: HashSet<(usize, u32, &'a str)>,
    known: &'a [KnownContainer],
}

impl<'a> Claims<'a> {
    /// Collects the claims of recorded containers from where their first processes sit.
    pub(super) fn collect(world: &'a World, known: &'a [KnownContainer]) -> Self {
        let mut claims = Self {
            places: HashMap::new(),
            prefixes: HashSet::new(),
            known,
        };
        for (place, container) in known.iter().enumerate() {
            claims.places.insert(&container.id, place);
            let Some(init) = world.process(container.init) else {
                continue;
            };
            for entry in &init.cgroups.entries {
                // The shallowest: the container itself can only make cgroups below its own.
                let own = containers_in_path(&entry.path).find(|m| m.id == container.id);
                if let Some(found) = own {
                    claims
                        .prefixes
                        .insert((place, entry.hierarchy, found.prefix));
                }
            }
        }
        claims
    }

    /// The place of the recorded container with this id.
    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// Whether the cgroup at `prefix` is the recorded container's own.
    fn is_own(&self, place: usize, hierarchy: u32, prefix: &str) -> bool {
        let recorded = || {
            let mut dirs = self.known.iter().skip(place).take(1);
            dirs.any(|k| k.cgroup_dirs.iter().any(|dir| dir.ends_with(prefix)))
        };
        self.prefixes.contains(&(place, hierarchy, prefix)) || recorded()
    }

    /// The containers that a set of cgroups names, from the outside in: of all hierarchies the
    /// longest chain.
    pub(super) fn chain<'p>(&self, cgroups: &'p CgroupSet) -> Vec<(Engine, &'p str)> {
        let mut longest = Vec::new();
        for entry in &cgroups.entries {
            let chain = self.chain_in(entry.hierarchy, &entry.path);
            if chain.len() > longest.len() {
                longest = chain;
            }
        }
        longest
    }

    /// The containers that one path names and may name.
    fn chain_in<'p>(&self, hierarchy: u32, path: &'p str) -> Vec<(Engine, &'p str)> {
        let mut chain: Vec<(Engine, &str)> = Vec::new();
        for found in containers_in_path(path) {
            let engine = match self.place(found.id) {
                Some(place) if self.is_own(place, hierarchy, found.prefix) => {
                    self.known.get(place).map(|k| k.engine)
                }
                Some(_) => None,
                None => found.engine,
            };
            let Some(engine) = engine else { continue };
            if !chain.contains(&(engine, found.id)) {
                chain.push((engine, found.id));
            }
        }
        chain
    }
}

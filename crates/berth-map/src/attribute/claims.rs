//! Which cgroups a container recorded by its engine may claim.
//!
//! A container with a writable cgroup tree can make a cgroup that bears another container's id.
//! Therefore an id in a path counts for a recorded container only at the place where that
//! container's cgroup is: where its own first process sits, or where its engine's file says.

use std::collections::{HashMap, HashSet};

use berth_base::{HostPid, NamespaceId};

use super::cgroup_path::{Step, is_long_id, prefixes};
use crate::model::{CgroupSet, Engine, Evidence, Pod, Process, World};

/// A container as its engine's own files describe it; its first process was found alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownContainer {
    /// Who made it.
    pub engine: Engine,
    /// Its id, as [`crate::model::Container::id`].
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its first process.
    pub init: HostPid,
    /// The PID namespace its PIDs count in, as recorded.
    pub pid_namespace: Option<NamespaceId>,
    /// Whether that namespace was made for it.
    pub own_pid_namespace: bool,
    /// Its cgroups as recorded: directories on the host, or the ends of paths in a hierarchy.
    /// Each begins with a slash.
    pub cgroup_dirs: Vec<String>,
    /// The image it was made from.
    pub image: Option<String>,
    /// The pod it belongs to.
    pub pod: Option<Pod>,
    /// The record.
    pub evidence: Evidence,
}

impl KnownContainer {
    /// Whether the record names the cgroup at `prefix`.
    fn records(&self, prefix: &str) -> bool {
        let mut dirs = self.cgroup_dirs.iter();
        dirs.any(|dir| dir.ends_with(prefix) || prefix.ends_with(dir.as_str()))
    }
}

/// One container in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link<'p> {
    /// A recorded one, by its place in the list.
    Known(usize),
    /// One that only the path names.
    Named(Engine, &'p str, &'p str),
}

impl Link<'_> {
    /// Whether two links mean the same container.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(one), Self::Known(other)) => one == other,
            (Self::Named(engine, id, _), Self::Named(e, i, _)) => (engine, id) == (e, i),
            _ => false,
        }
    }
}

/// The cgroups that recorded containers claim.
pub(super) struct Claims<'a> {
    known: &'a [KnownContainer],
    /// Recorded containers by id, as places in the list.
    places: HashMap<&'a str, Vec<usize>>,
    /// The place of the container whose own a cgroup is, by hierarchy and path.
    own: HashMap<(u32, &'a str), usize>,
}

impl<'a> Claims<'a> {
    /// Collects the claims of recorded containers from where their first processes sit.
    pub(super) fn collect(world: &'a World, known: &'a [KnownContainer]) -> Self {
        let mut claims = Self {
            known,
            places: HashMap::new(),
            own: HashMap::new(),
        };
        for (place, container) in known.iter().enumerate() {
            claims.places.entry(&container.id).or_default().push(place);
            let Some(init) = world.process(container.init) else {
                continue;
            };
            for (hierarchy, prefix) in own_cgroups(container, init) {
                claims.own.entry((hierarchy, prefix)).or_insert(place);
            }
        }
        claims
    }

    /// The cgroup in which a recorded container was found, of any hierarchy.
    pub(super) fn cgroup_of(&self, place: usize) -> Option<&'a str> {
        let own = self.own.iter().filter(|(_, owner)| **owner == place);
        own.map(|((_, prefix), _)| *prefix).min()
    }

    /// The recorded containers with a cgroup of their own.
    pub(super) fn with_cgroup(&self) -> HashSet<usize> {
        self.own.values().copied().collect()
    }

    /// The containers that a set of cgroups names, from the outside in: of all hierarchies the
    /// longest chain.
    pub(super) fn chain<'p>(&self, cgroups: &'p CgroupSet) -> Vec<Link<'p>> {
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
    fn chain_in<'p>(&self, hierarchy: u32, path: &'p str) -> Vec<Link<'p>> {
        let mut chain: Vec<Link<'p>> = Vec::new();
        for step in prefixes(path) {
            let link = match self.own.get(&(hierarchy, step.prefix)) {
                Some(place) => Some(Link::Known(*place)),
                None => self.named(&step, chain.is_empty()),
            };
            let Some(link) = link else { continue };
            if !chain.iter().any(|other| other.is(&link)) {
                chain.push(link);
            }
        }
        chain
    }

    /// The container that a component names, where no recorded one was found to sit there.
    fn named<'p>(&self, step: &Step<'p>, outermost: bool) -> Option<Link<'p>> {
        let (engine, id) = step.recognise()?;
        let Some(places) = self.places.get(id) else {
            return Some(Link::Named(engine?, id, step.prefix));
        };
        let recorded = |place: &&usize| {
            self.known
                .get(**place)
                .is_some_and(|k| k.records(step.prefix))
        };
        if let Some(place) = places.iter().find(recorded) {
            return Some(Link::Known(*place));
        }
        // The bearer of the id is elsewhere. A name, unlike an id, may be given once more, but
        // only inside of another container.
        let again = !is_long_id(id) && !outermost;
        let engine = engine.filter(|_| again)?;
        Some(Link::Named(engine, id, step.prefix))
    }
}

/// The cgroups that are a container's own, by where its first process sits: of each path the
/// shallowest part that bears its id, or that was recorded. The container itself can only make
/// cgroups below.
fn own_cgroups<'w>(
    container: &KnownContainer,
    init: &'w Process,
) -> impl Iterator<Item = (u32, &'w str)> {
    let bears = |step: &Step| step.recognise().is_some_and(|(_, id)| id == container.id);
    init.cgroups.entries.iter().filter_map(move |entry| {
        let is_own = |step: &Step| {
            let deep = step.prefix.len() > 1;
            bears(step) || (deep && container.records(step.prefix))
        };
        let found = prefixes(&entry.path).find(is_own)?;
        Some((entry.hierarchy, found.prefix))
    })
}

//! Cgroups of the map document, and what they use.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::model::{CgroupSet, World};

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

/// State and use of the cgroups of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageDocument {
    /// The set's place in `cgroups`.
    pub cgroups: usize,
    /// Whether it is frozen, or below one that is.
    pub frozen: Option<bool>,
    /// Processes and threads in it and below.
    pub pids: Option<u64>,
    /// The most that are allowed.
    pub pids_max: Option<u64>,
    /// How many more may be made before a limit here or further up is met.
    pub pids_left: Option<u64>,
    /// Memory in use, in bytes.
    pub memory_bytes: Option<String>,
    /// The most that is allowed, in bytes.
    pub memory_max_bytes: Option<String>,
}

/// The distinct sets of cgroups, in the order in which processes name them.
#[derive(Default)]
pub(super) struct CgroupTable {
    pub(super) sets: Vec<CgroupSetDocument>,
    places: HashMap<Arc<CgroupSet>, usize>,
    /// The same by address: processes share their sets, and paths are long to compare.
    by_address: FxHashMap<*const CgroupSet, usize>,
}

impl CgroupTable {
    /// The place of a set, which is entered when it is new.
    pub(super) fn place(&mut self, set: &Arc<CgroupSet>) -> usize {
        let address = Arc::as_ptr(set);
        if let Some(place) = self.by_address.get(&address) {
            return *place;
        }
        let place = self.place_by_value(set);
        self.by_address.insert(address, place);
        place
    }

    fn place_by_value(&mut self, set: &Arc<CgroupSet>) -> usize {
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

    /// What is known of the use of the sets.
    pub(super) fn usage(&self, world: &World) -> Vec<UsageDocument> {
        let usage = &world.details().usage;
        let known = self.places.iter();
        let mut known: Vec<UsageDocument> = known
            .filter_map(|(set, place)| {
                let usage = usage.get(set)?;
                Some(UsageDocument {
                    cgroups: *place,
                    frozen: usage.frozen,
                    pids: usage.pids,
                    pids_max: usage.pids_max,
                    pids_left: usage.pids_left,
                    memory_bytes: usage.memory_bytes.map(|n| n.to_string()),
                    memory_max_bytes: usage.memory_max_bytes.map(|n| n.to_string()),
                })
            })
            .collect();
        known.sort_by_key(|usage| usage.cgroups);
        known
    }
}

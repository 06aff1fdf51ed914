//! Containers of other engines, as their own files on disk and the programs around them tell.
//!
//! One file per engine, in an ordered table. Nothing of a container is run. The files say what the
//! engines' sockets would; Docker is asked over its own where its files may not be read and the
//! socket may be used, by a member of its group. What is damaged, too long or of an
//! unknown version becomes a line of warnings, and attribution by cgroup goes on without it.
//!
//! An engine may run inside a container (kind: containerd in Docker). Its files are then read
//! through the root of its daemon, its PIDs count in the daemon's PID namespace, and it is
//! believed about processes in there only.

mod containerd;
mod crio;
mod docker;
mod docker_socket;
mod facts;
mod flatpak;
mod judge;
mod lxc;
mod nspawn;
mod places;
mod podman;
mod programs;
mod record;
mod snap;
mod storage;
mod tree;

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::attribute::KnownContainer;
use crate::discover::ProcRoot;
use crate::model::{Container, Engine, Host, Namespace, Process};

use facts::Facts;
use judge::{Clock, believe};
pub use places::{EngineRoot, EngineRoots};
use places::{Place, TABLE};
use record::{Record, Search, Wanted};
use tree::Tree;

/// What was found of other engines.
#[derive(Debug, Default)]
pub(super) struct EnginesRead {
    /// Containers whose first process lives.
    pub(super) known: Vec<KnownContainer>,
    /// What could not be read, one line each, escaped.
    pub(super) warnings: Vec<String>,
}

/// A place to read: which engine's, below which root, where.
type Spot = (usize, Rc<Tree>, Place);

/// Finds the containers of all engines among the processes of a host.
pub(super) fn read_all(
    proc: &ProcRoot,
    roots: &EngineRoots,
    processes: &[Process],
    namespaces: &[Namespace],
    host: &Host,
) -> EnginesRead {
    let mut facts = Facts::new(proc, processes, namespaces, host, roots.open(proc));
    let mut spots = usual_spots(&facts, roots, |_| true);
    add_daemons(&mut facts, &mut spots, Reach::Everything);
    let mut found = EnginesRead::default();
    let clock = Clock::now();
    for (row, tree, place) in spots {
        for record in read_spot(row, &tree, &place, Wanted::All, &mut found.warnings) {
            let init = facts.find(&tree, record.pid);
            let by = record.uid;
            let known = init.and_then(|init| believe(record, init, facts.parent(init), clock));
            found.add(known, by);
        }
    }
    if let Some(root) = facts.root.clone() {
        snap::find(&root, &facts, &mut found.known);
    }
    let by_program = programs::find(&mut facts, &found.known);
    found.known.extend(by_program);
    found
}

/// Finds the containers of some engines at the usual places, or those with certain ids, looking
/// at no process but their first ones.
pub(super) fn read_some(
    proc: &ProcRoot,
    roots: &EngineRoots,
    engines: &dyn Fn(Engine) -> bool,
    ids: Option<&BTreeSet<String>>,
    find: &mut dyn FnMut(u32) -> Option<(Process, Option<Process>)>,
) -> EnginesRead {
    let mut found = EnginesRead::default();
    let Some(tree) = roots.open(proc).map(Rc::new) else {
        return found;
    };
    let wanted = ids.map_or(Wanted::All, Wanted::Named);
    let clock = Clock::now();
    for (row, tree, place) in spots_below(&tree, roots, engines) {
        for record in read_spot(row, &tree, &place, wanted, &mut found.warnings) {
            let Some((init, parent)) = find(record.pid) else {
                continue;
            };
            let by = record.uid;
            found.add(believe(record, &init, parent.as_ref(), clock), by);
        }
    }
    found
}

/// A process of an LXC or Incus container, by name; its first one may be another.
pub(super) fn find_lxc_member(proc: &ProcRoot, roots: &EngineRoots, name: &str) -> Option<u32> {
    lxc::find_member(&roots.open(proc)?, name)
}

/// Finds containers by the programs and namespaces of a few processes, and the files that shims
/// among them name.
pub(super) fn read_near(
    proc: &ProcRoot,
    roots: &EngineRoots,
    processes: &[Process],
    namespaces: &[Namespace],
    host: &Host,
    known: &[KnownContainer],
) -> Vec<KnownContainer> {
    let mut facts = Facts::new(proc, processes, namespaces, host, roots.open(proc));
    let mut found = known.to_vec();
    let mut spots = Vec::new();
    add_daemons(&mut facts, &mut spots, Reach::OwnContainer);
    let clock = Clock::now();
    for (row, tree, place) in spots.into_iter().filter(|spot| spot.2.only.is_some()) {
        for record in read_spot(row, &tree, &place, Wanted::All, &mut Vec::new()) {
            // Docker's containers have their names elsewhere.
            let init = facts.find(&tree, record.pid);
            let init = init.filter(|_| record.engine != Engine::Docker);
            let new = init.filter(|init| found.iter().all(|k| k.init != init.pid));
            found.extend(new.and_then(|init| believe(record, init, facts.parent(init), clock)));
        }
    }
    if let Some(root) = facts.root.clone() {
        snap::find(&root, &facts, &mut found);
    }
    let by_program = programs::find(&mut facts, &found);
    found.extend(by_program);
    found.split_off(known.len())
}

impl EnginesRead {
    /// Keeps a container of which `by` wrote, unless its first process is that of one that was
    /// found before: places overlap, and Docker's containers are containerd's too.
    ///
    /// A user may run an engine of their own, but takes no id or name from a container that was
    /// found before, root's first of all.
    fn add(&mut self, container: Option<KnownContainer>, by: u32) {
        let Some(mut container) = container else {
            return;
        };
        let alike = |k: &&KnownContainer| k.engine == container.engine;
        let (mut others, mut named) = (self.known.iter(), self.known.iter().filter(alike));
        if others.any(|k| k.init == container.init) {
            return;
        }
        if by != 0 {
            if self
                .known
                .iter()
                .filter(alike)
                .any(|k| k.id == container.id)
            {
                return;
            }
            if named.any(|k| k.name == container.name) {
                container.name = Container::shorten_id(&container.id).to_owned();
            }
        }
        self.known.push(container);
    }
}

/// The places where packages and configuration put the files of engines.
fn usual_spots(facts: &Facts, roots: &EngineRoots, engines: fn(Engine) -> bool) -> Vec<Spot> {
    match &facts.root {
        Some(tree) => spots_below(tree, roots, &engines),
        None => Vec::new(),
    }
}

fn spots_below(
    tree: &Rc<Tree>,
    roots: &EngineRoots,
    engines: &dyn Fn(Engine) -> bool,
) -> Vec<Spot> {
    let mut spots = Vec::new();
    for (at, row) in TABLE.iter().enumerate() {
        if !row.engines.iter().any(|engine| engines(*engine)) {
            continue;
        }
        let given = roots
            .more
            .iter()
            .filter(|more| row.engines.contains(&more.engine));
        let places = given.map(Place::from).chain((row.usual)(tree));
        for place in places {
            add_spot(&mut spots, (at, Rc::clone(tree), place));
        }
    }
    spots
}

/// How much of a place that a daemon names is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All of it, and the usual places in the daemon's mount namespace.
    Everything,
    /// The one container that a shim is for.
    OwnContainer,
}

/// Adds the places that running daemons and shims name.
fn add_daemons(facts: &mut Facts, spots: &mut Vec<Spot>, reach: Reach) {
    if facts.root.is_none() {
        return;
    }
    for process in facts.processes {
        let row = TABLE
            .iter()
            .position(|row| row.daemons.contains(&process.comm.as_str()));
        let Some((at, row)) = row.and_then(|at| Some((at, TABLE.get(at)?))) else {
            continue;
        };
        let Some(tree) = facts.tree_of(process) else {
            continue;
        };
        let Some(daemon) = facts.daemon(process) else {
            continue;
        };
        let mut places = (row.hinted)(&tree, &daemon);
        if reach == Reach::Everything {
            places.iter_mut().for_each(|place| place.only = None);
            // Elsewhere than on the host the usual places were not looked at yet.
            if tree.nested.is_some() {
                places.extend((row.usual)(&tree));
            }
        }
        for place in places {
            add_spot(spots, (at, Rc::clone(&tree), place));
        }
    }
}

fn add_spot(spots: &mut Vec<Spot>, spot: Spot) {
    let same =
        |other: &Spot| other.0 == spot.0 && Rc::ptr_eq(&other.1, &spot.1) && other.2 == spot.2;
    if !spots.iter().any(same) {
        spots.push(spot);
    }
}

/// Reads one place.
fn read_spot(
    row: usize,
    tree: &Tree,
    place: &Place,
    wanted: Wanted,
    warnings: &mut Vec<String>,
) -> Vec<Record> {
    let mut search = Search::new(tree, wanted);
    if let Some(row) = TABLE.get(row) {
        (row.read)(&mut search, place);
    }
    warnings.append(&mut search.warnings);
    search.records
}

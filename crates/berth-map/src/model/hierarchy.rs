//! The tree of PID namespaces: from NSpid chains, from what the kernel said, and by inference.

use std::collections::BTreeMap;

use berth_base::{NamespaceId, NamespaceKind};
use rustc_hash::FxHashMap;

use super::{Host, Namespace, NamespaceSet, Process};

/// Makes the table of namespaces: every one that a process lives in or that a source named, with
/// level, parent and number of processes.
pub(super) fn link(
    processes: &[Process],
    host: &Host,
    named: Vec<Namespace>,
) -> BTreeMap<NamespaceId, Namespace> {
    let mut table: BTreeMap<NamespaceId, Namespace> = BTreeMap::new();
    for namespace in named {
        for related in [namespace.parent, namespace.owner].into_iter().flatten() {
            table
                .entry(related)
                .or_insert_with(|| Namespace::new(related));
        }
        let entry = table
            .entry(namespace.id)
            .or_insert_with(|| Namespace::new(namespace.id));
        entry.parent = namespace.parent;
        entry.owner = namespace.owner;
        entry.owner_uid = namespace.owner_uid;
    }
    for (set, (processes, level)) in count_by_set(processes) {
        for id in set.iter() {
            let entry = table.entry(id).or_insert_with(|| Namespace::new(id));
            entry.processes = entry.processes.saturating_add(processes);
            if id.kind == NamespaceKind::Pid {
                entry.level = Some(level);
            }
        }
    }
    if let Some(id) = host.pid_namespace {
        table.entry(id).or_insert_with(|| Namespace::new(id)).level = Some(0);
    }
    infer_parents(&mut table, processes, host);
    spread_levels(&mut table);
    table
}

/// How many processes live in the very same namespaces, and at which level those do. Most
/// processes of a host share theirs with others, and those that do are often neighbours.
fn count_by_set(processes: &[Process]) -> FxHashMap<NamespaceSet, (u32, usize)> {
    let mut counts: FxHashMap<NamespaceSet, (u32, usize)> = FxHashMap::default();
    for run in processes.chunk_by(|a, b| a.namespaces == b.namespaces && a.level() == b.level()) {
        let Some(first) = run.first() else { continue };
        let entry = counts.entry(first.namespaces).or_default();
        entry.0 = entry
            .0
            .saturating_add(u32::try_from(run.len()).unwrap_or(u32::MAX));
        entry.1 = first.level();
    }
    counts
}

/// Fills in parents that no source named.
///
/// At level 1 the parent is the host's namespace. Deeper, the nearest ancestor outside of the
/// namespace lives in the parent if it lives one level up: PID namespaces are entered by fork from
/// the one above or, by setns(2), from an ancestor, and orphans get a reaper of their own
/// namespace. Where all entered from further up, nothing can be inferred.
fn infer_parents(table: &mut BTreeMap<NamespaceId, Namespace>, processes: &[Process], host: &Host) {
    let find = |pid| {
        let at = processes.binary_search_by_key(&pid, |p: &Process| p.pid);
        at.ok().and_then(|at| processes.get(at))
    };
    let mut last_known = None;
    for process in processes.iter().filter(|process| process.level() > 0) {
        let Some(id) = process.pid_namespace().filter(|id| last_known != Some(*id)) else {
            continue;
        };
        let level = process.level();
        if table.get(&id).is_some_and(|n| n.parent.is_some()) {
            last_known = Some(id);
            continue;
        }
        let parent = if level == 1 {
            host.pid_namespace
        } else {
            let next = |p: &&Process| p.parent.and_then(find);
            std::iter::successors(Some(process), next)
                .take(processes.len())
                .find(|ancestor| ancestor.level() < level)
                .filter(|ancestor| ancestor.level() + 1 == level)
                .and_then(Process::pid_namespace)
        };
        if let Some(entry) = table.get_mut(&id) {
            entry.parent = parent;
        }
    }
}

/// Gives a level to PID namespaces that have no process, from their children or their parents.
fn spread_levels(table: &mut BTreeMap<NamespaceId, Namespace>) {
    spread_up(table);
    spread_down(table);
}

/// From the parents. What a chain of parents without levels learns, the next one finds.
fn spread_down(table: &mut BTreeMap<NamespaceId, Namespace>) {
    let unknown: Vec<NamespaceId> = table
        .values()
        .filter(|n| n.id.kind == NamespaceKind::Pid && n.level.is_none())
        .map(|n| n.id)
        .collect();
    for start in unknown {
        let mut chain = vec![start];
        let level = loop {
            let parent = chain.last().and_then(|id| table.get(id)?.parent);
            // The kernel makes no cycles; a damaged table must not hang us.
            let Some(parent) = parent.filter(|id| !chain.contains(id)) else {
                break None;
            };
            match table.get(&parent).and_then(|n| n.level) {
                Some(level) => break Some(level),
                None => chain.push(parent),
            }
        };
        let Some(level) = level else { continue };
        for (below, id) in (1..).zip(chain.iter().rev()) {
            if let Some(entry) = table.get_mut(id) {
                entry.level = entry.level.or(Some(level + below));
            }
        }
    }
}

/// From the children.
fn spread_up(table: &mut BTreeMap<NamespaceId, Namespace>) {
    let known: Vec<(NamespaceId, usize)> = table
        .values()
        .filter(|n| n.id.kind == NamespaceKind::Pid)
        .filter_map(|n| Some((n.parent?, n.level?)))
        .collect();
    for (mut id, mut level) in known {
        while level > 0 {
            level -= 1;
            let Some(entry) = table.get_mut(&id) else {
                break;
            };
            if entry.level.is_some() {
                break;
            }
            entry.level = Some(level);
            match entry.parent {
                Some(parent) => id = parent,
                None => break,
            }
        }
    }
}

/// See [`super::World::pid_namespaces`].
pub(super) fn pid_namespaces(
    table: &BTreeMap<NamespaceId, Namespace>,
    host: &Host,
    process: &Process,
) -> Vec<Option<NamespaceId>> {
    let mut chain = vec![None; process.pids.len()];
    let mut current = process.pid_namespace();
    for place in chain.iter_mut().rev() {
        *place = current;
        current = current.and_then(|id| table.get(&id)?.parent);
    }
    if let Some(outermost) = chain.first_mut() {
        *outermost = host.pid_namespace.or(*outermost);
    }
    chain
}

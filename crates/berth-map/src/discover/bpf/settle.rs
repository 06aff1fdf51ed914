//! What the records alone do not say is asked of procfs: the paths of each distinct set of
//! cgroups, a process whose namespaces changed while they were read, and namespaces above those
//! that have processes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use berth_base::{HostPid, NamespaceKind};
use rustc_hash::FxHashMap;
use rustix::io::Errno;

use super::super::pid_dir::Reader;
use super::super::threads::{find, is_stray};
use super::super::{ProcRoot, hierarchy, parse, proc_root};
use super::Beside;
use super::gather::{Extra, Gather, Gathered};
use super::offsets::Offsets;
use super::tasks::Tasks;
use crate::model::{CgroupSet, Links, Namespace, NamespaceSet, Process, Thread, WantedThreads};

/// Completes what was gathered.
pub(super) fn settle(
    proc: &ProcRoot,
    gather: Gather,
    offsets: Offsets,
    wanted: WantedThreads,
) -> Tasks {
    let base = gather.base();
    let mut gathered = gather.gathered;
    reread_raced(proc, &mut gathered);
    find_above(proc, &mut gathered);
    let sets = read_sets(proc, &gathered);
    let by_global: FxHashMap<u32, HostPid> = match base {
        0 => FxHashMap::default(),
        _ => {
            let all = gathered.processes.iter().zip(&gathered.extras);
            all.map(|(process, extra)| (extra.global_pid, process.pid))
                .collect()
        }
    };
    let locate = |global: u32| match base {
        0 => HostPid::new(global),
        _ => by_global.get(&global).copied(),
    };
    let mut processes = gathered.processes;
    for (process, extra) in processes.iter_mut().zip(&gathered.extras) {
        if let Some(cgroups) = sets.get(extra.set).and_then(Option::as_ref) {
            process.cgroups = Arc::clone(cgroups);
        }
        process.parent = locate(extra.global_parent);
    }
    if sets.iter().any(Option::is_none) {
        // All of a set are gone when it cannot be read.
        let mut extras = gathered.extras.iter();
        let is_there = |extra: &Extra| sets.get(extra.set).is_some_and(Option::is_some);
        processes.retain(|_| extras.next().is_some_and(is_there));
    }
    let unseen = read_unseen(proc, &mut processes);
    let mut threads: BTreeMap<HostPid, Vec<Thread>> = BTreeMap::new();
    for (thread, extra) in gathered.threads {
        let process = locate(extra.global_pid).and_then(|pid| find(&processes, pid));
        if let Some(process) = process
            && (wanted == WantedThreads::All || is_stray(process, &thread.namespaces))
        {
            threads.entry(process.pid).or_default().push(thread);
        }
    }
    let beside = Beside {
        namespaces: gathered.namespaces.into_values().collect(),
        threads,
        for_children: gathered.for_children,
        files: None,
        unseen: unseen.iter().map(|(pid, _)| *pid).collect(),
        offsets,
        base,
    };
    let threaded = unseen.into_iter().filter(|(_, count)| *count > 1);
    Tasks {
        processes,
        threaded: threaded.map(|(pid, _)| pid).collect(),
        beside,
    }
}

/// Reads PID 1 and parents that the pass did not show: a process may be born behind it while it
/// lasts, and a kernel may keep some from BPF that procfs shows. Returns them with the number of
/// their threads.
fn read_unseen(proc: &ProcRoot, processes: &mut Vec<Process>) -> Vec<(HostPid, u32)> {
    let mut missing: BTreeSet<HostPid> = HostPid::new(1).into_iter().collect();
    missing.extend(processes.iter().filter_map(|process| process.parent));
    missing.retain(|pid| find(processes, *pid).is_none());
    let mut reader = Reader::new(proc);
    let mut unseen = BTreeMap::new();
    while let Some(pid) = missing.pop_first() {
        let Ok(Some((process, threads))) = reader.read_counted(pid) else {
            continue;
        };
        unseen.insert(pid, threads);
        if let Some(parent) = process.parent
            && !unseen.contains_key(&parent)
            && find(processes, parent).is_none()
        {
            missing.insert(parent);
        }
        let place = processes.partition_point(|other| other.pid < pid);
        processes.insert(place, process);
    }
    unseen.into_iter().collect()
}

/// Reads tasks anew whose namespaces changed while they were read.
fn reread_raced(proc: &ProcRoot, gathered: &mut Gathered) {
    let mut reader = Reader::new(proc);
    let mut asked = Vec::new();
    let mut reread = |pid: HostPid, set: &mut NamespaceSet| match reader.read(pid) {
        Ok(Some(fresh)) => {
            *set = fresh.namespaces;
            asked.extend(fresh.namespaces.iter().map(|id| (pid, id)));
            fresh.links
        }
        // Gone, or refused: what holds for certain are the PID and user namespaces.
        Ok(None) | Err(_) => {
            let kinds = [NamespaceKind::Pid, NamespaceKind::User];
            *set = kinds.into_iter().filter_map(|kind| set.of(kind)).collect();
            Links::Denied
        }
    };
    let is_raced = |extra: &Extra| extra.raced;
    let processes = gathered.processes.iter_mut().zip(&gathered.extras);
    for (process, _) in processes.filter(|p| is_raced(p.1)) {
        process.links = reread(process.pid, &mut process.namespaces);
    }
    for (thread, _) in gathered.threads.iter_mut().filter(|t| is_raced(&t.1)) {
        reread(thread.tid, &mut thread.namespaces);
    }
    for (pid, id) in asked {
        if !gathered.namespaces.contains_key(&id) {
            for namespace in hierarchy::ask_chain(proc, pid, id) {
                let known = gathered.namespaces.entry(namespace.id);
                known.or_insert(namespace);
            }
        }
    }
}

/// Asks the kernel about namespaces above those of processes, where no process lives in them.
fn find_above(proc: &ProcRoot, gathered: &mut Gathered) {
    for (id, above) in &gathered.above {
        if gathered.namespaces.contains_key(id) {
            continue;
        }
        for namespace in hierarchy::ask_chain(proc, above.through, above.from) {
            let known = gathered.namespaces.entry(namespace.id);
            known.or_insert(namespace);
        }
        if above.parent.is_some() && !gathered.namespaces.contains_key(id) {
            let mut namespace = Namespace::new(*id);
            namespace.parent = above.parent;
            gathered.namespaces.insert(*id, namespace);
        }
    }
}

/// Reads each distinct set of cgroups through one of its processes; `None` when all are gone.
fn read_sets(proc: &ProcRoot, gathered: &Gathered) -> Vec<Option<Arc<CgroupSet>>> {
    let mut known = FxHashMap::default();
    let mut buffer = Vec::new();
    let mut read = |pid: HostPid| {
        let path = format!("{pid}/cgroup");
        match proc_root::read_file(proc, path.as_str(), &mut buffer) {
            Ok(()) => {}
            // A kernel without cgroups has no such file, a process that is gone neither.
            Err(Errno::ACCESS) => buffer.clear(),
            Err(_) => return None,
        }
        if let Some(set) = known.get(buffer.as_slice()) {
            return Some(Arc::clone(set));
        }
        let set = Arc::new(parse::parse_cgroup(&buffer));
        known.insert(buffer.clone(), Arc::clone(&set));
        Some(set)
    };
    let mut sets = Vec::with_capacity(gathered.sets.len());
    for (place, (_, oldest)) in gathered.sets.iter().enumerate() {
        let mut found = read(*oldest);
        if found.is_none() {
            let all = gathered.processes.iter().zip(&gathered.extras);
            let mut members = all.filter(|(_, extra)| extra.set == place);
            found = members.find_map(|(process, _)| read(process.pid));
        }
        sets.push(found);
    }
    sets
}

//! What the records alone do not say is asked of procfs: the paths of each distinct set of
//! cgroups, a process whose namespaces changed while they were read, and namespaces above those
//! that have processes.

use std::collections::HashMap;
use std::sync::Arc;

use berth_base::{HostPid, NamespaceKind};
use rustix::io::Errno;

use super::super::pid_dir::Reader;
use super::super::{ProcRoot, hierarchy, parse, proc_root};
use super::gather::{Extra, Gather, Gathered};
use super::tasks::Tasks;
use crate::model::{CgroupSet, Links, Namespace, NamespaceSet, Process, Thread, WantedThreads};

/// Completes what was gathered.
pub(super) fn settle(proc: &ProcRoot, gather: Gather, threads: WantedThreads) -> Tasks {
    let outermost = gather.is_outermost();
    let mut gathered = gather.gathered;
    reread_raced(proc, &mut gathered);
    find_above(proc, &mut gathered);
    let sets = read_sets(proc, &gathered);
    let by_global: HashMap<u32, HostPid> = match outermost {
        true => HashMap::new(),
        false => {
            let all = gathered.processes.iter();
            all.map(|(process, extra)| (extra.global_pid, process.pid))
                .collect()
        }
    };
    let locate = |global: u32| match outermost {
        true => HostPid::new(global),
        false => by_global.get(&global).copied(),
    };
    let mut tasks = Tasks {
        namespaces: gathered.namespaces.into_values().collect(),
        for_children: gathered.for_children,
        ..Tasks::default()
    };
    tasks.processes.reserve(gathered.processes.len());
    for (mut process, extra) in gathered.processes {
        // All of a set are gone when it cannot be read: then so is this process.
        let Some(cgroups) = sets.get(extra.set).and_then(Option::as_ref) else {
            continue;
        };
        process.cgroups = Arc::clone(cgroups);
        process.parent = locate(extra.global_parent);
        tasks.processes.push(process);
    }
    for (thread, extra) in gathered.threads {
        if let Some(pid) = locate(extra.global_pid)
            && is_wanted(&tasks.processes, pid, &thread, threads)
        {
            tasks.threads.entry(pid).or_default().push(thread);
        }
    }
    tasks
}

/// Whether a thread belongs to a process that was read, and lives elsewhere if only such are
/// wanted.
fn is_wanted(processes: &[Process], pid: HostPid, thread: &Thread, threads: WantedThreads) -> bool {
    let found = processes.binary_search_by_key(&pid, |process| process.pid);
    let Some(process) = found.ok().and_then(|at| processes.get(at)) else {
        return false;
    };
    threads == WantedThreads::All || thread.namespaces != process.namespaces
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
    for (process, _) in gathered.processes.iter_mut().filter(|p| is_raced(&p.1)) {
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
    let mut known = HashMap::new();
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
            let all = gathered.processes.iter();
            let mut members = all.filter(|(_, extra)| extra.set == place);
            found = members.find_map(|(process, _)| read(process.pid));
        }
        sets.push(found);
    }
    sets
}

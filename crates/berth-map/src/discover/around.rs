//! A snapshot of one process and its surroundings, for a translation that does not grow with the
//! host.
//!
//! Read are: the process; its PID namespaces upwards, by ioctl; the run file of each container
//! that its cgroups name, or all run files when a PID namespace stays unexplained; the first
//! process of each such container; and, where a foreign engine's cgroup is met, the ancestors up
//! to where that container began. Where the ioctl does not answer, the whole host is read.

use std::collections::BTreeSet;

use berth_base::{HostPid, NamespaceId};

use super::berth::{Judged, StateRead, read_container, read_containers};
use super::pid_dir::Reader;
use super::{DiscoverError, Sources, hierarchy, procfs};
use crate::attribute::containers_in_path;
use crate::model::{Details, Extent, Host, Namespace, Parts, Process, Source, World};

/// A chain of ancestors longer than this is cut; containers do not begin so far up.
const MAX_ANCESTORS: usize = 1024;

/// See [`World::around`].
pub(super) fn read(sources: &Sources, pid: HostPid) -> Result<Option<World>, DiscoverError> {
    let mut reader = Reader::new(&sources.proc);
    let Some(process) = reader.read(pid)? else {
        return Ok(None);
    };
    let namespaces = match process.pid_namespace() {
        Some(id) if process.level() > 0 => hierarchy::ask_chain(&sources.proc, pid, id),
        _ => Vec::new(),
    };
    let chain = pid_chain(&process, &namespaces);
    if process.pid_namespace().is_some() && chain.len() < process.pids.len() {
        // The kernel did not name every namespace above (a fake procfs, one of another PID
        // namespace, a process that just ended): only the whole host can tell.
        let world = World::discover(sources)?;
        return Ok(world.process(pid).is_some().then_some(world));
    }
    let host = Host {
        pid_namespace: chain.get(process.level()).copied(),
        boot_id: procfs::read_boot_id(&sources.proc),
        ..Host::default()
    };
    let (judged, mut warnings) = find_containers(sources, &process, &chain, &host);
    let mut processes = ancestors(&mut reader, &process, &judged);
    for container in &judged.live {
        // The first process may be what was asked for, or gone since.
        if container.init != pid
            && let Ok(Some(init)) = reader.read(container.init)
        {
            processes.push(init);
        }
    }
    processes.push(process);
    warnings.extend(judged.warnings);
    Ok(Some(World::assemble(Parts {
        source: Source::Procfs,
        extent: Extent::OneProcess,
        host,
        processes,
        namespaces,
        known: judged.live,
        stale: judged.stale,
        details: Details::default(),
        warnings,
    })))
}

/// The PID namespaces of a process, innermost first, as far as the kernel told.
fn pid_chain(process: &Process, namespaces: &[Namespace]) -> Vec<NamespaceId> {
    let up = |id: &NamespaceId| namespaces.iter().find(|n| n.id == *id)?.parent;
    std::iter::successors(process.pid_namespace(), up)
        .take(process.pids.len())
        .collect()
}

/// Finds the containers of Berth that a process can belong to.
fn find_containers(
    sources: &Sources,
    process: &Process,
    chain: &[NamespaceId],
    host: &Host,
) -> (Judged, Vec<String>) {
    let Some(state_dir) = &sources.state_dir else {
        return (Judged::default(), Vec::new());
    };
    let mut ids = BTreeSet::new();
    for entry in &process.cgroups.entries {
        ids.extend(containers_in_path(&entry.path).map(|m| m.id));
    }
    let mut read = StateRead::default();
    for id in ids {
        let one = read_container(state_dir, id);
        read.runs.extend(one.runs);
        read.warnings.extend(one.warnings);
    }
    // Level 0 is nobody's; every deeper namespace wants an explanation.
    let below_host = || chain.iter().take(process.level());
    let explained = |id| read.runs.iter().any(|r| r.namespaces.contains(id));
    if !below_host().all(explained) {
        let all = read_containers(state_dir);
        let relevant = all.runs.into_iter().filter(|run| {
            let named = read.runs.iter().any(|r| r.id == run.id);
            !named && below_host().any(|id| run.namespaces.contains(id))
        });
        let relevant: Vec<_> = relevant.collect();
        read.runs.extend(relevant);
        read.warnings = all.warnings;
    }
    let judged = read.judge(&sources.proc, host.boot_id.as_deref());
    (judged, read.warnings)
}

/// Reads the ancestors of a process while they sit in containers of foreign engines; of a zombie,
/// which may show no cgroup, the parent at least.
fn ancestors(reader: &mut Reader, process: &Process, judged: &Judged) -> Vec<Process> {
    let foreign = |p: &Process| {
        let known = |id: &str| judged.live.iter().any(|k| k.id == id);
        let mut paths = p.cgroups.entries.iter();
        paths.any(|e| containers_in_path(&e.path).any(|m| !known(m.id)))
    };
    let mut found: Vec<Process> = Vec::new();
    let mut next = (foreign(process) || process.is_zombie())
        .then_some(process.parent)
        .flatten();
    while let Some(pid) = next {
        let known = pid == process.pid || found.iter().any(|p| p.pid == pid);
        if known || found.len() >= MAX_ANCESTORS {
            break;
        }
        let Ok(Some(parent)) = reader.read(pid) else {
            break;
        };
        next = foreign(&parent).then_some(parent.parent).flatten();
        found.push(parent);
    }
    found
}

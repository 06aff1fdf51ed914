//! A snapshot of one process and its surroundings, for a translation that does not grow with the
//! host.
//!
//! Read are: the process; its PID namespaces upwards, by ioctl; the run file, or the state file of
//! another engine, of each container that its cgroups name; all run files, and the PID 1 with its
//! parent, of each PID namespace that stays unexplained; the first process of each container found;
//! and, where a foreign engine's cgroup is met, the ancestors up to where that container began.
//! Where the ioctl does not answer, or an id in a cgroup path is in no file at a usual place, the
//! whole host is read.

use std::collections::BTreeSet;

use berth_base::state::RunFile;
use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_sys::nsfs;

use super::berth::{Judged, StateRead, read_container, read_containers};
use super::pid_dir::Reader;
use super::{DiscoverError, Sources, engines, hierarchy, procfs};
use crate::attribute::{KnownContainer, containers_in_path};
use crate::model::{Details, Engine, Extent, Host, Namespace, Parts, Process, Source, World};

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
    // The kernel did not name every namespace above (a fake procfs, one of another PID namespace,
    // a process that just ended): only the whole host can tell.
    if process.pid_namespace().is_some() && chain.len() < process.pids.len() {
        return whole(sources, pid);
    }
    let host = read_host(sources, &mut reader, chain.get(process.level()).copied());
    let (judged, mut warnings) = find_containers(sources, &process, &chain, &host);
    let mut near = Near {
        sources,
        reader,
        host,
        namespaces,
        known: judged.live,
        processes: vec![process],
    };
    if !near.find_foreign(&chain) {
        return whole(sources, pid);
    }
    near.read_first_processes();
    warnings.extend(judged.warnings);
    Ok(Some(World::assemble(Parts {
        source: Source::Procfs,
        extent: Extent::OneProcess,
        host: near.host,
        processes: near.processes,
        namespaces: near.namespaces,
        known: near.known,
        stale: judged.stale,
        details: Details::default(),
        warnings,
    })))
}

/// The living containers of an engine, by its files at the usual places.
pub(crate) fn read_foreign(sources: &Sources, engine: Engine) -> Vec<KnownContainer> {
    let mut reader = Reader::new(&sources.proc);
    let mut find = |pid: u32| {
        let init = reader.read(HostPid::new(pid)?).ok().flatten()?;
        let parent = init.parent.and_then(|pid| reader.read(pid).ok().flatten());
        Some((init, parent))
    };
    engines::read_some(
        &sources.proc,
        &sources.roots,
        &|e| e == engine,
        None,
        &mut find,
    )
    .known
}

/// A process of an LXC or Incus container, by name; its first one may be another.
pub(crate) fn find_lxc_member(sources: &Sources, name: &str) -> Option<HostPid> {
    HostPid::new(engines::find_lxc_member(
        &sources.proc,
        &sources.roots,
        name,
    )?)
}

/// Everything, where a part does not tell.
fn whole(sources: &Sources, pid: HostPid) -> Result<Option<World>, DiscoverError> {
    let world = World::discover(sources)?;
    Ok(world.process(pid).is_some().then_some(world))
}

/// What has to be known of the host to tell a container's namespaces from its own.
fn read_host(sources: &Sources, reader: &mut Reader, pid_namespace: Option<NamespaceId>) -> Host {
    let first = HostPid::new(1).and_then(|pid| reader.read(pid).ok().flatten());
    Host {
        pid_namespace,
        namespaces: first.map(|p| p.namespaces).unwrap_or_default(),
        boot_id: procfs::read_boot_id(&sources.proc),
        ..Host::default()
    }
}

/// What was read around one process, which comes first.
struct Near<'s> {
    sources: &'s Sources,
    reader: Reader<'s>,
    host: Host,
    namespaces: Vec<Namespace>,
    known: Vec<KnownContainer>,
    processes: Vec<Process>,
}

impl Near<'_> {
    /// Finds the containers of other engines that the process can belong to. False where the
    /// whole host has to be read for it.
    fn find_foreign(&mut self, chain: &[NamespaceId]) -> bool {
        let zombie = self.processes.first().is_some_and(Process::is_zombie);
        if zombie {
            self.read_parent(0);
        }
        let ids = self.foreign_ids();
        if !ids.is_empty() {
            self.read_files(&|_| true, Some(&ids), None);
        }
        self.read_ancestors();
        let Some(inits) = self.read_unexplained(chain) else {
            return false;
        };
        if !inits.is_empty() {
            // Docker's cgroups always bear the id.
            self.read_files(&|engine| engine != Engine::Docker, None, Some(&inits));
        }
        self.read_sandbox();
        self.find_nearby();
        let is_known = |id: &String| self.known.iter().any(|k| k.id == *id);
        // Without privilege no file of an engine could be read on the whole host either.
        let root = rustix::process::geteuid().is_root();
        !root || ids.iter().filter(|id| id.len() == 64).all(is_known)
    }

    /// The ids in the cgroups read so far that no container found so far has.
    fn foreign_ids(&self) -> BTreeSet<String> {
        let entries = self.processes.iter().flat_map(|p| &p.cgroups.entries);
        let found = entries.flat_map(|entry| containers_in_path(&entry.path));
        let ids = found.map(|found| found.id);
        let unknown = |id: &&str| self.known.iter().all(|k| k.id != *id);
        ids.filter(unknown).map(str::to_owned).collect()
    }

    /// Reads state files at the usual places; of those with certain ids, or with certain first
    /// processes.
    fn read_files(
        &mut self,
        wanted: &dyn Fn(Engine) -> bool,
        ids: Option<&BTreeSet<String>>,
        inits: Option<&BTreeSet<u32>>,
    ) {
        let reader = &mut self.reader;
        let mut find = |pid: u32| {
            if inits.is_some_and(|inits| !inits.contains(&pid)) {
                return None;
            }
            let init = reader.read(HostPid::new(pid)?).ok().flatten()?;
            let parent = init.parent.and_then(|pid| reader.read(pid).ok().flatten());
            Some((init, parent))
        };
        let found = engines::read_some(
            &self.sources.proc,
            &self.sources.roots,
            wanted,
            ids,
            &mut find,
        );
        let known = &self.known;
        let new = |k: &KnownContainer| known.iter().all(|old| old.init != k.init);
        let new: Vec<_> = found.known.into_iter().filter(new).collect();
        self.known.extend(new);
    }

    /// Reads the ancestors of the process while they sit in cgroups of containers that are not
    /// known by any file.
    fn read_ancestors(&mut self) {
        for at in 0..MAX_ANCESTORS {
            let Some(process) = self.processes.get(at) else {
                return;
            };
            if self.foreign_in(process) {
                self.read_parent(at);
            }
        }
    }

    /// Whether a process sits in a cgroup of a container that no file told of.
    fn foreign_in(&self, process: &Process) -> bool {
        let unknown = |id: &str| self.known.iter().all(|k| k.id != id);
        let mut paths = process.cgroups.entries.iter();
        paths.any(|e| containers_in_path(&e.path).any(|m| unknown(m.id)))
    }

    /// Reads PID 1, and its parent, of each of the process's PID namespaces that no container
    /// found so far owns; returns their PIDs. `None` where the kernel does not say who that is.
    fn read_unexplained(&mut self, chain: &[NamespaceId]) -> Option<BTreeSet<u32>> {
        let process = self.processes.first()?;
        let (pid, level) = (process.pid, process.level());
        let mut inits = BTreeSet::new();
        let mut descriptor = match chain.first() {
            Some(id) if level > 0 => hierarchy::open_verified(&self.sources.proc, pid, *id)?,
            _ => return Some(inits),
        };
        for id in chain.iter().take(level) {
            let own = |k: &KnownContainer| k.own_pid_namespace && k.pid_namespace == Some(*id);
            if !self.known.iter().any(own) {
                let first = HostPid::new(nsfs::translate_pid_from(&descriptor, 1).ok()?)?;
                let init = self.reader.read(first).ok().flatten()?;
                // The ioctl counts in the caller's PID namespace, the procfs may in another.
                if !init.is_namespace_init() || init.pid_namespace() != Some(*id) {
                    return None;
                }
                inits.insert(first.get());
                self.processes.push(init);
                self.read_parent(self.processes.len() - 1);
            }
            descriptor = match nsfs::open_parent(&descriptor) {
                Ok(parent) => parent,
                Err(_) => break,
            };
        }
        Some(inits)
    }

    /// Reads the ancestors of a process in a mount namespace of its own, up to the one that made
    /// it.
    fn read_sandbox(&mut self) {
        let mount = |p: &Process| p.namespaces.of(NamespaceKind::Mnt);
        let own = self.processes.first().and_then(mount);
        if own.is_none() || own == self.host.namespaces.of(NamespaceKind::Mnt) {
            return;
        }
        let mut at = 0;
        for _ in 0..MAX_ANCESTORS {
            if self.processes.get(at).and_then(mount) != own {
                return;
            }
            let Some(parent) = self.read_parent(at) else {
                return;
            };
            at = parent;
        }
    }

    /// Reads the parent of a process at a place in the list; returns the place of the parent.
    fn read_parent(&mut self, at: usize) -> Option<usize> {
        let parent = self.processes.get(at)?.parent?;
        if let Some(there) = self.processes.iter().position(|p| p.pid == parent) {
            return Some(there);
        }
        let parent = self.reader.read(parent).ok().flatten()?;
        self.processes.push(parent);
        Some(self.processes.len() - 1)
    }

    /// Finds containers by the programs that made them, and by their shims.
    fn find_nearby(&mut self) {
        let mut sorted = self.processes.clone();
        sorted.sort_by_key(|p| p.pid);
        let found = engines::read_near(
            &self.sources.proc,
            &self.sources.roots,
            &sorted,
            &self.namespaces,
            &self.host,
            &self.known,
        );
        self.known.extend(found);
    }

    /// Reads the first processes of containers; one may be what was asked for, or gone since.
    fn read_first_processes(&mut self) {
        for container in &self.known {
            let is_read = self.processes.iter().any(|p| p.pid == container.init);
            if !is_read && let Ok(Some(init)) = self.reader.read(container.init) {
                self.processes.push(init);
            }
        }
    }
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
    // Level 0 is nobody's; every deeper namespace wants an explanation: whose it is, since those
    // who joined it have it in their run files too.
    let below_host = || chain.iter().take(process.level());
    let owns = |run: &RunFile, id| run.own_pid_namespace && run.namespaces.contains(id);
    let explained = |id| read.runs.iter().any(|run| owns(run, id));
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

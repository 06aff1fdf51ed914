//! The world as a container sees it: the processes of one PID namespace and of those below it, by
//! the PIDs that they have there. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use crate::attribute::KnownContainer;
use crate::model::{Container, Details, Host, Namespace, Parts, Process, Thread, World};

/// One PID namespace of a world, and everything in it.
struct Inside<'w> {
    world: &'w World,
    namespace: NamespaceId,
    level: usize,
    /// PIDs there, by host PID.
    pids: HashMap<HostPid, HostPid>,
}

impl World {
    /// This world as the processes of a PID namespace see it: those that live there or further in,
    /// with the PIDs that they have there, and the namespaces of its PID 1 in the place of the
    /// host's. `None` where there is no such namespace, or nobody lives in it.
    ///
    /// Cgroups are left out, since their paths are the host's.
    pub fn inside(&self, namespace: NamespaceId) -> Option<Self> {
        if namespace.kind != NamespaceKind::Pid {
            return None;
        }
        let level = self.namespace(namespace)?.level?;
        let lives = |p: &&Process| self.pid_namespaces(p).get(level) == Some(&Some(namespace));
        let residents = self.processes().iter().filter(lives);
        let pids = residents.filter_map(|p| Some((p.pid, pid_at(&p.pids, level)?)));
        let inside = Inside {
            world: self,
            namespace,
            level,
            pids: pids.collect(),
        };
        (!inside.pids.is_empty()).then(|| Self::assemble(inside.parts()))
    }
}

impl Inside<'_> {
    fn parts(&self) -> Parts {
        let all = self.world.processes().iter();
        let processes: Vec<Process> = all.filter_map(|p| self.process(p)).collect();
        let first = processes.iter().find(|p| p.pid.get() == 1);
        let namespaces = first.or(processes.first()).map(|p| p.namespaces);
        let mut namespaces = namespaces.unwrap_or_default();
        namespaces.insert(self.namespace);
        let lived: HashSet<NamespaceId> =
            processes.iter().flat_map(|p| p.namespaces.iter()).collect();
        Parts {
            source: self.world.source(),
            extent: self.world.extent(),
            host: Host {
                pid_namespace: Some(self.namespace),
                namespaces,
                hostname: None,
                ..self.world.host().clone()
            },
            namespaces: self.namespaces(&lived),
            known: self.containers(),
            stale: Vec::new(),
            details: self.details(&lived),
            warnings: Vec::new(),
            processes,
        }
    }

    fn process(&self, process: &Process) -> Option<Process> {
        let parent = process.parent.and_then(|parent| self.pids.get(&parent));
        Some(Process {
            pid: *self.pids.get(&process.pid)?,
            pids: process.pids.get(self.level..)?.to_vec(),
            parent: parent.copied(),
            cgroups: Arc::default(),
            ..process.clone()
        })
    }

    /// The namespaces that somebody here lives in; what is above them does not exist here.
    fn namespaces(&self, lived: &HashSet<NamespaceId>) -> Vec<Namespace> {
        let known = |id: Option<NamespaceId>| id.filter(|id| lived.contains(id));
        let cut = |n: Namespace| Namespace {
            parent: known(n.parent).filter(|_| n.id != self.namespace),
            owner: known(n.owner),
            ..n
        };
        let kept = self.world.namespaces().filter(|n| lived.contains(&n.id));
        kept.cloned().map(cut).collect()
    }

    /// The containers in here, by the namespaces that were made for them.
    fn containers(&self) -> Vec<KnownContainer> {
        let deeper =
            |c: &&Container| c.own_pid_namespace && c.pid_namespace != Some(self.namespace);
        let all = self.world.containers().iter().filter(deeper);
        all.filter_map(|container| {
            Some(KnownContainer {
                engine: container.engine,
                id: container.id.clone(),
                name: container.name.clone(),
                init: *self.pids.get(&container.init?)?,
                pid_namespace: container.pid_namespace,
                own_pid_namespace: true,
                cgroup_dirs: Vec::new(),
                image: container.image.clone(),
                pod: container.pod.clone(),
                evidence: container.evidence.first()?.clone(),
            })
        })
        .collect()
    }

    fn details(&self, lived: &HashSet<NamespaceId>) -> Details {
        let world = self.world;
        let threads = world.details().threads.iter().filter_map(|(pid, all)| {
            let all = all.iter().filter_map(|thread| {
                Some(Thread {
                    tid: pid_at(&thread.tids, self.level)?,
                    tids: thread.tids.get(self.level..)?.to_vec(),
                    ..thread.clone()
                })
            });
            Some((*self.pids.get(pid)?, all.collect()))
        });
        let networks = world.details().networks.iter();
        let networks = networks
            .filter(|(id, _)| lived.contains(id))
            .map(|(id, network)| {
                let mut network = network.clone();
                for peer in network
                    .interfaces
                    .iter_mut()
                    .filter_map(|i| i.peer.as_mut())
                {
                    // The other end is out of sight.
                    peer.namespace = peer.namespace.filter(|id| lived.contains(id));
                }
                (*id, network)
            });
        Details {
            threads: threads.collect(),
            networks: networks.collect(),
            ..Details::default()
        }
    }
}

fn pid_at(pids: &[u32], level: usize) -> Option<HostPid> {
    HostPid::new(*pids.get(level)?)
}

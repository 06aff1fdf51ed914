//! The processes and namespaces that a scope selects.

use std::collections::{BTreeSet, HashMap, HashSet};

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use super::{Scope, ScopeError};
use crate::model::{Container, ContainerIndex, Engine, Holder, Process, World};
use crate::translate::{PidError, PidSpec};

/// Part of a world. The default is all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    part: Option<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    shown: HashSet<HostPid>,
    context: HashSet<HostPid>,
    namespaces: BTreeSet<NamespaceId>,
}

/// What a process is to a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It was asked for.
    Shown,
    /// An ancestor of one, or a holder of a namespace: shown so that one sees where that is.
    Context,
    /// Not part of it.
    Hidden,
}

impl Selection {
    /// No part at all.
    pub fn nothing() -> Self {
        let part = Part {
            shown: HashSet::new(),
            context: HashSet::new(),
            namespaces: BTreeSet::new(),
        };
        Self { part: Some(part) }
    }

    /// Whether this is the whole world.
    pub fn is_whole(&self) -> bool {
        self.part.is_none()
    }

    /// How many processes were asked for; all, when absent.
    pub fn shown(&self) -> Option<usize> {
        self.part.as_ref().map(|part| part.shown.len())
    }

    /// What a process is to it.
    pub fn role(&self, pid: HostPid) -> Role {
        match &self.part {
            None => Role::Shown,
            Some(part) if part.shown.contains(&pid) => Role::Shown,
            Some(part) if part.context.contains(&pid) => Role::Context,
            Some(_) => Role::Hidden,
        }
    }

    /// Whether a process is part of it, asked for or as context.
    pub fn has(&self, pid: HostPid) -> bool {
        self.role(pid) != Role::Hidden
    }

    /// Whether a namespace is part of it: asked for, lived in by a process that is, around or
    /// owning one that is, or held by a process that was asked for.
    pub fn has_namespace(&self, id: NamespaceId) -> bool {
        let part = self.part.as_ref();
        part.is_none_or(|part| part.namespaces.contains(&id))
    }
}

impl World {
    /// The part of this world that a scope means.
    pub fn select(&self, scope: &Scope) -> Result<Selection, ScopeError> {
        let mut picker = Picker::new(self);
        match scope {
            Scope::Engine(engine) => picker.pick_engine(*engine)?,
            Scope::Container(text) => picker.pick_container(text)?,
            Scope::Process(spec) => picker.pick_process(spec)?,
            Scope::Namespace(id) => picker.pick_namespace(*id)?,
        }
        Ok(picker.finish())
    }
}

struct Picker<'w> {
    world: &'w World,
    part: Part,
}

impl<'w> Picker<'w> {
    fn new(world: &'w World) -> Self {
        Self {
            world,
            part: Part {
                shown: HashSet::new(),
                context: HashSet::new(),
                namespaces: BTreeSet::new(),
            },
        }
    }

    fn pick_engine(&mut self, engine: Engine) -> Result<(), ScopeError> {
        let all = self.world.indexed_containers();
        let of_engine: HashSet<ContainerIndex> = all
            .filter(|(_, c)| c.engine == engine || engine == Engine::Kubernetes && is_in_pod(c))
            .map(|(index, _)| index)
            .collect();
        self.pick_owned(&of_engine);
        if self.part.shown.is_empty() {
            return Err(ScopeError::NoneOfEngine { engine });
        }
        Ok(())
    }

    fn pick_container(&mut self, text: &str) -> Result<(), ScopeError> {
        let index = self.world.find_container(text)?;
        self.pick_owned(&HashSet::from([index]));
        if self.part.shown.is_empty() {
            let container = self.world.container_label(index);
            return Err(ScopeError::Empty { container });
        }
        Ok(())
    }

    /// Picks what containers own, and what lives in PID namespaces of their own and below: an
    /// intruder there is part of the picture.
    fn pick_owned(&mut self, containers: &HashSet<ContainerIndex>) {
        let world = self.world;
        let own = containers.iter().filter_map(|index| {
            let container = world.container(*index)?;
            let namespace = container.pid_namespace?;
            container.own_pid_namespace.then_some(namespace)
        });
        let own: HashSet<NamespaceId> = own.collect();
        self.pick(|process| {
            let mut owners = world.enclosing(world.owner(process.pid));
            owners.any(|index| containers.contains(&index))
                || world
                    .pid_namespaces(process)
                    .into_iter()
                    .flatten()
                    .any(|id| own.contains(&id))
        });
    }

    fn pick_process(&mut self, spec: &PidSpec) -> Result<(), ScopeError> {
        let pid = match spec {
            PidSpec::Host(pid) => *pid,
            PidSpec::Inside { container, pid } => {
                let index = self.world.find_container(container)?;
                let found = self.world.host_pid(index, *pid);
                found.ok_or_else(|| PidError::NoProcessInside {
                    container: self.world.container_label(index),
                    pid: *pid,
                })?
            }
        };
        if self.world.process(pid).is_none() {
            return Err(PidError::NoProcess { pid }.into());
        }
        self.part.shown = descendants(self.world, pid);
        Ok(())
    }

    fn pick_namespace(&mut self, id: NamespaceId) -> Result<(), ScopeError> {
        let world = self.world;
        if world.namespace(id).is_none() {
            let same = world.namespaces().find(|n| n.id.inode == id.inode);
            return Err(match same {
                Some(found) => ScopeError::OtherKind {
                    asked: id,
                    found: found.id,
                },
                None => ScopeError::NoNamespace { id },
            });
        }
        self.part.namespaces.insert(id);
        let below = self.inner_users(id);
        self.pick(|process| match id.kind {
            NamespaceKind::Pid => world.pid_namespaces(process).contains(&Some(id)),
            kind => {
                let threads = world.threads(process.pid).iter();
                let mut lived = threads.filter_map(|t| t.namespaces.of(kind));
                process
                    .namespaces
                    .of(kind)
                    .is_some_and(|own| below.contains(&own))
                    || lived.any(|own| below.contains(&own))
            }
        });
        let holders = world.holders(id).iter().filter_map(holding_process);
        self.part.context.extend(holders);
        Ok(())
    }

    /// A namespace and, of user namespaces, those made in it.
    fn inner_users(&self, id: NamespaceId) -> HashSet<NamespaceId> {
        let mut inside = HashSet::from([id]);
        if id.kind != NamespaceKind::User {
            return inside;
        }
        // At most 32 levels (user_namespaces(7)), each of which one pass finds.
        loop {
            let before = inside.len();
            for namespace in self.world.namespaces() {
                if namespace.id.kind == id.kind
                    && namespace.parent.is_some_and(|p| inside.contains(&p))
                {
                    inside.insert(namespace.id);
                }
            }
            if inside.len() == before {
                return inside;
            }
        }
    }

    fn pick(&mut self, wanted: impl Fn(&Process) -> bool) {
        let found = self.world.processes().iter().filter(|p| wanted(p));
        self.part.shown.extend(found.map(|p| p.pid));
    }

    /// Adds ancestors, and the namespaces of all that.
    fn finish(mut self) -> Selection {
        self.add_ancestors();
        self.add_namespaces();
        Selection {
            part: Some(self.part),
        }
    }

    fn add_ancestors(&mut self) {
        let shown = &self.part.shown;
        self.part.context.retain(|pid| !shown.contains(pid));
        let starts = shown.iter().chain(&self.part.context).copied();
        let starts: Vec<HostPid> = starts.collect();
        for start in starts {
            let mut current = self.world.process(start);
            while let Some(parent) = current.and_then(|p| self.world.parent(p)) {
                if self.part.shown.contains(&parent.pid) || !self.part.context.insert(parent.pid) {
                    break;
                }
                current = Some(parent);
            }
        }
    }

    fn add_namespaces(&mut self) {
        let world = self.world;
        let part = &mut self.part;
        for process in world.processes() {
            if !part.shown.contains(&process.pid) && !part.context.contains(&process.pid) {
                continue;
            }
            part.namespaces.extend(process.namespaces.iter());
            let around = world.pid_namespaces(process).into_iter().flatten();
            part.namespaces.extend(around);
            for thread in world.threads(process.pid) {
                part.namespaces.extend(thread.namespaces.iter());
            }
        }
        for (id, holders) in &world.details().holders {
            let mut holders = holders.iter().filter_map(holding_process);
            if holders.any(|pid| part.shown.contains(&pid)) {
                part.namespaces.insert(*id);
            }
        }
        // Whatever these refer to, so that no reference of a document leads nowhere.
        let mut todo: Vec<NamespaceId> = part.namespaces.iter().copied().collect();
        todo.extend(world.host().namespaces.iter());
        while let Some(id) = todo.pop() {
            let Some(namespace) = world.namespace(id) else {
                continue;
            };
            part.namespaces.insert(id);
            let related = [namespace.parent, namespace.owner].into_iter().flatten();
            todo.extend(related.filter(|id| !part.namespaces.contains(id)));
        }
    }
}

/// The process that a holder belongs to.
/// Whether a container is one of a Kubernetes pod, whatever engine runs it.
fn is_in_pod(container: &Container) -> bool {
    let pod = container.pod.as_ref();
    pod.is_some_and(|pod| pod.namespace.is_some())
}

fn holding_process(holder: &Holder) -> Option<HostPid> {
    match holder {
        Holder::Descriptor { pid, .. }
        | Holder::Socket { pid, .. }
        | Holder::ForChildren { pid } => Some(*pid),
        Holder::BindMount { .. } | Holder::Child { .. } => None,
    }
}

/// A process and all below it.
fn descendants(world: &World, root: HostPid) -> HashSet<HostPid> {
    let mut children: HashMap<HostPid, Vec<HostPid>> = HashMap::new();
    for process in world.processes() {
        if let Some(parent) = process.parent {
            children.entry(parent).or_default().push(process.pid);
        }
    }
    let mut found = HashSet::new();
    let mut todo = vec![root];
    while let Some(pid) = todo.pop() {
        // Parents of reused PIDs can form a ring.
        if found.insert(pid) {
            todo.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

//! What stands below what: processes below their parents, within the box of their PID namespace;
//! boxes below the process that began them, within the box of the namespace above.

use std::collections::{HashMap, HashSet};

use berth_base::{HostPid, NamespaceId};

use super::KernelThreads;
use crate::model::{Process, World};

/// The room a process is drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Space {
    /// The host's PID namespace: no box.
    Host,
    /// A PID namespace below it.
    Known(NamespaceId),
    /// A PID namespace whose link cannot be read; named by the first process found in it.
    Unknown(HostPid),
}

/// What an entry stands below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The top of a space.
    Space(Space),
    /// A process.
    Process(HostPid),
}

/// One entry of the drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// One process.
    Process(HostPid),
    /// Several zombies of one parent.
    Zombies(Vec<HostPid>),
    /// The threads of the kernel.
    KernelThreads(Vec<HostPid>),
    /// A box.
    Space(Space),
}

/// The tree to draw.
pub(super) struct Forest<'w> {
    world: &'w World,
    spaces: HashMap<HostPid, Space>,
    heads: HashMap<Space, HostPid>,
    below: HashMap<Node, Vec<Entry>>,
}

impl<'w> Forest<'w> {
    /// Arranges all processes of a world.
    pub(super) fn plant(world: &'w World, kernel_threads: KernelThreads) -> Self {
        let mut forest = Self {
            world,
            spaces: HashMap::new(),
            heads: HashMap::new(),
            below: HashMap::new(),
        };
        for process in world.processes() {
            forest
                .spaces
                .insert(process.pid, forest.find_space(process));
        }
        forest.find_heads();
        forest.place_processes(kernel_threads);
        forest.place_spaces();
        forest.sort();
        forest
    }

    /// The entries below a node, by ascending PID.
    pub(super) fn entries(&self, node: Node) -> &[Entry] {
        self.below.get(&node).map_or(&[], Vec::as_slice)
    }

    /// The space of a process.
    pub(super) fn space(&self, process: &Process) -> Space {
        self.spaces
            .get(&process.pid)
            .copied()
            .unwrap_or(Space::Host)
    }

    /// The process that stands for a space: its PID 1, else the first one found.
    pub(super) fn head(&self, space: Space) -> Option<&'w Process> {
        self.world.process(*self.heads.get(&space)?)
    }

    /// The space around a space.
    pub(super) fn outer(&self, space: Space) -> Space {
        let host = self.world.host().pid_namespace;
        match space {
            Space::Host => Space::Host,
            Space::Known(id) => match self.world.namespace(id).and_then(|n| n.parent) {
                Some(parent) if Some(parent) == host => Space::Host,
                Some(parent) => Space::Known(parent),
                None => self.outer_by_parent(space),
            },
            Space::Unknown(_) => self.outer_by_parent(space),
        }
    }

    /// The space of the process that began a space, when that is one further out.
    fn outer_by_parent(&self, space: Space) -> Space {
        let found = self.head(space).and_then(|head| {
            let parent = self.world.parent(head)?;
            (parent.level() < head.level()).then(|| self.space(parent))
        });
        found.unwrap_or(Space::Host)
    }

    /// The space of one process. Where its link cannot be read, it is taken to live with the
    /// first process of the container that owns it, when that counts PIDs at the same level, else
    /// with the nearest ancestor of the same level.
    fn find_space(&self, process: &Process) -> Space {
        if process.level() == 0 {
            return Space::Host;
        }
        let mut first = process;
        for _ in 0..self.world.processes().len() {
            if let Some(id) = first.pid_namespace() {
                return Space::Known(id);
            }
            if let Some(init) = self.first_of_owner(first) {
                return Space::Unknown(init);
            }
            match self.world.parent(first) {
                Some(parent) if parent.level() == process.level() => first = parent,
                _ => break,
            }
        }
        Space::Unknown(first.pid)
    }

    /// The first process of the container that owns a process, when both count PIDs in the one
    /// PID namespace that was made for the container.
    fn first_of_owner(&self, process: &Process) -> Option<HostPid> {
        let owner = self.world.owner(process.pid)?;
        let container = self.world.container(owner)?;
        let same = container.own_pid_namespace
            && container.pid_namespace.is_none()
            && container.pid_level == Some(process.level());
        container.init.filter(|_| same)
    }

    fn find_heads(&mut self) {
        for process in self.world.processes() {
            let space = self.space(process);
            let head = self.heads.entry(space).or_insert(process.pid);
            if process.is_namespace_init() {
                *head = process.pid;
            }
        }
    }

    fn place_processes(&mut self, kernel_threads: KernelThreads) {
        let mut folded = Vec::new();
        let mut zombies: HashMap<(Node, Option<HostPid>), Vec<HostPid>> = HashMap::new();
        for process in self.world.processes() {
            if process.kernel_thread && kernel_threads == KernelThreads::Folded {
                folded.push(process.pid);
                continue;
            }
            let node = self.place_of(process, kernel_threads);
            if process.is_zombie() {
                let key = (node, process.parent);
                zombies.entry(key).or_default().push(process.pid);
            } else {
                self.add(node, Entry::Process(process.pid));
            }
        }
        for ((node, _), pids) in zombies {
            let entry = match pids.as_slice() {
                [one] => Entry::Process(*one),
                _ => Entry::Zombies(pids),
            };
            self.add(node, entry);
        }
        if !folded.is_empty() {
            self.add(Node::Space(Space::Host), Entry::KernelThreads(folded));
        }
    }

    /// Below its parent when that is in the same space and drawn, else at the top of its space.
    fn place_of(&self, process: &Process, kernel_threads: KernelThreads) -> Node {
        let space = self.space(process);
        // A kernel thread can start a program (usermode helper): it must not hang on what is folded.
        let drawn = |p: &Process| !p.kernel_thread || kernel_threads == KernelThreads::Listed;
        match self.world.parent(process) {
            Some(parent) if drawn(parent) && self.space(parent) == space => {
                Node::Process(parent.pid)
            }
            _ => Node::Space(space),
        }
    }

    /// Places each box, and those around it that hold no process of their own.
    fn place_spaces(&mut self) {
        let mut todo: Vec<Space> = self.heads.keys().copied().collect();
        let mut done = HashSet::from([Space::Host]);
        while let Some(space) = todo.pop() {
            if !done.insert(space) {
                continue;
            }
            let outer = self.outer(space);
            let parent = self.head(space).and_then(|head| self.world.parent(head));
            let node = match parent {
                Some(parent) if self.space(parent) == outer => Node::Process(parent.pid),
                _ => Node::Space(outer),
            };
            self.add(node, Entry::Space(space));
            todo.push(outer);
        }
    }

    fn add(&mut self, node: Node, entry: Entry) {
        self.below.entry(node).or_default().push(entry);
    }

    fn sort(&mut self) {
        let heads = &self.heads;
        let first = |entry: &Entry| match entry {
            Entry::Process(pid) => Some(*pid),
            Entry::Zombies(pids) | Entry::KernelThreads(pids) => pids.first().copied(),
            Entry::Space(space) => heads.get(space).copied(),
        };
        for entries in self.below.values_mut() {
            entries.sort_by_key(first);
        }
    }
}

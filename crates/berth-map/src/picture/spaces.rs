//! Which box each process is drawn in.

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use crate::model::{Links, Process, World};

/// The room a process is drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Space {
    /// The host's namespace: no box.
    Host,
    /// Another namespace of the lens.
    Known(NamespaceId),
    /// A PID namespace whose link cannot be read; named by the first process found in it.
    Unknown(HostPid),
    /// Namespaces of another kind than PID whose links cannot be read: nothing tells them apart.
    Unread,
}

/// The spaces of all processes of a world.
pub(super) struct Spaces<'w> {
    world: &'w World,
    lens: NamespaceKind,
    of: FxHashMap<HostPid, Space>,
    heads: FxHashMap<Space, HostPid>,
}

impl<'w> Spaces<'w> {
    /// Finds the space of every process, and the head of every space.
    pub(super) fn find(world: &'w World, lens: NamespaceKind) -> Self {
        let mut spaces = Self {
            world,
            lens,
            of: FxHashMap::with_capacity_and_hasher(world.processes().len(), FxBuildHasher),
            heads: FxHashMap::default(),
        };
        for process in world.processes() {
            spaces.settle(process);
        }
        spaces.find_heads();
        spaces
    }

    /// The space of a process.
    pub(super) fn of(&self, pid: HostPid) -> Space {
        self.of.get(&pid).copied().unwrap_or(Space::Host)
    }

    /// The process that stands for a space: its PID 1, else a container's first process, else
    /// the first one found.
    pub(super) fn head(&self, space: Space) -> Option<&'w Process> {
        self.world.process(*self.heads.get(&space)?)
    }

    /// Every space but the host's that has a process.
    pub(super) fn all(&self) -> impl Iterator<Item = Space> + '_ {
        self.heads.keys().copied().filter(|s| *s != Space::Host)
    }

    /// The space around a space.
    pub(super) fn outer(&self, space: Space) -> Space {
        let host = self.world.host().namespaces.of(self.lens);
        let host = match self.lens {
            NamespaceKind::Pid => self.world.host().pid_namespace,
            NamespaceKind::User => host,
            _ => return Space::Host,
        };
        match space {
            Space::Host | Space::Unread => Space::Host,
            Space::Known(id) => match self.world.namespace(id).and_then(|n| n.parent) {
                Some(parent) if Some(parent) == host => Space::Host,
                Some(parent) => Space::Known(parent),
                None => self.outer_by_parent(space),
            },
            Space::Unknown(_) => self.outer_by_parent(space),
        }
    }

    /// Number of processes in each space, those in spaces further in counted too.
    pub(super) fn counts(&self) -> FxHashMap<Space, usize> {
        let mut own: FxHashMap<Space, usize> = FxHashMap::default();
        for space in self.of.values() {
            *own.entry(*space).or_default() += 1;
        }
        let mut counts = FxHashMap::default();
        for (space, count) in own {
            let mut current = space;
            // The kernel nests 32 deep (pid_namespaces(7)); inferred parents could form a ring.
            for _ in 0..64 {
                *counts.entry(current).or_default() += count;
                if current == Space::Host {
                    break;
                }
                current = self.outer(current);
            }
        }
        counts
    }

    /// The space of the process that began a space, when that is one further out.
    fn outer_by_parent(&self, space: Space) -> Space {
        let found = self.head(space).and_then(|head| {
            let parent = self.world.parent(head)?;
            let outside = match self.lens {
                NamespaceKind::Pid => parent.level() < head.level(),
                _ => self.of(parent.pid) != space,
            };
            outside.then(|| self.of(parent.pid))
        });
        found.unwrap_or(Space::Host)
    }

    /// Finds the space of a process, and of the ancestors that it depends on, each once.
    fn settle(&mut self, process: &'w Process) {
        let mut chain = vec![];
        let mut met = FxHashSet::default();
        let mut current = process;
        let space = loop {
            if let Some(space) = self.of.get(&current.pid) {
                break *space;
            }
            if let Some(space) = self.own_space(current) {
                chain.push(current.pid);
                break space;
            }
            chain.push(current.pid);
            met.insert(current.pid);
            match self.world.parent(current) {
                Some(parent) if self.follows(current, parent) && !met.contains(&parent.pid) => {
                    current = parent;
                }
                _ => break self.rootless_space(current),
            }
        };
        self.of.extend(chain.into_iter().map(|pid| (pid, space)));
    }

    /// What a process itself tells of its space.
    fn own_space(&self, process: &Process) -> Option<Space> {
        if self.lens == NamespaceKind::Pid {
            if process.level() == 0 {
                return Some(Space::Host);
            }
            let known = process.pid_namespace().map(Space::Known);
            return known.or_else(|| self.first_of_owner(process).map(Space::Unknown));
        }
        let host = self.world.host().namespaces.of(self.lens);
        match process.namespaces.of(self.lens) {
            Some(id) if Some(id) == host => Some(Space::Host),
            Some(id) => Some(Space::Known(id)),
            None if process.kernel_thread => Some(Space::Host),
            None if process.links == Links::Denied && !process.is_zombie() => Some(Space::Unread),
            None => None,
        }
    }

    /// Whether a process that tells nothing is taken to live with its parent: at the same level
    /// for the PID lens; with others it is a zombie, which has left its namespaces.
    fn follows(&self, process: &Process, parent: &Process) -> bool {
        self.lens != NamespaceKind::Pid || parent.level() == process.level()
    }

    /// The space of a process that tells nothing and follows nobody.
    fn rootless_space(&self, process: &Process) -> Space {
        match self.lens {
            NamespaceKind::Pid => Space::Unknown(process.pid),
            _ => Space::Unread,
        }
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
        let first: FxHashSet<HostPid> = self
            .world
            .containers()
            .iter()
            .filter_map(|c| c.init)
            .collect();
        let rank = |process: &Process| match self.lens {
            NamespaceKind::Pid => !process.is_namespace_init(),
            _ => !first.contains(&process.pid),
        };
        let mut heads: FxHashMap<Space, (bool, HostPid)> = FxHashMap::default();
        for process in self.world.processes() {
            let candidate = (rank(process), process.pid);
            let head = heads.entry(self.of(process.pid)).or_insert(candidate);
            *head = (*head).min(candidate);
        }
        let heads = heads.into_iter().map(|(space, (_, pid))| (space, pid));
        self.heads = heads.collect();
    }
}

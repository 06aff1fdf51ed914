//! What stands below what: processes below their parents, within the box of their namespace;
//! boxes below the process that began them, within the box around.

use berth_base::{HostPid, NamespaceKind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::spaces::{Space, Spaces};
use super::{KernelThreads, Threads};
use crate::model::{Process, Thread, World};
use crate::scope::Selection;

/// What an entry stands below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    /// The top of a space.
    Space(Space),
    /// A process.
    Process(HostPid),
}

/// One entry of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// One process.
    Process(HostPid),
    /// One thread of a process, by its place in [`World::threads`].
    Thread(HostPid, usize),
    /// Several zombies of one parent.
    Zombies(Vec<HostPid>),
    /// The threads of the kernel.
    KernelThreads(Vec<HostPid>),
    /// A box.
    Space(Space),
}

/// What to arrange, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrangement<'s> {
    /// The kind of namespace that boxes stand for.
    pub(crate) lens: NamespaceKind,
    /// Whether kernel threads are one entry.
    pub(crate) kernel_threads: KernelThreads,
    /// Which threads are entries.
    pub(crate) threads: Threads,
    /// Which processes.
    pub(crate) selection: &'s Selection,
}

/// The tree to draw.
pub(crate) struct Forest<'w, 's> {
    world: &'w World,
    how: Arrangement<'s>,
    spaces: Spaces<'w>,
    below: FxHashMap<Node, Vec<Entry>>,
    counts: FxHashMap<Space, usize>,
}

impl<'w, 's> Forest<'w, 's> {
    /// Arranges the selected processes of a world. Linear in their number.
    pub(crate) fn plant(world: &'w World, how: Arrangement<'s>) -> Self {
        let spaces = Spaces::find(world, how.lens);
        let mut forest = Self {
            world,
            how,
            counts: spaces.counts(),
            spaces,
            below: FxHashMap::default(),
        };
        forest.place_processes();
        forest.break_rings();
        forest.place_spaces();
        forest.sort();
        forest
    }

    /// The entries below a node, by ascending PID.
    pub(crate) fn entries(&self, node: Node) -> &[Entry] {
        self.below.get(&node).map_or(&[], Vec::as_slice)
    }

    /// Every node that has entries, with them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (Node, &[Entry])> {
        let all = self.below.iter();
        all.map(|(node, entries)| (*node, entries.as_slice()))
    }

    /// What is arranged.
    pub(crate) fn world(&self) -> &'w World {
        self.world
    }

    /// Puts the entries below each node in another order; those of one key stay by PID.
    pub(crate) fn reorder<K: Ord>(&mut self, key: impl Fn(&Entry) -> K) {
        for entries in self.below.values_mut() {
            entries.sort_by_cached_key(&key);
        }
    }

    /// The kind of namespace that boxes stand for.
    pub(crate) fn lens(&self) -> NamespaceKind {
        self.how.lens
    }

    /// The selection that is arranged.
    pub(crate) fn selection(&self) -> &'s Selection {
        self.how.selection
    }

    /// The space of a process.
    pub(crate) fn space(&self, process: &Process) -> Space {
        self.spaces.of(process.pid)
    }

    /// The process that stands for a space.
    pub(crate) fn head(&self, space: Space) -> Option<&'w Process> {
        self.spaces.head(space)
    }

    /// The space around a space.
    pub(crate) fn outer(&self, space: Space) -> Space {
        self.spaces.outer(space)
    }

    /// The processes in a space and further in, selected or not.
    pub(crate) fn count(&self, space: Space) -> usize {
        self.counts.get(&space).copied().unwrap_or(0)
    }

    fn place_processes(&mut self) {
        let mut folded = Vec::new();
        let mut zombies: FxHashMap<(Node, Option<HostPid>), Vec<HostPid>> = FxHashMap::default();
        for process in self.world.processes() {
            if !self.how.selection.has(process.pid) {
                continue;
            }
            if !self.is_drawn(process) {
                folded.push(process.pid);
                continue;
            }
            let node = self.place_of(process);
            if process.is_zombie() {
                let key = (node, process.parent);
                zombies.entry(key).or_default().push(process.pid);
            } else {
                self.add(node, Entry::Process(process.pid));
            }
            self.place_threads(process);
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

    /// Parents read at different moments can form a ring, if a PID was reused in between. Such
    /// processes hang on nothing: the first of each ring goes to the top of its space.
    fn break_rings(&mut self) {
        let mut reached = FxHashSet::default();
        let tops = self.below.iter();
        let tops = tops.filter(|(node, _)| matches!(node, Node::Space(_)));
        let tops: Vec<HostPid> = tops
            .flat_map(|(_, all)| all.iter().flat_map(named))
            .collect();
        self.reach(tops, &mut reached);
        for process in self.world.processes() {
            let hangs = self.how.selection.has(process.pid) && self.is_drawn(process);
            if !hangs || reached.contains(&process.pid) {
                continue;
            }
            let above = self.place_of(process);
            if let Some(entries) = self.below.get_mut(&above) {
                entries.retain(|entry| *entry != Entry::Process(process.pid));
            }
            let top = Node::Space(self.space(process));
            self.add(top, Entry::Process(process.pid));
            self.reach(vec![process.pid], &mut reached);
        }
    }

    fn reach(&self, mut todo: Vec<HostPid>, reached: &mut FxHashSet<HostPid>) {
        while let Some(pid) = todo.pop() {
            if reached.insert(pid) {
                let below = self.entries(Node::Process(pid)).iter();
                todo.extend(below.flat_map(named));
            }
        }
    }

    fn place_threads(&mut self, process: &Process) {
        for (at, thread) in self.world.threads(process.pid).iter().enumerate() {
            if self.how.threads == Threads::All || is_stray(process, thread) {
                self.add(Node::Process(process.pid), Entry::Thread(process.pid, at));
            }
        }
    }

    /// Whether a process has an entry of its own.
    fn is_drawn(&self, process: &Process) -> bool {
        !process.kernel_thread || self.how.kernel_threads == KernelThreads::Listed
    }

    /// Below its parent when that is in the same space and drawn, else at the top of its space.
    fn place_of(&self, process: &Process) -> Node {
        let space = self.space(process);
        // A kernel thread can start a program (usermode helper): it must not hang on what is folded.
        let drawn = |p: &Process| self.is_drawn(p) && self.how.selection.has(p.pid);
        match self.world.parent(process) {
            Some(parent) if drawn(parent) && self.space(parent) == space => {
                Node::Process(parent.pid)
            }
            _ => Node::Space(space),
        }
    }

    /// Places each box that something is drawn in, and those around it.
    fn place_spaces(&mut self) {
        let filled = |space: &Space| {
            let top = self.below.get(&Node::Space(*space));
            top.is_some_and(|entries| !entries.is_empty())
        };
        let mut todo: Vec<Space> = self.spaces.all().filter(filled).collect();
        let mut done = FxHashSet::from_iter([Space::Host]);
        while let Some(space) = todo.pop() {
            if !done.insert(space) {
                continue;
            }
            let outer = self.outer(space);
            self.add(self.place_of_box(space, outer), Entry::Space(space));
            todo.push(outer);
        }
    }

    fn place_of_box(&self, space: Space, outer: Space) -> Node {
        let nested = matches!(self.how.lens, NamespaceKind::Pid | NamespaceKind::User);
        let parent = self.head(space).and_then(|head| self.world.parent(head));
        match parent {
            Some(parent)
                if nested
                    && self.space(parent) == outer
                    && self.is_drawn(parent)
                    && self.how.selection.has(parent.pid) =>
            {
                Node::Process(parent.pid)
            }
            _ => Node::Space(outer),
        }
    }

    fn add(&mut self, node: Node, entry: Entry) {
        self.below.entry(node).or_default().push(entry);
    }

    fn sort(&mut self) {
        let spaces = &self.spaces;
        let world = self.world;
        let nested = matches!(self.how.lens, NamespaceKind::Pid | NamespaceKind::User);
        // Boxes that stand side by side come after the host's own processes.
        let key = |entry: &Entry| match entry {
            Entry::Process(pid) => (0, Some(*pid)),
            Entry::Thread(pid, at) => (0, world.threads(*pid).get(*at).map(|t| t.tid)),
            Entry::Zombies(pids) | Entry::KernelThreads(pids) => (0, pids.first().copied()),
            Entry::Space(Space::Unread) => (2, None),
            Entry::Space(space) => {
                let head = spaces.head(*space).map(|head| head.pid);
                (if nested { 0 } else { 1 }, head)
            }
        };
        for entries in self.below.values_mut() {
            entries.sort_by_key(key);
        }
    }
}

/// The processes that an entry shows.
fn named(entry: &Entry) -> Vec<HostPid> {
    match entry {
        Entry::Process(pid) => vec![*pid],
        Entry::Zombies(pids) | Entry::KernelThreads(pids) => pids.clone(),
        Entry::Thread(..) | Entry::Space(_) => Vec::new(),
    }
}

/// Whether a thread is known to live in another namespace than its process.
pub(super) fn is_stray(process: &Process, thread: &Thread) -> bool {
    thread.namespaces.iter().any(|id| {
        let own = process.namespaces.of(id.kind);
        own.is_some_and(|own| own != id)
    })
}

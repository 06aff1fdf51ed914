//! Siblings that look alike, so that a picture can show one of them with their number.

use std::collections::HashMap;

use berth_base::HostPid;

use super::{Entry, Forest, Node, Words};
use crate::model::{Process, World};
use crate::scope::Role;

/// From how many on siblings that look alike are one.
const LEAST: usize = 4;

/// One entry of a picture, or several that look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<'f> {
    /// The first one.
    pub(crate) entry: &'f Entry,
    /// How many, that one included.
    pub(crate) count: usize,
    /// The process of the last one, where there are several.
    pub(crate) last: Option<HostPid>,
}

/// All entries of a forest, folded.
pub(crate) struct Crowds<'f> {
    members: HashMap<Node, Vec<Member<'f>>>,
}

/// What makes two entries look alike: the same words and the same below. Two with one number in
/// [`Shapes`] are.
#[derive(PartialEq, Eq, Hash)]
struct Shape {
    words: String,
    levels: usize,
    below: Vec<(u32, usize)>,
}

struct Finder<'f, 'w, 's> {
    world: &'w World,
    forest: &'f Forest<'w, 's>,
    words: &'f Words<'w>,
    numbers: HashMap<Shape, u32>,
    /// Shapes and their counts below each node.
    below: HashMap<Node, Vec<(u32, usize)>>,
    members: HashMap<Node, Vec<Member<'f>>>,
}

impl<'f> Crowds<'f> {
    /// Folds everything below the host. Linear in the number of entries.
    pub(crate) fn find<'w>(
        world: &'w World,
        forest: &'f Forest<'w, '_>,
        words: &'f Words<'w>,
    ) -> Self {
        let mut finder = Finder {
            world,
            forest,
            words,
            numbers: HashMap::new(),
            below: HashMap::new(),
            members: HashMap::new(),
        };
        finder.run();
        Self {
            members: finder.members,
        }
    }

    /// Folds nothing: each entry is a member.
    pub(crate) fn none(forest: &'f Forest<'_, '_>) -> Self {
        let single = |entry| Member {
            entry,
            count: 1,
            last: None,
        };
        let nodes = forest.nodes();
        let members = nodes.map(|(node, all)| (node, all.iter().map(single).collect()));
        Self {
            members: members.collect(),
        }
    }

    /// The members below a node.
    pub(crate) fn members(&self, node: Node) -> &[Member<'f>] {
        self.members.get(&node).map_or(&[], Vec::as_slice)
    }
}

impl<'f> Finder<'f, '_, '_> {
    /// Children first, with a stack of our own: chains of processes can be deeper than the call
    /// stack.
    fn run(&mut self) {
        let mut todo = vec![(Node::Space(super::Space::Host), false)];
        while let Some((node, below_is_done)) = todo.pop() {
            if below_is_done {
                self.fold(node);
                continue;
            }
            todo.push((node, true));
            for entry in self.forest.entries(node) {
                todo.extend(node_of(entry).map(|inner| (inner, false)));
            }
        }
    }

    fn fold(&mut self, node: Node) {
        let entries = self.forest.entries(node);
        let numbers: Vec<u32> = entries.iter().map(|e| self.number(node, e)).collect();
        let mut crowds: HashMap<u32, (usize, usize)> = HashMap::new();
        for (at, number) in numbers.iter().enumerate() {
            let crowd = crowds.entry(*number).or_insert((0, at));
            *crowd = (crowd.0 + 1, at);
        }
        let mut members = Vec::new();
        let mut below = Vec::new();
        for (entry, number) in entries.iter().zip(&numbers) {
            let Some((count, last)) = crowds.get(number).copied() else {
                continue;
            };
            let folded = count >= LEAST;
            members.push(Member {
                entry,
                count: if folded { count } else { 1 },
                last: (folded)
                    .then(|| self.process_of(entries.get(last)?))
                    .flatten(),
            });
            below.push((*number, if folded { count } else { 1 }));
            if folded {
                // The others of the crowd are spoken for.
                crowds.remove(number);
            }
        }
        self.members.insert(node, members);
        self.below.insert(node, below);
    }

    fn number(&mut self, node: Node, entry: &Entry) -> u32 {
        let below = node_of(entry).and_then(|inner| self.below.get(&inner));
        let shape = Shape {
            words: self.describe(node, entry),
            levels: self
                .process_of(entry)
                .and_then(|pid| self.world.process(pid))
                .map_or(0, |p| p.pids.len()),
            below: below.cloned().unwrap_or_default(),
        };
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(shape).or_insert(next)
    }

    /// The words of an entry, its PIDs left out, behind a letter for its kind.
    fn describe(&self, node: Node, entry: &Entry) -> String {
        let role = |process: &Process| match self.forest.selection().role(process.pid) {
            Role::Shown => "p",
            Role::Context | Role::Hidden => "c",
        };
        let mut texts = Vec::new();
        let spans = match entry {
            Entry::Process(pid) => match self.world.process(*pid) {
                Some(process) => {
                    texts.push(role(process).to_owned());
                    self.words.process(self.forest, node, process)
                }
                None => Vec::new(),
            },
            Entry::Thread(pid, at) => {
                texts.push("t".to_owned());
                let thread = self.world.threads(*pid).get(*at);
                let process = self.world.process(*pid);
                let both = process.zip(thread);
                both.map_or_else(Vec::new, |(p, t)| self.words.thread(p, t))
            }
            // Folded already, and not to be folded further.
            Entry::Zombies(pids) | Entry::KernelThreads(pids) => {
                texts.push(format!("f{pids:?}"));
                Vec::new()
            }
            Entry::Space(space) => {
                texts.push("s".to_owned());
                let title = self.words.title(self.forest, *space);
                let mut spans = vec![title.name];
                spans.extend(title.origin);
                spans.extend(title.facts);
                spans.extend(self.words.foot(self.forest, *space));
                spans
            }
        };
        texts.extend(spans.into_iter().map(|span| span.text));
        // No control character is left in an escaped text.
        texts.join("\n")
    }

    fn process_of(&self, entry: &Entry) -> Option<HostPid> {
        match entry {
            Entry::Process(pid) => Some(*pid),
            Entry::Thread(pid, at) => Some(self.world.threads(*pid).get(*at)?.tid),
            Entry::Zombies(_) | Entry::KernelThreads(_) => None,
            Entry::Space(space) => self.forest.head(*space).map(|head| head.pid),
        }
    }
}

fn node_of(entry: &Entry) -> Option<Node> {
    match entry {
        Entry::Process(pid) => Some(Node::Process(*pid)),
        Entry::Space(space) => Some(Node::Space(*space)),
        Entry::Thread(..) | Entry::Zombies(_) | Entry::KernelThreads(_) => None,
    }
}

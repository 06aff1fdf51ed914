//! The drawing in parts: for a view that paints lines itself, folds and picks them.

use std::cmp::Reverse;
use std::collections::HashMap;

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use super::canvas::{Joint, Piece, Rail, pieces, title_pieces};
use super::paint::Ink;
use super::tree::{Sheet, largest_pids, walk};
use super::{Inodes, KernelThreads, Threads};
use crate::model::World;
use crate::picture::{Arrangement, Entry, Forest, Hue, Node, Space, Span, Title, Words};
use crate::scope::Selection;

/// What stands in which order below one parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By ascending PID, as the text has it.
    #[default]
    Pid,
    /// The youngest first.
    Start,
    /// By name.
    Name,
    /// What has most processes below it first.
    Processes,
    /// By engine and name of the container that it belongs to, or that stands below it; what has
    /// none comes last.
    Container,
}

/// What rows are wanted.
#[derive(Clone, Debug, Default)]
pub struct RowOptions {
    /// The kind of namespace that boxes stand for; PID when absent.
    pub lens: Option<NamespaceKind>,
    /// Which part of the world.
    pub selection: Selection,
    /// Whether kernel threads are one row.
    pub kernel_threads: KernelThreads,
    /// Which threads have a row.
    pub threads: Threads,
    /// Whether titles show the inode number of the namespace.
    pub inodes: Inodes,
    /// The order of siblings.
    pub order: Order,
}

/// A drawing, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The head line: the host and its counts, escaped.
    pub head: String,
    /// The largest PID of each level: how wide the columns are, and how many.
    pub largest: Vec<u32>,
    /// The rows, from top to bottom.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it stands for.
    pub subject: Subject,
    /// Below how many others it stands. What follows and is deeper stands below it.
    pub depth: usize,
    /// What runs down its left.
    pub rails: Vec<Rail>,
    /// How it is drawn.
    pub shape: Shape,
    /// Its words, escaped.
    pub label: Vec<Piece>,
    /// Its PIDs, the host's first, each in the colour of its level.
    pub pids: Vec<(u32, Ink)>,
}

/// How a row is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A line of the tree.
    Entry(Joint),
    /// The upper border of a box.
    Top(Hue),
    /// The lower border of a box.
    Bottom(Hue),
    /// A line below the tree.
    Note,
}

/// What a row stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A process.
    Process(HostPid),
    /// A thread.
    Thread {
        /// Its process.
        process: HostPid,
        /// Its thread id on the host.
        tid: HostPid,
    },
    /// Several zombies of one parent.
    Zombies(Vec<HostPid>),
    /// Threads of the kernel, folded.
    KernelThreads(Vec<HostPid>),
    /// A namespace.
    Box {
        /// Which, where its link could be read.
        namespace: Option<NamespaceId>,
        /// The process that stands for it: its PID 1, or the first one found.
        head: Option<HostPid>,
    },
    /// Nothing: a line of text.
    Note,
}

/// Draws a snapshot in parts: the rows, words and colours of [`super::map`].
pub fn rows(world: &World, options: &RowOptions) -> Rows {
    let arrangement = Arrangement {
        lens: options.lens.unwrap_or(NamespaceKind::Pid),
        kernel_threads: options.kernel_threads,
        threads: options.threads,
        selection: &options.selection,
    };
    let mut forest = Forest::plant(world, arrangement);
    sort(world, &mut forest, options.order);
    let words = Words::new(world, options.inodes);
    let mut collector = Collector {
        forest: &forest,
        next: (Subject::Note, 0),
        rows: Vec::with_capacity(world.processes().len() + 16),
    };
    walk(world, &forest, &words, &mut collector);
    Rows {
        rows: collector.rows,
        head: words.head(&forest),
        largest: largest_pids(world, &forest),
    }
}

/// Rows that are being collected.
struct Collector<'f, 'w, 's> {
    forest: &'f Forest<'w, 's>,
    /// What the next row stands for, and its depth.
    next: (Subject, usize),
    rows: Vec<Row>,
}

impl Collector<'_, '_, '_> {
    fn push(&mut self, rails: &[Rail], shape: Shape, label: Vec<Piece>, pids: Vec<(u32, Ink)>) {
        let (subject, depth) = std::mem::replace(&mut self.next, (Subject::Note, 0));
        self.rows.push(Row {
            subject,
            depth,
            rails: rails.to_vec(),
            shape,
            label,
            pids,
        });
    }
}

impl Sheet for Collector<'_, '_, '_> {
    fn about(&mut self, entry: &Entry, depth: usize) {
        let subject = match entry {
            Entry::Process(pid) => Subject::Process(*pid),
            Entry::Thread(pid, at) => {
                let thread = self.forest.world().threads(*pid).get(*at);
                thread.map_or(Subject::Note, |thread| Subject::Thread {
                    process: *pid,
                    tid: thread.tid,
                })
            }
            Entry::Zombies(pids) => Subject::Zombies(pids.clone()),
            Entry::KernelThreads(pids) => Subject::KernelThreads(pids.clone()),
            Entry::Space(space) => Subject::Box {
                namespace: match space {
                    Space::Known(id) => Some(*id),
                    Space::Host | Space::Unknown(_) | Space::Unread => None,
                },
                head: self.forest.head(*space).map(|head| head.pid),
            },
        };
        self.next = (subject, depth);
    }

    fn entry(
        &mut self,
        rails: &[Rail],
        joint: Joint,
        label: Vec<Span>,
        pids: &[u32],
        levels: impl Fn(usize) -> Ink,
    ) {
        let pids = pids.iter().enumerate();
        let pids = pids.map(|(level, pid)| (*pid, levels(level))).collect();
        self.push(rails, Shape::Entry(joint), pieces(label), pids);
    }

    fn open_box(&mut self, rails: &[Rail], hue: Hue, title: Title) {
        let label = title_pieces(hue, title);
        self.push(rails, Shape::Top(hue), label, Vec::new());
    }

    fn close_box(&mut self, rails: &[Rail], hue: Hue, foot: Vec<Span>) {
        self.push(rails, Shape::Bottom(hue), pieces(foot), Vec::new());
    }

    fn note(&mut self, text: &str) {
        self.next = (Subject::Note, 0);
        let label = Piece {
            text: text.to_owned().into(),
            ink: Ink::Faint,
        };
        self.push(&[], Shape::Note, vec![label], Vec::new());
    }
}

/// Puts siblings in another order than by PID.
fn sort(world: &World, forest: &mut Forest, order: Order) {
    match order {
        Order::Pid => {}
        Order::Start => {
            let starts = with_heads(forest);
            let start = |pid: HostPid| world.process(pid).map_or(0, |p| p.start_ticks);
            forest.reorder(|entry| Reverse(first(entry, &starts).map(start)));
        }
        Order::Name => {
            let heads = with_heads(forest);
            let name = |pid: HostPid| {
                let process = world.process(pid);
                process.map(|p| p.comm.to_lowercase())
            };
            forest.reorder(|entry| first(entry, &heads).and_then(name));
        }
        Order::Processes => {
            let sizes = sizes(forest);
            forest.reorder(|entry| Reverse(size(entry, &sizes)));
        }
        Order::Container => {
            let homes = homes(world, forest);
            forest.reorder(|entry| {
                let home = node(entry).and_then(|node| homes.get(&node).cloned());
                (home.is_none(), home)
            });
        }
    }
}

/// The engine and the name of a container, by which it is sorted.
type Home = (&'static str, String);

/// The first container, in their order, that a node belongs to or that stands below it.
fn homes(world: &World, forest: &Forest) -> HashMap<Node, Home> {
    let nodes = below(forest);
    let mut homes = HashMap::new();
    for (node, above) in nodes.iter().rev() {
        let own = match node {
            Node::Process(pid) => world.owner(*pid),
            Node::Space(_) => None,
        };
        let own = own.and_then(|owner| world.container(owner));
        let own = own.map(|c| (c.engine.as_str(), c.display_name().to_lowercase()));
        // What stands below comes before it here: it has said where it belongs.
        let Some(home) = own.or_else(|| homes.get(node).cloned()) else {
            continue;
        };
        homes.insert(*node, home.clone());
        if let Some((above, _)) = above.and_then(|above| nodes.get(above)) {
            let known = homes.entry(*above).or_insert_with(|| home.clone());
            if home < *known {
                *known = home;
            }
        }
    }
    homes
}

/// The node that an entry is, where something can stand below it.
fn node(entry: &Entry) -> Option<Node> {
    match entry {
        Entry::Process(pid) => Some(Node::Process(*pid)),
        Entry::Space(space) => Some(Node::Space(*space)),
        Entry::Thread(..) | Entry::Zombies(_) | Entry::KernelThreads(_) => None,
    }
}

/// The first process of an entry.
fn first(entry: &Entry, heads: &HashMap<Space, HostPid>) -> Option<HostPid> {
    match entry {
        Entry::Process(pid) | Entry::Thread(pid, _) => Some(*pid),
        Entry::Zombies(pids) | Entry::KernelThreads(pids) => pids.first().copied(),
        Entry::Space(space) => heads.get(space).copied(),
    }
}

/// The heads of all boxes that are drawn.
fn with_heads(forest: &Forest) -> HashMap<Space, HostPid> {
    let mut heads = HashMap::new();
    for (node, _) in below(forest) {
        if let Node::Space(space) = node
            && let Some(head) = forest.head(space)
        {
            heads.insert(space, head.pid);
        }
    }
    heads
}

/// Every node, parents before what stands below them, with its place above.
fn below(forest: &Forest) -> Vec<(Node, Option<usize>)> {
    let mut nodes = vec![(Node::Space(Space::Host), None)];
    let mut at = 0;
    while let Some((node, _)) = nodes.get(at).copied() {
        for entry in forest.entries(node) {
            match entry {
                Entry::Process(pid) => nodes.push((Node::Process(*pid), Some(at))),
                Entry::Space(space) => nodes.push((Node::Space(*space), Some(at))),
                Entry::Thread(..) | Entry::Zombies(_) | Entry::KernelThreads(_) => {}
            }
        }
        at += 1;
    }
    nodes
}

/// How many processes stand below each node, itself included.
fn sizes(forest: &Forest) -> HashMap<Node, usize> {
    let nodes = below(forest);
    let own = |node: &Node| {
        let folded = forest.entries(*node).iter().map(|entry| match entry {
            Entry::Zombies(pids) | Entry::KernelThreads(pids) => pids.len(),
            Entry::Process(_) | Entry::Thread(..) | Entry::Space(_) => 0,
        });
        folded.sum::<usize>() + usize::from(matches!(node, Node::Process(_)))
    };
    let mut counts: Vec<usize> = nodes.iter().map(|(node, _)| own(node)).collect();
    for at in (0..nodes.len()).rev() {
        let above = nodes.get(at).and_then(|(_, above)| *above);
        let count = counts.get(at).copied().unwrap_or(0);
        if let Some(sum) = above.and_then(|above| counts.get_mut(above)) {
            *sum += count;
        }
    }
    let nodes = nodes.into_iter().map(|(node, _)| node);
    nodes.zip(counts).collect()
}

fn size(entry: &Entry, sizes: &HashMap<Node, usize>) -> usize {
    let node = match entry {
        Entry::Process(pid) => Node::Process(*pid),
        Entry::Space(space) => Node::Space(*space),
        Entry::Zombies(pids) | Entry::KernelThreads(pids) => return pids.len(),
        Entry::Thread(..) => return 0,
    };
    sizes.get(&node).copied().unwrap_or(0)
}

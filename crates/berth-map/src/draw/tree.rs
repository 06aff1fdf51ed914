//! The walk over the forest, from which the lines come.

use std::collections::{HashMap, HashSet};

use berth_base::{HostPid, NamespaceId};

use super::MapOptions;
use super::canvas::{Canvas, Joint, Rail};
use super::forest::{Entry, Forest, Node, Space};
use super::notes::{Notes, thousands};
use crate::model::{Process, World};

/// What is still to be done, last first. An explicit stack: chains of processes can be deeper
/// than the call stack.
enum Step<'f> {
    /// Draw an entry that stands below a node.
    Draw(&'f Entry, Node, Joint),
    /// Everything below a process is drawn: take this many rails away.
    Leave,
    /// Everything in a box is drawn.
    Close,
}

struct Walk<'f, 'w> {
    world: &'w World,
    forest: &'f Forest<'w>,
    notes: Notes<'w>,
    canvas: Canvas,
    rails: Vec<Rail>,
    steps: Vec<Step<'f>>,
    /// Processes per PID namespace, deeper ones counted in.
    counts: HashMap<NamespaceId, usize>,
    drawn: HashSet<HostPid>,
}

/// See [`super::map`].
pub(super) fn draw(world: &World, options: &MapOptions) -> String {
    let forest = Forest::plant(world, options.kernel_threads);
    let notes = Notes::new(world, options);
    let mut canvas = Canvas::new(options, &largest_pids(world));
    canvas.head(&notes.head());
    let mut walk = Walk {
        world,
        forest: &forest,
        notes,
        canvas,
        rails: Vec::new(),
        steps: Vec::new(),
        counts: count_processes(world),
        drawn: HashSet::new(),
    };
    walk.push_below(Node::Space(Space::Host));
    walk.run();
    walk.draw_the_rest();
    if let Some(line) = walk.notes.unreadable() {
        walk.canvas.note(&line);
    }
    walk.canvas.finish()
}

impl<'f, 'w> Walk<'f, 'w> {
    fn run(&mut self) {
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Draw(entry, node, joint) => self.draw_entry(entry, node, joint),
                Step::Leave => drop(self.rails.pop()),
                Step::Close => {
                    self.rails.pop();
                    self.canvas.close_box(&self.rails);
                }
            }
        }
    }

    /// Parents read at different moments can form a ring, if a PID was reused in between. Such
    /// processes hang on nothing: draw them at the end, as they are.
    fn draw_the_rest(&mut self) {
        let world = self.world;
        for process in world.processes() {
            if self.drawn.contains(&process.pid) {
                continue;
            }
            let node = Node::Space(self.forest.space(process));
            self.draw_process(process, node, Joint::Last);
            self.run();
        }
    }

    fn draw_entry(&mut self, entry: &'f Entry, node: Node, joint: Joint) {
        match entry {
            Entry::Process(pid) => {
                if let Some(process) = self.world.process(*pid) {
                    self.draw_process(process, node, joint);
                }
            }
            Entry::Zombies(pids) => {
                let zombies: Vec<&Process> =
                    pids.iter().filter_map(|p| self.world.process(*p)).collect();
                self.drawn.extend(pids);
                let label = self.notes.zombies(&zombies);
                let first = zombies.first().map_or(&[][..], |p| &p.pids);
                self.canvas.entry(&self.rails, joint, &label, first);
            }
            Entry::KernelThreads(pids) => {
                self.drawn.extend(pids);
                let label = format!("kernel threads x{}", thousands(pids.len()));
                self.canvas.entry(&self.rails, joint, &label, &[]);
            }
            Entry::Space(space) => self.draw_space(*space),
        }
    }

    fn draw_process(&mut self, process: &'w Process, node: Node, joint: Joint) {
        if !self.drawn.insert(process.pid) {
            return;
        }
        let label = self.notes.process(self.forest, node, process);
        self.canvas.entry(&self.rails, joint, &label, &process.pids);
        match joint {
            Joint::None => {}
            Joint::Middle => self.enter(Rail::Line, Step::Leave),
            Joint::Last => self.enter(Rail::Blank, Step::Leave),
        }
        self.push_below(Node::Process(process.pid));
    }

    fn draw_space(&mut self, space: Space) {
        let count = match space {
            Space::Known(id) => self.counts.get(&id).copied().unwrap_or(0),
            Space::Host | Space::Unknown(_) => {
                let inside = |p: &&Process| self.forest.space(p) == space;
                self.world.processes().iter().filter(inside).count()
            }
        };
        let title = self.notes.title(self.forest, space, count);
        self.canvas.open_box(&self.rails, &title);
        self.enter(Rail::Border, Step::Close);
        self.push_below(Node::Space(space));
    }

    /// Adds a rail, and the step that takes it away once what follows is drawn.
    fn enter(&mut self, rail: Rail, leave: Step<'f>) {
        self.rails.push(rail);
        self.steps.push(leave);
    }

    fn push_below(&mut self, node: Node) {
        let in_box = matches!(node, Node::Space(space) if space != Space::Host);
        let entries = self.forest.entries(node);
        for (at, entry) in entries.iter().enumerate().rev() {
            let joint = match (in_box, at + 1 == entries.len()) {
                (true, _) => Joint::None,
                (false, true) => Joint::Last,
                (false, false) => Joint::Middle,
            };
            self.steps.push(Step::Draw(entry, node, joint));
        }
    }
}

/// The largest PID at each level, which makes the columns wide enough.
fn largest_pids(world: &World) -> Vec<u32> {
    let mut largest = vec![0];
    for process in world.processes() {
        if largest.len() < process.pids.len() {
            largest.resize(process.pids.len(), 0);
        }
        for (most, pid) in largest.iter_mut().zip(&process.pids) {
            *most = (*most).max(*pid);
        }
    }
    largest
}

/// Counts the processes of each PID namespace and of those below it.
fn count_processes(world: &World) -> HashMap<NamespaceId, usize> {
    let mut counts = HashMap::new();
    for process in world.processes() {
        for id in world.pid_namespaces(process).into_iter().flatten() {
            *counts.entry(id).or_insert(0) += 1;
        }
    }
    counts
}

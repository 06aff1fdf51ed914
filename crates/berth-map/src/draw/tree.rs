//! The walk over the forest, from which the lines come.

use berth_base::NamespaceKind;

use super::MapOptions;
use super::canvas::{Canvas, Joint, Rail};
use super::paint::Ink;
use crate::model::{Process, World};
use crate::picture::{
    Arrangement, Entry, Forest, Hue, Hues, Node, Space, Span, Title, Tone, Words, thousands,
};
use crate::scope::Role;

/// What takes the lines of a drawing, from top to bottom.
pub(super) trait Sheet {
    /// Says what the next line stands for, and below how many others it stands. For the lower
    /// border of a box that is the box again.
    fn about(&mut self, _entry: &Entry, _depth: usize) {}
    /// One entry with its PIDs, outermost first, each in the colour of its level.
    fn entry(
        &mut self,
        rails: &[Rail],
        joint: Joint,
        label: Vec<Span>,
        pids: &[u32],
        levels: impl Fn(usize) -> Ink,
    );
    /// The upper border of a box.
    fn open_box(&mut self, rails: &[Rail], hue: Hue, title: Title);
    /// The lower border of a box, and what its foot says.
    fn close_box(&mut self, rails: &[Rail], hue: Hue, foot: Vec<Span>);
    /// A line of text below the tree.
    fn note(&mut self, text: &str);
}

/// What is still to be done, last first. An explicit stack: chains of processes can be deeper
/// than the call stack.
enum Step<'f> {
    /// Draw an entry that stands below a node, and below so many entries.
    Draw(&'f Entry, Node, Joint, usize),
    /// Everything below a process is drawn: take a rail away.
    Leave,
    /// Everything in a box is drawn.
    Close(&'f Entry, Space, Hue, usize),
}

struct Walk<'f, 'w, 's, 'c, S> {
    world: &'w World,
    forest: &'f Forest<'w, 's>,
    words: &'f Words<'w>,
    sheet: &'c mut S,
    rails: Vec<Rail>,
    steps: Vec<Step<'f>>,
    hues: Hues,
}

/// See [`super::map`].
pub(super) fn draw(world: &World, options: &MapOptions) -> String {
    let arrangement = Arrangement {
        lens: options.lens,
        kernel_threads: options.kernel_threads,
        threads: options.threads,
        selection: &options.selection,
    };
    let forest = Forest::plant(world, arrangement);
    let words = Words::new(world, options.inodes);
    let mut canvas = Canvas::new(options, &largest_pids(world, &forest));
    canvas.head(&words.head(&forest));
    walk(world, &forest, &words, &mut canvas);
    canvas.finish()
}

/// Hands all lines below the head to a sheet.
pub(super) fn walk(world: &World, forest: &Forest, words: &Words, sheet: &mut impl Sheet) {
    let mut walk = Walk {
        world,
        forest,
        words,
        sheet,
        rails: Vec::new(),
        steps: Vec::new(),
        hues: Hues::default(),
    };
    walk.push_below(Node::Space(Space::Host), 0);
    walk.run();
    walk.below_the_tree();
}

impl<'f, 'w, S: Sheet> Walk<'f, 'w, '_, '_, S> {
    fn run(&mut self) {
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Draw(entry, node, joint, depth) => {
                    self.sheet.about(entry, depth);
                    self.draw_entry(entry, node, joint, depth);
                }
                Step::Leave => drop(self.rails.pop()),
                Step::Close(entry, space, hue, depth) => {
                    self.rails.pop();
                    self.hues.close();
                    self.sheet.about(entry, depth);
                    let foot = self.words.foot(self.forest, space);
                    self.sheet.close_box(&self.rails, hue, foot);
                }
            }
        }
    }

    /// What is said of the host's own network, of the wires, of namespaces without processes, and of what could
    /// not be read.
    fn below_the_tree(&mut self) {
        let foot = self.words.foot(self.forest, Space::Host);
        if !foot.is_empty() {
            let words: Vec<String> = foot.into_iter().map(|span| span.text).collect();
            self.sheet.note(&format!("host: {}", words.join("  ")));
        }
        for line in self.words.wires(self.forest) {
            self.sheet.note(&line);
        }
        for line in self.words.hidden(self.forest) {
            self.sheet.note(&line);
        }
        if let Some(line) = self.words.unreadable() {
            self.sheet.note(&line);
        }
    }

    fn draw_entry(&mut self, entry: &'f Entry, node: Node, joint: Joint, depth: usize) {
        match entry {
            Entry::Process(pid) => {
                if let Some(process) = self.world.process(*pid) {
                    self.draw_process(process, node, joint, depth);
                }
            }
            Entry::Thread(pid, at) => {
                let thread = self.world.threads(*pid).get(*at);
                if let Some((process, thread)) = self.world.process(*pid).zip(thread) {
                    let label = self.words.thread(process, thread);
                    self.line(joint, label, &thread.tids, Role::Shown);
                }
            }
            Entry::Zombies(pids) => {
                let zombies: Vec<&Process> =
                    pids.iter().filter_map(|p| self.world.process(*p)).collect();
                let label = self.words.zombies(&zombies);
                let first = zombies.first().map_or(&[][..], |p| &p.pids);
                self.line(joint, label, first, Role::Shown);
            }
            Entry::KernelThreads(pids) => {
                let text = format!("kernel threads x{}", thousands(pids.len()));
                let label = vec![Span::new(Tone::Faint, text)];
                self.line(joint, label, &[], Role::Shown);
            }
            Entry::Space(space) => self.draw_space(entry, *space, depth),
        }
    }

    fn draw_process(&mut self, process: &'w Process, node: Node, joint: Joint, depth: usize) {
        let label = self.words.process(self.forest, node, process);
        let role = self.forest.selection().role(process.pid);
        self.line(joint, label, &process.pids, role);
        match joint {
            Joint::None => {}
            Joint::Middle => self.enter(Rail::Line, Step::Leave),
            Joint::Last => self.enter(Rail::Blank, Step::Leave),
        }
        self.push_below(Node::Process(process.pid), depth + 1);
    }

    /// One line. What is only context is faint; PIDs have the colours of the boxes that count
    /// them.
    fn line(&mut self, joint: Joint, mut label: Vec<Span>, pids: &[u32], role: Role) {
        let context = role == Role::Context;
        if context {
            for span in &mut label {
                span.tone = Tone::Faint;
            }
        }
        let around: Vec<Hue> = self.hues.around().collect();
        let by_level = self.forest.lens() == NamespaceKind::Pid && around.len() + 1 == pids.len();
        let levels = |level: usize| match level.checked_sub(1) {
            _ if context => Ink::Faint,
            Some(at) if by_level => around.get(at).map_or(Ink::Plain, |hue| Ink::Border(*hue)),
            _ => Ink::Plain,
        };
        self.sheet.entry(&self.rails, joint, label, pids, levels);
    }

    fn draw_space(&mut self, entry: &'f Entry, space: Space, depth: usize) {
        let title = self.words.title(self.forest, space);
        let hue = self.hues.open();
        self.sheet.open_box(&self.rails, hue, title);
        self.enter(Rail::Border(hue), Step::Close(entry, space, hue, depth));
        self.push_below(Node::Space(space), depth + 1);
    }

    /// Adds a rail, and the step that takes it away once what follows is drawn.
    fn enter(&mut self, rail: Rail, leave: Step<'f>) {
        self.rails.push(rail);
        self.steps.push(leave);
    }

    fn push_below(&mut self, node: Node, depth: usize) {
        let in_box = matches!(node, Node::Space(space) if space != Space::Host);
        let entries = self.forest.entries(node);
        // Boxes do not hang on a branch.
        let last = entries.iter().rposition(|e| !matches!(e, Entry::Space(_)));
        for (at, entry) in entries.iter().enumerate().rev() {
            let joint = match (in_box, Some(at) == last) {
                (true, _) => Joint::None,
                (false, true) => Joint::Last,
                (false, false) => Joint::Middle,
            };
            self.steps.push(Step::Draw(entry, node, joint, depth));
        }
    }
}

/// The largest PID at each level, which makes the columns wide enough.
pub(super) fn largest_pids(world: &World, forest: &Forest) -> Vec<u32> {
    let mut largest = vec![0];
    let mut widen = |pids: &[u32]| {
        if largest.len() < pids.len() {
            largest.resize(pids.len(), 0);
        }
        for (most, pid) in largest.iter_mut().zip(pids) {
            *most = (*most).max(*pid);
        }
    };
    for process in world.processes() {
        if forest.selection().has(process.pid) {
            widen(&process.pids);
            for thread in world.threads(process.pid) {
                widen(&thread.tids);
            }
        }
    }
    largest
}

//! The lines of the tree: which there are, which are folded away, and which one is chosen.

use std::collections::HashSet;

use berth_base::{HostPid, NamespaceId};
use berth_map::draw::{Row, Rows, Shape, Subject};

/// What tells a line from all others, from one snapshot to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LineKey {
    /// A process.
    Process(HostPid),
    /// A thread.
    Thread(HostPid),
    /// Zombies, by the first one.
    Zombies(Option<HostPid>),
    /// The kernel's threads.
    KernelThreads,
    /// The upper border of a box.
    Top(BoxId),
    /// Its lower border.
    Bottom(BoxId),
    /// Text below the tree.
    Note(String),
}

/// What tells a box from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BoxId {
    /// Its namespace.
    Namespace(NamespaceId),
    /// The first process in it, where its namespace is not known.
    First(Option<HostPid>),
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What is drawn.
    pub(crate) row: Row,
    /// What it is.
    pub(crate) key: LineKey,
    /// What stands below it is not shown.
    pub(crate) is_folded: bool,
    /// How many lines stand below it.
    pub(crate) below: usize,
}

/// The lines, and the window on them.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The host and its counts.
    pub(crate) head: String,
    /// The largest PID of each level.
    pub(crate) largest: Vec<u32>,
    lines: Vec<Line>,
    /// Those that are not folded away, by their place in `lines`.
    visible: Vec<usize>,
    folded: HashSet<LineKey>,
    /// The chosen line, by its place in `visible`.
    cursor: usize,
    /// The first line of the window, likewise.
    top: usize,
    /// Lines of the window.
    height: usize,
    /// Whether the wheel was turned since a line was chosen: the window leaves the choice behind.
    is_adrift: bool,
}

impl Line {
    fn new(row: Row) -> Self {
        let key = match (&row.subject, row.shape) {
            (Subject::Process(pid), _) => LineKey::Process(*pid),
            (Subject::Thread { tid, .. }, _) => LineKey::Thread(*tid),
            (Subject::Zombies(pids), _) => LineKey::Zombies(pids.first().copied()),
            (Subject::KernelThreads(_), _) => LineKey::KernelThreads,
            (Subject::Box { namespace, head }, shape) => {
                let id = namespace.map_or(BoxId::First(*head), BoxId::Namespace);
                match shape {
                    Shape::Bottom(_) => LineKey::Bottom(id),
                    _ => LineKey::Top(id),
                }
            }
            (Subject::Note, _) => {
                LineKey::Note(row.label.iter().map(|p| p.text.as_ref()).collect())
            }
        };
        Self {
            row,
            key,
            is_folded: false,
            below: 0,
        }
    }

    /// Whether it can be chosen.
    fn is_choice(&self) -> bool {
        !matches!(self.row.shape, Shape::Bottom(_))
    }

    /// The process that it stands for.
    pub(crate) fn pid(&self) -> Option<HostPid> {
        match &self.row.subject {
            Subject::Process(pid) => Some(*pid),
            Subject::Thread { process, .. } => Some(*process),
            Subject::Zombies(pids) => pids.first().copied(),
            Subject::Box { head, .. } => *head,
            Subject::KernelThreads(_) | Subject::Note => None,
        }
    }

    /// Whether it shows a process, alone or among others.
    pub(crate) fn shows(&self, pid: HostPid) -> bool {
        match &self.row.subject {
            Subject::Process(own) => *own == pid,
            Subject::Zombies(all) | Subject::KernelThreads(all) => all.contains(&pid),
            Subject::Thread { .. } | Subject::Box { .. } | Subject::Note => false,
        }
    }
}

impl Tree {
    /// Takes over a new drawing. The chosen line stays chosen, and where it is on the screen.
    pub(super) fn set(&mut self, rows: Rows) {
        let old = std::mem::take(&mut self.lines);
        let (cursor, top) = (self.key_at(&old, self.cursor), self.key_at(&old, self.top));
        self.head = rows.head;
        self.largest = rows.largest;
        self.lines = rows.rows.into_iter().map(Line::new).collect();
        self.refold();
        let before = self.cursor;
        match cursor.and_then(|key| self.find(&key)) {
            Some(at) => self.cursor = at,
            None => self.leave_notes(),
        }
        if !self.is_adrift {
            // The chosen line stays where the eye is.
            let moved = self.top.saturating_add(self.cursor);
            self.top = moved.saturating_sub(before);
        } else if let Some(at) = top.and_then(|key| self.find(&key)) {
            self.top = at;
        }
        self.settle();
    }

    /// What was chosen is gone: something of the tree is chosen in its place, not a text below it.
    fn leave_notes(&mut self) {
        let is_of_tree = |at: &usize| {
            let line = self.visible.get(*at).and_then(|line| self.lines.get(*line));
            line.is_some_and(|line| line.is_choice() && line.row.shape != Shape::Note)
        };
        let last = self.cursor.min(self.visible.len().saturating_sub(1));
        let mut places = (0..=last).rev();
        self.cursor = places.find(is_of_tree).unwrap_or(self.cursor);
    }

    fn key_at(&self, lines: &[Line], at: usize) -> Option<LineKey> {
        let line = lines.get(*self.visible.get(at)?)?;
        Some(line.key.clone())
    }

    fn find(&self, key: &LineKey) -> Option<usize> {
        let mut all = self.visible.iter();
        all.position(|at| self.lines.get(*at).is_some_and(|line| line.key == *key))
    }

    /// Works out which lines are shown.
    fn refold(&mut self) {
        count_below(&mut self.lines);
        self.visible.clear();
        let mut next = 0;
        for (at, line) in self.lines.iter_mut().enumerate() {
            line.is_folded = line.below > 0 && self.folded.contains(&line.key);
            if at < next {
                continue;
            }
            next = at + 1 + if line.is_folded { line.below } else { 0 };
            self.visible.push(at);
        }
    }

    /// The lines of the window, from top to bottom, with their places.
    pub(crate) fn window(&self) -> impl Iterator<Item = (usize, &Line)> {
        let shown = self.visible.iter().enumerate();
        shown
            .skip(self.top)
            .take(self.height)
            .filter_map(|(at, line)| Some((at, self.lines.get(*line)?)))
    }

    /// The place of the chosen line, of how many.
    pub(crate) fn position(&self) -> (usize, usize) {
        (self.cursor, self.visible.len())
    }

    /// The chosen line.
    pub(crate) fn chosen(&self) -> Option<&Line> {
        self.lines.get(*self.visible.get(self.cursor)?)
    }

    /// How high the window is.
    pub(super) fn set_height(&mut self, height: usize) {
        if self.height != height {
            self.height = height;
            self.settle();
        }
    }

    /// Moves the choice by lines, over what cannot be chosen.
    pub(super) fn go(&mut self, lines: isize) {
        let last = self.visible.len().saturating_sub(1);
        let wanted = self.cursor.saturating_add_signed(lines).min(last);
        let forward = lines >= 0;
        let found = self.choice_from(wanted, forward);
        self.cursor = found
            .or_else(|| self.choice_from(wanted, !forward))
            .unwrap_or(wanted);
        self.is_adrift = false;
        self.settle();
    }

    fn choice_from(&self, start: usize, forward: bool) -> Option<usize> {
        let is_choice = |at: &usize| {
            let line = self.visible.get(*at).and_then(|line| self.lines.get(*line));
            line.is_some_and(Line::is_choice)
        };
        if forward {
            (start..self.visible.len()).find(is_choice)
        } else {
            (0..=start).rev().find(is_choice)
        }
    }

    /// Moves the choice by so many windows.
    pub(super) fn page(&mut self, windows: isize) {
        let page = isize::try_from(self.height.saturating_sub(2).max(1)).unwrap_or(1);
        self.go(page.saturating_mul(windows));
    }

    /// Moves the window alone.
    pub(super) fn scroll(&mut self, lines: i32) {
        let lines = isize::try_from(lines).unwrap_or(0);
        self.top = self.top.saturating_add_signed(lines);
        self.is_adrift = true;
        self.settle();
    }

    /// Chooses the line at a row of the window. Whether there is one.
    pub(super) fn choose_row(&mut self, row: usize) -> bool {
        let at = self.top + row;
        let is_there = self.choice_from(at, true) == Some(at);
        if is_there {
            self.cursor = at;
            self.is_adrift = false;
        }
        is_there
    }

    /// Folds the chosen line, or unfolds it.
    pub(super) fn toggle(&mut self) {
        let Some(line) = self.chosen().filter(|line| line.below > 0) else {
            return;
        };
        let key = line.key.clone();
        if !self.folded.remove(&key) {
            self.folded.insert(key);
        }
        self.refold();
        self.settle();
    }

    /// Folds every box, or, where one is folded, unfolds everything.
    pub(super) fn toggle_boxes(&mut self) {
        let chosen = self.chosen().map(|line| line.key.clone());
        if self.folded.is_empty() {
            let tops = self.lines.iter();
            let tops = tops.filter(|line| matches!(line.key, LineKey::Top(..)));
            self.folded.extend(tops.map(|line| line.key.clone()));
        } else {
            self.folded.clear();
        }
        self.refold();
        if let Some(at) = chosen.and_then(|key| self.find(&key)) {
            self.cursor = at;
        }
        self.is_adrift = false;
        self.settle();
    }

    /// Chooses the line that shows a process, unfolding what hides it. Whether there is one.
    pub(crate) fn reveal(&mut self, pid: HostPid) -> bool {
        let Some(at) = self.lines.iter().position(|line| line.shows(pid)) else {
            return false;
        };
        let mut depth = self.lines.get(at).map_or(0, |line| line.row.depth);
        for line in self.lines.get(..at).unwrap_or_default().iter().rev() {
            if line.row.depth < depth {
                depth = line.row.depth;
                self.folded.remove(&line.key);
            }
        }
        self.refold();
        if let Some(cursor) = self.visible.iter().position(|line| *line == at) {
            self.cursor = cursor;
            self.is_adrift = false;
            self.center();
        }
        true
    }

    fn center(&mut self) {
        let is_shown = (self.top..self.top + self.height).contains(&self.cursor);
        if !is_shown {
            self.top = self.cursor.saturating_sub(self.height / 2);
        }
        self.settle();
    }

    /// Keeps choice and window within the lines, and the choice within a window that follows.
    fn settle(&mut self) {
        let count = self.visible.len();
        self.cursor = self.cursor.min(count.saturating_sub(1));
        if self.choice_from(self.cursor, true) != Some(self.cursor) {
            let near = self.choice_from(self.cursor, false);
            self.cursor = near.or_else(|| self.choice_from(0, true)).unwrap_or(0);
        }
        if !self.is_adrift {
            self.top = self.top.min(self.cursor);
            let lowest = (self.cursor + 1).saturating_sub(self.height);
            self.top = self.top.max(lowest);
        }
        self.top = self.top.min(count.saturating_sub(self.height));
    }
}

/// Counts for every line how many stand below it; of a box its lower border is one of them.
fn count_below(lines: &mut [Line]) {
    let mut open: Vec<(usize, usize)> = Vec::new();
    for at in 0..=lines.len() {
        let (depth, shape) = match lines.get(at) {
            Some(line) => (line.row.depth, line.row.shape),
            None => (0, Shape::Note),
        };
        while let Some((above, depth_above)) = open.last().copied() {
            if depth > depth_above && shape != Shape::Note {
                break;
            }
            open.pop();
            let Some(line) = lines.get_mut(above) else {
                continue;
            };
            let is_own_border = matches!(shape, Shape::Bottom(_))
                && matches!(line.row.shape, Shape::Top(_))
                && depth == depth_above;
            line.below = at - above - 1 + usize::from(is_own_border);
        }
        if matches!(shape, Shape::Entry(_) | Shape::Top(_)) {
            open.push((at, depth));
        }
    }
}

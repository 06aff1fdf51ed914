//! What is in each box: its own processes as rows, the boxes in it, and texts.

use berth_base::{HostPid, NamespaceId, NamespaceKind, escape_untrusted};
use unicode_width::UnicodeWidthStr as _;

use super::Folding;
use super::alike::{extend_pids, fold_boxes, fold_rows};
use super::picture::{Mood, Tint, Word};
use crate::model::{Process, World};
use crate::picture::{
    Crowds, Entry, Forest, Hue, Hues, Member, Node, Space, Span, Title, Tone, Words, cut, thousands,
};
use crate::scope::Role;

/// The most characters of what is said of one process.
const LABEL_ROOM: usize = 58;
/// The most lines about wires: a picture is for an overview.
const MOST_WIRES: usize = 24;

/// One pill to be: a process, a thread, or several that look alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Processes above it in the same box.
    pub depth: usize,
    /// The row of its parent, where that is in the same box.
    pub parent: Option<usize>,
    /// The processes that it stands for; of a crowd that was folded the first one alone, and of a
    /// thread none.
    pub processes: Vec<HostPid>,
    /// How many it stands for.
    pub count: usize,
    /// The thread that it stands for.
    pub thread: Option<HostPid>,
    /// Its name and what is said of it.
    pub words: Vec<Word>,
    /// Its PID at each level; of several processes the first and the last, `7…12`.
    pub pids: Vec<String>,
    /// See [`super::Pill::is_odd`].
    pub is_odd: bool,
    /// See [`super::Pill::is_context`].
    pub is_context: bool,
    /// See [`super::Pill::tooltip`].
    pub tooltip: String,
}

/// Which box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BoxId {
    /// The host's, around everything.
    Host,
    /// A namespace of the lens.
    Namespace(NamespaceId),
    /// A PID namespace whose link could not be read, by the first process found in it.
    Unknown(HostPid),
    /// All namespaces that could not be read and that nothing tells apart.
    Unread,
}

/// One box to be, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Which it is.
    pub id: BoxId,
    /// The process that stands for it: its PID 1, else the first one.
    pub head: Option<HostPid>,
    /// Its colour.
    pub tint: Tint,
    /// The title line.
    pub title: Vec<Word>,
    /// Pieces of text below the title.
    pub facts: Vec<Word>,
    /// Its own processes.
    pub rows: Vec<Row>,
    /// The colours of the PIDs of its rows, by level.
    pub tints: Vec<Tint>,
    /// The boxes in it.
    pub inner: Vec<Content>,
    /// Paragraphs at its foot.
    pub foot: Vec<Vec<Word>>,
    /// How many boxes it stands for.
    pub count: usize,
    /// See [`super::Panel::tooltip`].
    pub tooltip: String,
}

/// Reads a forest, crowds folded.
pub(super) struct Reader<'r, 'w, 's> {
    world: &'w World,
    forest: &'r Forest<'w, 's>,
    words: &'r Words<'w>,
    crowds: &'r Crowds<'r>,
    folding: Folding,
    hues: Hues,
}

impl<'r, 'w, 's> Reader<'r, 'w, 's> {
    pub(super) fn new(
        world: &'w World,
        forest: &'r Forest<'w, 's>,
        words: &'r Words<'w>,
        crowds: &'r Crowds<'r>,
        folding: Folding,
    ) -> Self {
        Self {
            world,
            forest,
            words,
            crowds,
            folding,
            hues: Hues::default(),
        }
    }

    /// The host, and everything in it.
    pub(super) fn host(mut self) -> Content {
        let head = self.words.head(self.forest);
        let name = self.words.host_name();
        let counts = head.strip_prefix(&name).unwrap_or(&head).split("   ");
        let counts = counts.filter(|text| !text.is_empty());
        let counts = counts.map(|text| word(Mood::Plain, text.to_owned()));
        let legend = "name | PID on the host | PID at each level below".to_owned();
        let legend = word(Mood::Faint, legend);
        let mut content = Content {
            id: BoxId::Host,
            head: None,
            tint: Tint::Host,
            title: vec![word(Mood::Plain, name)],
            facts: counts.chain([legend]).collect(),
            tints: vec![Tint::Host],
            rows: Vec::new(),
            inner: Vec::new(),
            foot: vec![said(self.words.foot(self.forest, Space::Host))],
            count: 1,
            tooltip: head,
        };
        let wires = self.words.wires(self.forest);
        let more = wires.len().saturating_sub(MOST_WIRES);
        // Blanks at the beginning would not be drawn.
        let mut wires: Vec<String> = wires
            .into_iter()
            .take(MOST_WIRES)
            .map(|line| line.replace("  ", "\u{a0}\u{a0}"))
            .collect();
        if more > 0 {
            wires.push(format!("and {more} more"));
        }
        let below = self.words.hidden(self.forest);
        let below = wires
            .into_iter()
            .chain(below)
            .chain(self.words.unreadable());
        content
            .foot
            .extend(below.map(|text| vec![word(Mood::Faint, text)]));
        self.fill(&mut content, Space::Host);
        content
    }

    fn space(&mut self, space: Space, member: &Member, above: Option<&Process>) -> Content {
        let hue = self.hues.open();
        let title = self.words.title(self.forest, space);
        let tints = match self.forest.lens() {
            // Levels from 1 have the colours of the boxes around their PIDs.
            NamespaceKind::Pid => {
                let levels = self.hues.around().count();
                let boxes = (0..levels).map(|level| Tint::Box(level % Hue::COUNT));
                std::iter::once(Tint::Host).chain(boxes).collect()
            }
            _ => vec![Tint::Host],
        };
        let tint = match self.forest.lens() {
            NamespaceKind::Pid => tints.last().copied().unwrap_or(Tint::Host),
            _ => Tint::Box(hue.0),
        };
        let mut content = Content {
            id: match space {
                Space::Host => BoxId::Host,
                Space::Known(id) => BoxId::Namespace(id),
                Space::Unknown(first) => BoxId::Unknown(first),
                Space::Unread => BoxId::Unread,
            },
            head: self.forest.head(space).map(|head| head.pid),
            tint,
            tooltip: tooltip(&title, above),
            title: title_words(&title, member.count),
            facts: Vec::new(),
            tints,
            rows: Vec::new(),
            inner: Vec::new(),
            foot: vec![said(self.words.foot(self.forest, space))],
            count: member.count,
        };
        let mut facts = said(title.facts);
        if let Some(above) = above {
            let comm = cut(&escape_untrusted(&above.comm), 20, "…");
            facts.push(word(Mood::Faint, format!("below {comm} {}", above.pid)));
        }
        content.facts = facts;
        self.fill(&mut content, space);
        self.hues.close();
        content
    }

    /// Reads what is in a space. Processes with a stack of our own, as their chains can be deeper
    /// than the call stack; boxes by recursion, as the kernel nests 32 deep.
    fn fill(&mut self, content: &mut Content, space: Space) {
        let crowds = self.crowds;
        let mut rows: Vec<Row> = Vec::new();
        let mut todo: Vec<(Node, &Member, usize, Option<usize>)> = Vec::new();
        let push = |todo: &mut Vec<_>, node, depth, parent| {
            let members = crowds.members(node).iter().rev();
            todo.extend(members.map(|member| (node, member, depth, parent)));
        };
        push(&mut todo, Node::Space(space), 0, None);
        while let Some((node, member, depth, parent)) = todo.pop() {
            if let Entry::Space(inner) = member.entry {
                let above = match node {
                    Node::Process(pid) => self.world.process(pid),
                    Node::Space(_) => None,
                };
                let inner = self.space(*inner, member, above);
                content.inner.push(inner);
                continue;
            }
            let Some(row) = self.row(node, member) else {
                continue;
            };
            let at = rows.len();
            rows.push(Row {
                depth,
                parent,
                ..row
            });
            if let Entry::Process(pid) = member.entry {
                push(&mut todo, Node::Process(*pid), depth + 1, Some(at));
            }
        }
        content.rows = match self.folding {
            Folding::Crowds => fold_rows(rows),
            Folding::Nothing => rows,
        };
        if self.folding == Folding::Crowds {
            content.inner = fold_boxes(std::mem::take(&mut content.inner));
        }
    }

    fn row(&self, node: Node, member: &Member) -> Option<Row> {
        let (spans, pids, last) = match member.entry {
            Entry::Process(pid) => {
                let process = self.world.process(*pid)?;
                let last = member.last.and_then(|pid| self.world.process(pid));
                let spans = self.words.process(self.forest, node, process);
                (spans, process.pids.clone(), last.map(|p| p.pids.clone()))
            }
            Entry::Thread(pid, at) => {
                let threads = self.world.threads(*pid);
                let thread = threads.get(*at)?;
                let last = threads.iter().find(|t| Some(t.tid) == member.last);
                let spans = self.words.thread(self.world.process(*pid)?, thread);
                (spans, thread.tids.clone(), last.map(|t| t.tids.clone()))
            }
            Entry::Zombies(pids) => {
                let zombies = pids.iter().filter_map(|pid| self.world.process(*pid));
                let zombies: Vec<&Process> = zombies.collect();
                let last = zombies.last().map(|p| p.pids.clone());
                let first = zombies.first()?.pids.clone();
                let spans = self.words.zombies(&zombies);
                let row = dress(spans, &first, last, 1, false);
                return Some(Row {
                    count: pids.len(),
                    processes: pids.clone(),
                    ..row
                });
            }
            Entry::KernelThreads(pids) => {
                let name = Span::new(Tone::Faint, "kernel threads");
                let row = dress(vec![name], &[], None, pids.len(), false);
                return Some(Row {
                    processes: pids.clone(),
                    ..row
                });
            }
            Entry::Space(_) => return None,
        };
        let context = match member.entry {
            Entry::Process(pid) => self.forest.selection().role(*pid) == Role::Context,
            _ => false,
        };
        let (processes, thread) = match member.entry {
            Entry::Process(pid) => (vec![*pid], None),
            Entry::Zombies(pids) => (pids.clone(), None),
            Entry::Thread(pid, at) => (Vec::new(), self.tid(*pid, *at)),
            Entry::KernelThreads(_) | Entry::Space(_) => (Vec::new(), None),
        };
        Some(Row {
            processes,
            thread,
            ..dress(spans, &pids, last, member.count, context)
        })
    }

    fn tid(&self, process: HostPid, at: usize) -> Option<HostPid> {
        Some(self.world.threads(process).get(at)?.tid)
    }
}

/// Words and PIDs as a row shows them.
fn dress(
    spans: Vec<Span>,
    pids: &[u32],
    last: Option<Vec<u32>>,
    count: usize,
    is_context: bool,
) -> Row {
    let texts: Vec<&str> = spans.iter().map(|span| span.text.as_str()).collect();
    let levels: Vec<String> = pids.iter().map(u32::to_string).collect();
    let mut tooltip = format!("{}: {}", texts.join(", "), levels.join(" | "));
    let mut shown = levels;
    if let Some(last) = last {
        let last: Vec<String> = last.iter().map(u32::to_string).collect();
        extend_pids(&mut shown, &last);
    }
    if count > 1 && !pids.is_empty() {
        tooltip.push_str(&format!(", and {} more like it", thousands(count - 1)));
    }
    let is_odd = spans.iter().skip(1).any(|span| span.tone == Tone::Alarm);
    let mut words = said(spans);
    if count > 1 {
        words.insert(1, word(Mood::Count, format!("×{}", thousands(count))));
    }
    Row {
        count,
        words: shorten(words),
        pids: shown,
        is_odd,
        is_context,
        tooltip,
        ..Row::default()
    }
}

/// Cuts a row of words to the room of a label.
fn shorten(words: Vec<Word>) -> Vec<Word> {
    let mut left = LABEL_ROOM;
    let mut kept = Vec::new();
    for mut word in words {
        if left < 3 {
            break;
        }
        word.text = cut(&word.text, left, "…");
        left = left.saturating_sub(word.text.width() + 1);
        kept.push(word);
    }
    kept
}

fn title_words(title: &Title, count: usize) -> Vec<Word> {
    let mut words = vec![word(Mood::Plain, title.name.text.clone())];
    if count > 1 {
        words.push(word(Mood::Count, format!("×{}", thousands(count))));
    }
    let origin = title.origin.iter();
    words.extend(origin.map(|span| word(Mood::Faint, span.text.clone())));
    words
}

fn tooltip(title: &Title, above: Option<&Process>) -> String {
    let spans = std::iter::once(&title.name)
        .chain(&title.origin)
        .chain(&title.facts);
    let mut texts: Vec<String> = spans.map(|span| span.text.clone()).collect();
    if let Some(above) = above {
        let comm = escape_untrusted(&above.comm);
        texts.push(format!("below {comm} {}", above.pid));
    }
    texts.join(", ")
}

fn said(spans: Vec<Span>) -> Vec<Word> {
    let mood = |tone| match tone {
        Tone::Name | Tone::Plain => Mood::Plain,
        Tone::Faint => Mood::Faint,
        Tone::Alarm => Mood::Alarm,
    };
    let words = spans.into_iter();
    words.map(|s| word(mood(s.tone), s.text)).collect()
}

pub(super) fn word(mood: Mood, text: String) -> Word {
    Word { text, mood }
}

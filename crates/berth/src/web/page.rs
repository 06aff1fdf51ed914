//! A world as fragments of HTML, each with a place. Pure.
//!
//! A fragment is the head and foot of one box, or one pill. That is small enough that a process
//! which starts costs its own pill and the counts in the boxes around it, and large enough that
//! the page's script never looks inside of one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_map::World;
use berth_map::live::BootTime;
use berth_map::svg::{BoxId, Content, Folding, PictureOptions, Row, outline, push_text};

use super::fragments::Fragments;
use super::html::{level_tint, push_words, put};

/// With more processes than this, those that look alike are one pill: browsers slow down.
const FOLD_FROM: usize = 6000;
/// From this depth on pills are indented no further.
const DEEPEST: usize = 12;

/// What a client looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ViewKey {
    /// The kind of namespace that boxes stand for.
    pub(crate) lens: NamespaceKind,
    /// The PID namespace that it stands inside of.
    pub(crate) inside: Option<NamespaceId>,
    /// The moment that it looks back to.
    pub(crate) at: Option<BootTime>,
}

/// Names a fragment, here and as the `id` of its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FragmentId {
    Box(BoxId),
    Process(HostPid),
    Thread(HostPid),
    KernelThreads,
}

/// One piece of the page.
#[derive(Clone, Debug)]
pub(super) struct Fragment {
    pub(super) id: FragmentId,
    /// The box it is in; `None` for the outermost.
    pub(super) within: Option<FragmentId>,
    /// Processes above it in its box.
    pub(super) depth: usize,
    pub(super) html: Arc<str>,
}

impl Fragment {
    /// Whether a client that has the one needs nothing for the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
            && self.within == other.within
            && (Arc::ptr_eq(&self.html, &other.html) || self.html == other.html)
    }
}

/// A world as a client sees it.
#[derive(Debug)]
pub(super) struct Page {
    /// Rises with each page of a view.
    pub(super) number: u64,
    /// The host that it shows, or a part of.
    pub(super) host: Arc<World>,
    /// In the order of the document: a box, its pills, the boxes in it.
    pub(super) fragments: Fragments,
    /// What is said beside the picture.
    pub(super) meta: serde_json::Value,
    /// Messages that lead to it, by the number of the page they begin with: most clients of a
    /// view have the same one.
    pub(super) messages: Mutex<Vec<(Option<u64>, Arc<str>)>>,
}

impl fmt::Display for FragmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Box(BoxId::Host) => f.write_str("host"),
            Self::Box(BoxId::Namespace(id)) => write!(f, "b{}", id.inode),
            Self::Box(BoxId::Unknown(first)) => write!(f, "u{first}"),
            Self::Box(BoxId::Unread) => f.write_str("unread"),
            Self::Process(pid) => write!(f, "p{pid}"),
            Self::Thread(tid) => write!(f, "t{tid}"),
            Self::KernelThreads => f.write_str("kernel"),
        }
    }
}

/// Draws a world. The name is the title of the outermost box where that is not the host's.
pub(super) fn draw(world: &World, lens: NamespaceKind, name: Option<&str>) -> (Content, Fragments) {
    let options = PictureOptions {
        lens,
        ..PictureOptions::default()
    };
    let folding = match world.processes().len() {
        0..FOLD_FROM => Folding::Nothing,
        _ => Folding::Crowds,
    };
    let mut root = outline(world, &options, folding);
    if let Some(name) = name {
        rename(&mut root, name);
    }
    let mut drawing = Drawing {
        world,
        lens,
        fragments: Vec::with_capacity(world.processes().len() + 64),
    };
    drawing.add_box(&root, None, 0);
    (root, Fragments::new(drawing.fragments))
}

/// The outermost box as a container's own.
fn rename(root: &mut Content, name: &str) {
    if let Some(title) = root.title.first_mut() {
        name.clone_into(&mut title.text);
    }
    if let Some(legend) = root.facts.last_mut() {
        "name | PID here | PID at each level below".clone_into(&mut legend.text);
    }
}

struct Drawing<'w> {
    world: &'w World,
    lens: NamespaceKind,
    fragments: Vec<Fragment>,
}

impl Drawing<'_> {
    fn add_box(&mut self, content: &Content, within: Option<FragmentId>, level: usize) {
        let id = FragmentId::Box(content.id);
        self.fragments.push(Fragment {
            id,
            within,
            depth: 0,
            html: self.box_html(content, id, level).into(),
        });
        for row in &content.rows {
            self.add_row(row, id);
        }
        for inner in &content.inner {
            self.add_box(inner, Some(id), level + 1);
        }
    }

    fn box_html(&self, content: &Content, id: FragmentId, level: usize) -> String {
        let mut out = String::with_capacity(512);
        let hue = content.tint.as_str();
        let crowd = if content.count > 1 { " crowd" } else { "" };
        put(
            &mut out,
            format_args!("<section id=\"{id}\" class=\"box {hue}{crowd}\" data-level=\"{level}\""),
        );
        if let (NamespaceKind::Pid, BoxId::Namespace(ns)) = (self.lens, content.id) {
            put(&mut out, format_args!(" data-ns=\"{}\"", ns.inode));
        }
        if let Some(head) = content.head {
            put(&mut out, format_args!(" data-head=\"p{head}\""));
        }
        out.push_str(" role=\"group\" aria-label=\"");
        push_text(&mut out, &content.tooltip);
        out.push_str("\"><header><h2>");
        push_words(&mut out, &content.title);
        out.push_str("</h2><p>");
        push_words(&mut out, &content.facts);
        out.push_str("</p></header><footer>");
        for words in content.foot.iter().filter(|words| !words.is_empty()) {
            out.push_str("<p>");
            push_words(&mut out, words);
            out.push_str("</p>");
        }
        out.push_str("</footer></section>");
        out
    }

    fn add_row(&mut self, row: &Row, within: FragmentId) {
        let id = match (row.processes.as_slice(), row.thread) {
            (_, Some(tid)) => FragmentId::Thread(tid),
            (_, None) if row.pids.is_empty() => FragmentId::KernelThreads,
            ([first, ..], None) => FragmentId::Process(*first),
            ([], None) => return,
        };
        let process = row
            .processes
            .first()
            .and_then(|pid| self.world.process(*pid));
        let process = process.filter(|_| id != FragmentId::KernelThreads);
        let pill = Pill {
            id,
            depth: row.depth,
            parent: process.and_then(|p| p.parent),
            namespace: process.and_then(|p| p.pid_namespace()),
            count: row.count,
            is_odd: row.is_odd,
        };
        let html = pill.html(&row.pids, |out| push_words(out, &row.words));
        self.fragments.push(Fragment {
            id,
            within: Some(within),
            depth: row.depth,
            html: html.into(),
        });
    }
}

/// The frame of a pill.
pub(super) struct Pill {
    pub(super) id: FragmentId,
    pub(super) depth: usize,
    pub(super) parent: Option<HostPid>,
    pub(super) namespace: Option<NamespaceId>,
    pub(super) count: usize,
    pub(super) is_odd: bool,
}

impl Pill {
    /// A pill with these PIDs, one cell each; `words` writes what is said of it.
    pub(super) fn html(&self, pids: &[String], words: impl Fn(&mut String)) -> String {
        let mut out = String::with_capacity(320);
        let depth = self.depth.min(DEEPEST);
        let odd = if self.is_odd { " odd" } else { "" };
        put(
            &mut out,
            format_args!(
                "<div id=\"{}\" class=\"pill d{depth}{odd}\" role=\"treeitem\" tabindex=\"-1\" \
                 aria-level=\"{}\"",
                self.id,
                self.depth + 1
            ),
        );
        if let Some(parent) = self.parent {
            put(&mut out, format_args!(" data-up=\"p{parent}\""));
        }
        if let Some(namespace) = self.namespace {
            put(&mut out, format_args!(" data-in=\"{}\"", namespace.inode));
        }
        if self.count > 1 {
            put(&mut out, format_args!(" data-count=\"{}\"", self.count));
        }
        out.push_str("><span class=\"name\">");
        words(&mut out);
        out.push_str("</span>");
        for (level, pid) in pids.iter().enumerate() {
            let hue = level_tint(level).as_str();
            put(&mut out, format_args!("<b class=\"{hue}\">"));
            push_text(&mut out, pid);
            out.push_str("</b>");
        }
        out.push_str("</div>");
        out
    }
}

/// Where each fragment is.
pub(super) fn places(fragments: &[&Fragment]) -> HashMap<FragmentId, usize> {
    let all = fragments.iter().enumerate();
    all.map(|(at, fragment)| (fragment.id, at)).collect()
}

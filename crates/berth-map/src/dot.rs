//! The host as a graph for Graphviz: namespaces as clusters, processes as nodes, an edge from
//! each parent to its child.
//!
//! The format is Graphviz's own (its page "The DOT Language"). Crowds are folded as in the SVG
//! picture.

use std::fmt::Write as _;

use crate::model::{Process, World};
use crate::picture::{Crowds, Entry, Forest, Member, Node, Space, Span, Words, thousands};
use crate::svg::PictureOptions;

/// The border colours of clusters, in turn.
const COLORS: [&str; 6] = [
    "#0969da", "#1a7f37", "#8250df", "#bc4c00", "#0f766e", "#bf3989",
];

/// Draws a snapshot as a graph. No text of a process is markup in it.
pub fn write(world: &World, options: &PictureOptions) -> String {
    let forest = Forest::plant(world, options.arrangement());
    let words = Words::new(world, options.inodes);
    let crowds = Crowds::find(world, &forest, &words);
    let mut graph = Graph {
        world,
        forest: &forest,
        words: &words,
        crowds: &crowds,
        text: String::new(),
        edges: String::new(),
        nodes: 0,
        clusters: 0,
    };
    graph.line(format_args!("digraph berth {{"));
    graph.line(format_args!(
        "  graph [rankdir=LR, fontname=\"sans-serif\", label={}];",
        quote(&[words.head(&forest)])
    ));
    graph.line(format_args!(
        "  node [shape=box, style=rounded, fontname=\"monospace\", fontsize=10];"
    ));
    graph.space(Space::Host, None);
    let edges = std::mem::take(&mut graph.edges);
    graph.text.push_str(&edges);
    graph.line(format_args!("}}"));
    graph.text
}

struct Graph<'g, 'w, 's> {
    world: &'w World,
    forest: &'g Forest<'w, 's>,
    words: &'g Words<'w>,
    crowds: &'g Crowds<'g>,
    text: String,
    edges: String,
    nodes: usize,
    clusters: usize,
}

impl Graph<'_, '_, '_> {
    /// Writing to a String cannot fail.
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{text}").unwrap_or_default();
    }

    /// What is in a space. Clusters by recursion, as the kernel nests 32 deep; processes with a
    /// stack, as their chains can be deeper than the call stack.
    fn space(&mut self, space: Space, above: Option<usize>) {
        let mut todo: Vec<(Node, Member, Option<usize>)> = Vec::new();
        let crowds = self.crowds;
        let push = |todo: &mut Vec<_>, node, parent| {
            let members = crowds.members(node).iter().rev();
            todo.extend(members.map(|member| (node, *member, parent)));
        };
        push(&mut todo, Node::Space(space), above);
        while let Some((node, member, parent)) = todo.pop() {
            if let Entry::Space(inner) = member.entry {
                self.cluster(*inner, member.count, parent);
                continue;
            }
            let number = self.node(node, &member, parent);
            if let Entry::Process(pid) = member.entry {
                push(&mut todo, Node::Process(*pid), Some(number));
            }
        }
    }

    fn cluster(&mut self, space: Space, count: usize, above: Option<usize>) {
        let title = self.words.title(self.forest, space);
        let mut first = vec![title.name.text];
        if count > 1 {
            first.push(format!("×{}", thousands(count)));
        }
        first.extend(title.origin.into_iter().map(|span| span.text));
        let foot = self.words.foot(self.forest, space);
        let lines = [first.join("  "), join(title.facts), join(foot)];
        let number = self.clusters;
        self.clusters += 1;
        let color = COLORS.get(number % COLORS.len()).copied().unwrap_or("gray");
        self.line(format_args!("subgraph cluster_{number} {{"));
        let label = quote(&lines);
        self.line(format_args!(
            "  label={label}; color=\"{color}\"; style=rounded;"
        ));
        self.space(space, above);
        self.line(format_args!("}}"));
    }

    fn node(&mut self, node: Node, member: &Member, parent: Option<usize>) -> usize {
        let number = self.nodes;
        self.nodes += 1;
        let label = quote(&self.label(node, member));
        self.line(format_args!("  n{number} [label={label}];"));
        if let Some(parent) = parent {
            let edge = format!("  n{parent} -> n{number};\n");
            self.edges.push_str(&edge);
        }
        number
    }

    /// Name and marks, and the PIDs at each level.
    fn label(&self, node: Node, member: &Member) -> [String; 2] {
        let (spans, pids) = match member.entry {
            Entry::Process(pid) => match self.world.process(*pid) {
                Some(process) => (
                    self.words.process(self.forest, node, process),
                    process.pids.clone(),
                ),
                None => (Vec::new(), Vec::new()),
            },
            Entry::Thread(pid, at) => {
                let thread = self.world.threads(*pid).get(*at);
                match self.world.process(*pid).zip(thread) {
                    Some((process, thread)) => {
                        (self.words.thread(process, thread), thread.tids.clone())
                    }
                    None => (Vec::new(), Vec::new()),
                }
            }
            Entry::Zombies(pids) => {
                let zombies = pids.iter().filter_map(|pid| self.world.process(*pid));
                let zombies: Vec<&Process> = zombies.collect();
                let first = zombies.first().map(|p| p.pids.clone());
                (self.words.zombies(&zombies), first.unwrap_or_default())
            }
            Entry::KernelThreads(pids) => {
                let text = format!("kernel threads x{}", thousands(pids.len()));
                return [text, String::new()];
            }
            // A box is a cluster, not a node.
            Entry::Space(_) => (Vec::new(), Vec::new()),
        };
        let mut name = join(spans);
        if member.count > 1 {
            name.push_str(&format!("  ×{}", thousands(member.count)));
        }
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        [name, pids.join(" | ")]
    }
}

fn join(spans: Vec<Span>) -> String {
    let texts: Vec<String> = spans.into_iter().map(|span| span.text).collect();
    texts.join("  ")
}

/// A label of lines as a quoted string. In one, a quote ends it and a backslash begins an escape
/// (the type escString); the words hold no control characters.
fn quote(lines: &[String]) -> String {
    let mut text = String::from("\"");
    let lines = lines.iter().filter(|line| !line.is_empty());
    for (at, line) in lines.enumerate() {
        if at > 0 {
            text.push_str("\\n");
        }
        for c in line.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            // An ampersand begins an HTML entity even here.
            if c == '&' {
                text.push_str("&amp;");
            } else {
                text.push(c);
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_quotes() {
        let lines = ["a\"];b\\".to_owned(), "&lt;\\N".to_owned()];
        assert_eq!(quote(&lines), r#""a\"];b\\\n&amp;lt;\\N""#);
    }
}

//! What is said of a process and of a thread.

use berth_base::{NamespaceKind, escape_untrusted};

use super::title::is_nameless;
use super::{Span, Tone, Words, join, shown_name};
use crate::model::{Engine, Links, NamespaceSet, Process, Thread};
use crate::picture::{Forest, Node, Space};
use crate::zombie::Culprit;

impl Words<'_> {
    /// A process: its name and what is worth marking.
    pub(crate) fn process(&self, forest: &Forest, node: Node, process: &Process) -> Vec<Span> {
        let mut words = vec![Span::new(Tone::Name, shown_name(&process.comm))];
        if process.links == Links::Denied && self.mark_denied {
            words.push(Span::new(Tone::Alarm, "?"));
        }
        if process.is_namespace_init() {
            words.push(Span::new(Tone::Faint, "(pid 1)"));
        }
        words.extend(self.state_of(forest, process));
        words.extend(self.boxless_container(forest, process));
        words.extend(self.outside_parent(forest, node, process));
        words.extend(self.joined_host(forest, process));
        words
    }

    /// Zombie, stopped, traced; frozen where the box does not say so.
    fn state_of(&self, forest: &Forest, process: &Process) -> Vec<Span> {
        let mut words = Vec::new();
        if process.is_zombie() {
            words.push(Span::new(Tone::Alarm, self.zombie(process, None)));
        }
        let stopped = match process.state {
            'T' => Some("T stopped"),
            't' => Some("t traced"),
            _ => None,
        };
        words.extend(stopped.map(|text| Span::new(Tone::Alarm, text)));
        let frozen = |p: &Process| self.world.usage(p).and_then(|u| u.frozen) == Some(true);
        if self.is_any_frozen && frozen(process) && !process.is_zombie() {
            let space = forest.space(process);
            let head = forest.head(space).filter(|_| space != Space::Host);
            if !head.is_some_and(frozen) {
                words.push(Span::new(Tone::Alarm, "frozen"));
            }
        }
        words
    }

    /// A thread: its name, and where it lives unlike its process.
    pub(crate) fn thread(&self, process: &Process, thread: &Thread) -> Vec<Span> {
        let mut words = vec![
            Span::new(Tone::Name, shown_name(&thread.comm)),
            Span::new(Tone::Faint, "(thread)"),
        ];
        let host = &self.world.host().namespaces;
        let strays = thread.namespaces.iter().filter(|id| {
            let own = process.namespaces.of(id.kind);
            own.is_some_and(|own| own != *id)
        });
        for id in strays {
            let kind = id.kind.as_str();
            let resident = self.residents.get(&id).and_then(|all| all.first());
            words.push(match resident {
                _ if host.of(id.kind) == Some(id) => {
                    Span::new(Tone::Alarm, format!("{kind} HOST!"))
                }
                Some(index) => {
                    let label = self.world.container_label(*index);
                    Span::new(Tone::Alarm, format!("{kind} ={label}"))
                }
                None => Span::new(Tone::Alarm, id.to_string()),
            });
        }
        words
    }

    /// Several zombies of one parent.
    pub(crate) fn zombies(&self, zombies: &[&Process]) -> Vec<Span> {
        let mut names: Vec<&str> = zombies.iter().map(|p| p.comm.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut shown = shown_name(&names.get(..3).unwrap_or(&names).join(", "));
        if names.len() > 3 {
            shown.push_str(", ...");
        }
        let words = zombies.first().map(|p| self.zombie(p, Some(zombies.len())));
        vec![
            Span::new(Tone::Name, shown),
            Span::new(Tone::Alarm, words.unwrap_or_default()),
        ]
    }

    fn zombie(&self, process: &Process, count: Option<usize>) -> String {
        let times = count.map(|n| format!(" x{n}")).unwrap_or_default();
        match Culprit::of(self.world, process) {
            Some(culprit) => format!("Z zombie{times} of {}", culprit.describe()),
            None => format!("Z zombie{times}"),
        }
    }

    /// `<= from NAME PID` for a process whose parent is not drawn above it.
    fn outside_parent(&self, forest: &Forest, node: Node, process: &Process) -> Option<Span> {
        let parent = self.world.parent(process)?;
        let space = forest.space(process);
        let drawn_above = match node {
            Node::Process(_) => true,
            // The box of a PID 1 hangs on its parent, unless that is further out.
            Node::Space(_) => {
                let nested = matches!(forest.lens(), NamespaceKind::Pid | NamespaceKind::User);
                let head = forest.head(space).is_some_and(|h| h.pid == process.pid);
                nested && head && forest.space(parent) == forest.outer(space)
            }
        };
        let comm = shown_name(&parent.comm);
        let text = format!("<= from {comm} {}", parent.pid);
        (!drawn_above).then(|| Span::new(Tone::Plain, text))
    }

    /// The first process of a container that has no PID namespace, hence no box, of its own.
    fn boxless_container(&self, forest: &Forest, process: &Process) -> Option<Span> {
        let index = *self.inits.get(&process.pid)?;
        let container = self.world.container(index)?;
        if container.own_pid_namespace || forest.lens() != NamespaceKind::Pid {
            return None;
        }
        let mut shares = Vec::new();
        let host = process
            .namespaces
            .shared_with(&self.world.host().namespaces);
        if !host.is_empty() {
            shares.push(format!("host {}", join(&host)));
        }
        for (kinds, other) in self.shared_with_containers(index, &process.namespaces) {
            shares.push(format!("{other} {}", join(&kinds)));
        }
        let shares = shares.join(", ");
        let shares = if shares.is_empty() {
            shares
        } else {
            format!(" shares {shares}")
        };
        let name = escape_untrusted(&container.name);
        let text = match container.engine {
            engine if is_nameless(container) => format!("! {engine}{shares}"),
            Engine::Berth => format!("! container \"{name}\"{shares}"),
            engine => format!("! {engine} container \"{name}\"{shares}"),
        };
        Some(Span::new(Tone::Alarm, text))
    }

    /// Namespaces of the host that a process in a box uses although the box has its own.
    fn joined_host(&self, forest: &Forest, process: &Process) -> Option<Span> {
        let space = forest.space(process);
        let head = forest.head(space)?;
        if space == Space::Host || head.pid == process.pid {
            return None;
        }
        let kinds = foreign_kinds(&process.namespaces, &head.namespaces, self.host_set());
        let text = format!("{} HOST!", join(&kinds));
        (!kinds.is_empty()).then(|| Span::new(Tone::Alarm, text))
    }

    fn host_set(&self) -> &NamespaceSet {
        &self.world.host().namespaces
    }
}

/// The kinds in which a process lives with the host although the head of its box does not.
fn foreign_kinds(
    own: &NamespaceSet,
    head: &NamespaceSet,
    host: &NamespaceSet,
) -> Vec<NamespaceKind> {
    let mut kinds = own.shared_with(host);
    kinds.retain(|kind| {
        let of_head = head.of(*kind);
        of_head.is_some() && of_head != host.of(*kind)
    });
    kinds
}

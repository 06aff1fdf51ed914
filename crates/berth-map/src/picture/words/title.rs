//! Titles of boxes.

use berth_base::{NamespaceKind, escape_untrusted};

use super::{Span, Title, Tone, Words, cut, join, plural, thousands};
use crate::model::{Container, ContainerIndex, NamespaceSet, Process};
use crate::picture::{Forest, Inodes, Space};

/// The most cells of an image's name.
const IMAGE_ROOM: usize = 40;
/// The most containers that a title names.
const MOST_NAMES: usize = 3;

impl Words<'_> {
    /// The title of a box.
    pub(crate) fn title(&self, forest: &Forest, space: Space) -> Title {
        let lens = forest.lens();
        let all = self.containers_of(lens, space).iter().copied();
        let known = |index: &ContainerIndex| self.world.container(*index);
        let (nameless, indices): (Vec<_>, Vec<_>) =
            all.partition(|index| known(index).is_some_and(is_nameless));
        let containers: Vec<&Container> = indices.iter().filter_map(known).collect();
        let (name, mut origin) = match containers.as_slice() {
            [] => (namespace_name(lens, space), self.makers(&nameless)),
            [first, ..] => (Span::new(Tone::Name, names(&containers)), origin(first)),
        };
        if let (Inodes::Shown, Space::Known(id)) = (self.inodes, space) {
            origin.push(Span::new(Tone::Faint, id.to_string()));
        }
        let count = forest.count(space);
        let count = format!("{} proc{}", thousands(count), plural(count));
        let mut facts = vec![Span::new(Tone::Plain, count)];
        if let Some(head) = forest.head(space).filter(|_| space != Space::Unread) {
            match indices.as_slice() {
                [] => facts.extend(self.unnamed_sharing(forest, space, head)),
                [one] => facts.extend(self.sharing(lens, *one, &head.namespaces)),
                // What several share with each other is the title itself.
                _ => facts.extend(self.host_sharing(&head.namespaces)),
            }
            facts.extend(self.state(!indices.is_empty(), head));
        }
        // A narrow line cuts what comes last.
        if let Some(rest) = facts.get_mut(1..) {
            rest.sort_by_key(|span| span.tone != Tone::Alarm);
        }
        Title {
            name,
            origin,
            facts,
        }
    }

    /// The engine of a namespace that has no name: `unshare`.
    fn makers(&self, nameless: &[ContainerIndex]) -> Vec<Span> {
        let first = nameless.first().and_then(|i| self.world.container(*i));
        let word = first.map(|c| Span::new(Tone::Plain, c.engine.as_str()));
        word.into_iter().collect()
    }

    /// What a container shares and does not, as title words: `net own`, `net HOST!`, `ipc =db`.
    fn sharing(&self, lens: NamespaceKind, index: ContainerIndex, own: &NamespaceSet) -> Vec<Span> {
        let host = own.shared_with(&self.world.host().namespaces);
        let others = self.shared_with_containers(index, own);
        let mut words = Vec::new();
        let with_others = |kind| others.iter().any(|(kinds, _)| kinds.contains(&kind));
        let net = NamespaceKind::Net;
        if lens != net && own.of(net).is_some() && !host.contains(&net) && !with_others(net) {
            words.push(Span::new(Tone::Faint, "net own"));
        }
        words.extend(self.host_sharing(own));
        for (mut kinds, other) in others {
            // Who joined the namespace of the box is drawn in it.
            kinds.retain(|kind| *kind != lens);
            if !kinds.is_empty() {
                let text = format!("{} ={other}", join(&kinds));
                words.push(Span::new(Tone::Plain, text));
            }
        }
        words
    }

    /// `user HOST!`.
    fn host_sharing(&self, own: &NamespaceSet) -> Option<Span> {
        let kinds = own.shared_with(&self.world.host().namespaces);
        let text = format!("{} HOST!", join(&kinds));
        (!kinds.is_empty()).then(|| Span::new(Tone::Alarm, text))
    }

    /// What a namespace of no container shares with the host, beyond what the box around it does.
    fn unnamed_sharing(&self, forest: &Forest, space: Space, head: &Process) -> Option<Span> {
        let host = &self.world.host().namespaces;
        let around = match forest.outer(space) {
            Space::Host => Vec::new(),
            outer => forest
                .head(outer)
                .map(|head| head.namespaces.shared_with(host))
                .unwrap_or_default(),
        };
        let mut kinds = head.namespaces.shared_with(host);
        kinds.retain(|kind| !around.contains(kind));
        let text = format!("{} HOST!", join(&kinds));
        (!kinds.is_empty()).then(|| Span::new(Tone::Alarm, text))
    }

    /// The state of the cgroup that a box's first process sits in: its limits where that cgroup is
    /// a container's.
    fn state(&self, of_container: bool, head: &Process) -> Vec<Span> {
        let Some(usage) = self.world.usage(head) else {
            return Vec::new();
        };
        let mut words = Vec::new();
        if let (true, Some(pids), Some(most)) = (of_container, usage.pids, usage.pids_max) {
            // From nine tenths on, the next burst can fail to fork.
            let near = pids.saturating_mul(10) >= most.saturating_mul(9);
            let tone = if near { Tone::Alarm } else { Tone::Plain };
            words.push(Span::new(tone, format!("pids {pids}/{most}")));
        }
        if usage.frozen == Some(true) {
            words.push(Span::new(Tone::Alarm, "frozen"));
        }
        words
    }
}

/// Whether a container is called by the PID of its first process, for want of a name. Its box
/// says so by that process; without a name, boxes that look alike can be one.
pub(super) fn is_nameless(container: &Container) -> bool {
    let pid = container.init.map(|pid| pid.to_string());
    pid.is_some_and(|pid| pid == container.name)
}

/// The name of a box that belongs to no container.
fn namespace_name(lens: NamespaceKind, space: Space) -> Span {
    let kind = lens.as_str();
    let text = match space {
        Space::Unread => format!("{kind} namespaces that could not be read"),
        _ => format!("{kind} namespace"),
    };
    Span::new(Tone::Name, text)
}

/// The names of the containers that live in one namespace.
fn names(containers: &[&Container]) -> String {
    let shown = containers.iter().take(MOST_NAMES);
    let shown = shown.map(|c| cut(&escape_untrusted(&c.name), IMAGE_ROOM, ".."));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if containers.len() > MOST_NAMES {
        text.push_str(&format!(" and {} more", containers.len() - MOST_NAMES));
    }
    text
}

/// Engine, pod and image.
fn origin(container: &Container) -> Vec<Span> {
    let mut words = vec![Span::new(Tone::Plain, container.engine.as_str())];
    if let Some(pod) = &container.pod {
        let name = match &pod.namespace {
            Some(namespace) => format!("pod {namespace}/{}", pod.name),
            None => format!("pod {}", pod.name),
        };
        let name = cut(&escape_untrusted(&name), IMAGE_ROOM, "..");
        words.push(Span::new(Tone::Plain, name));
    }
    if let Some(image) = &container.image {
        let image = cut(&escape_untrusted(image), IMAGE_ROOM, "..");
        words.push(Span::new(Tone::Faint, image));
    }
    words
}

//! The words of a picture: titles of boxes, marks of processes, lines below. Everything here is
//! escaped.

mod hidden;
mod network;
mod process;
mod title;
mod wires;

use std::collections::{BTreeMap, HashMap, HashSet};

use berth_base::{HostPid, NamespaceId, NamespaceKind, escape_untrusted};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Forest, Inodes, Space};
use crate::model::{ContainerIndex, Links, NamespaceSet, World};

/// How a piece of text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// A name.
    Name,
    /// A fact.
    Plain,
    /// Something less weighty.
    Faint,
    /// Something to be noticed.
    Alarm,
}

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// What it says.
    pub(crate) text: String,
    /// How it is meant.
    pub(crate) tone: Tone,
}

impl Span {
    /// A piece of text.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text, tone }
    }
}

/// The title of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    /// Whose it is.
    pub(crate) name: Span,
    /// Engine, image, pod.
    pub(crate) origin: Vec<Span>,
    /// Counts, sharing, state.
    pub(crate) facts: Vec<Span>,
}

/// Facts for wording, gathered once per picture.
pub(crate) struct Words<'w> {
    world: &'w World,
    inodes: Inodes,
    /// The containers whose first process lives in a namespace that is not the host's.
    residents: HashMap<NamespaceId, Vec<ContainerIndex>>,
    /// The containers whose own a PID namespace is.
    own: HashMap<NamespaceId, ContainerIndex>,
    /// Containers by their first process.
    inits: HashMap<HostPid, ContainerIndex>,
    /// Processes whose links were refused.
    denied: usize,
    /// Whether each of them is marked; pointless where most are (an unprivileged reader).
    mark_denied: bool,
    /// Whether any cgroup is frozen: to look up each process's is dear, since paths are compared.
    is_any_frozen: bool,
}

impl<'w> Words<'w> {
    /// The words for a world.
    pub(crate) fn new(world: &'w World, inodes: Inodes) -> Self {
        let processes = world.processes();
        let denied = processes.iter().filter(|p| p.links == Links::Denied);
        let denied = denied.count();
        let mut own = HashMap::new();
        let mut inits = HashMap::new();
        for (index, container) in world.indexed_containers() {
            if let (true, Some(id)) = (container.own_pid_namespace, container.pid_namespace) {
                own.entry(id).or_insert(index);
            }
            if let Some(init) = container.init {
                inits.entry(init).or_insert(index);
            }
        }
        let mut usage = world.details().usage.values();
        Self {
            world,
            inodes,
            is_any_frozen: usage.any(|usage| usage.frozen == Some(true)),
            residents: find_residents(world),
            own,
            inits,
            denied,
            mark_denied: denied <= processes.len() / 2,
        }
    }

    /// The head line: the host and its counts.
    pub(crate) fn head(&self, forest: &Forest) -> String {
        let lens = forest.lens();
        let shown = forest.selection().shown();
        let shown = shown.map_or_else(String::new, |n| format!("{} of ", thousands(n)));
        let host = self.world.host();
        let processes = self.world.processes().len();
        let spaces = self.world.namespaces();
        let spaces = spaces.filter(|n| n.id.kind == lens).count();
        let mut parts = vec![
            self.host_name(),
            format!("{shown}{} proc{}", thousands(processes), plural(processes)),
            format!(
                "{} {lens} namespace{}",
                thousands(spaces),
                plural(spaces),
                lens = lens.as_str()
            ),
        ];
        if let Some(most) = host.pid_max {
            parts.push(format!("pid_max {most}"));
        }
        parts.join("   ")
    }

    /// `host NAME`.
    pub(crate) fn host_name(&self) -> String {
        let name = self.world.host().hostname.as_deref().unwrap_or_default();
        let name = cut(&escape_untrusted(name), NAME_ROOM * 2, "..");
        format!("host {name}").trim_end().to_owned()
    }

    /// The line below the tree when links were refused.
    pub(crate) fn unreadable(&self) -> Option<String> {
        let count = self.denied;
        let mark = if self.mark_denied { "?  " } else { "" };
        (count > 0).then(|| {
            format!(
                "{mark}the namespaces of {} process{} could not be read",
                thousands(count),
                if count == 1 { "" } else { "es" }
            )
        })
    }

    /// The other containers whose first process is in the same namespaces, with the kinds. What is
    /// the host's, or belongs to a container around or inside, is left out.
    fn shared_with_containers(
        &self,
        index: ContainerIndex,
        own: &NamespaceSet,
    ) -> Vec<(Vec<NamespaceKind>, String)> {
        let world = self.world;
        let around: HashSet<ContainerIndex> = world.enclosing(Some(index)).collect();
        let mut shared: BTreeMap<ContainerIndex, Vec<NamespaceKind>> = BTreeMap::new();
        for id in own.iter() {
            for other in self.residents.get(&id).into_iter().flatten() {
                if !around.contains(other) && !world.is_inside(*other, index) {
                    shared.entry(*other).or_default().push(id.kind);
                }
            }
        }
        let named = shared.into_iter();
        named
            .map(|(other, kinds)| (kinds, world.container_label(other)))
            .collect()
    }

    /// The containers that a space belongs to: the one whose own PID namespace it is, or those
    /// whose first process lives in it.
    fn containers_of(&self, lens: NamespaceKind, space: Space) -> &[ContainerIndex] {
        let found = match (lens, space) {
            (NamespaceKind::Pid, Space::Known(id)) => self.own.get(&id),
            (NamespaceKind::Pid, Space::Unknown(first)) => self.inits.get(&first).filter(|index| {
                let container = self.world.container(**index);
                container.is_some_and(|c| c.own_pid_namespace)
            }),
            (_, Space::Known(id)) => {
                return self.residents.get(&id).map_or(&[], Vec::as_slice);
            }
            _ => None,
        };
        found.map_or(&[], std::slice::from_ref)
    }
}

/// See [`Words::residents`].
fn find_residents(world: &World) -> HashMap<NamespaceId, Vec<ContainerIndex>> {
    let host = &world.host().namespaces;
    let mut residents: HashMap<NamespaceId, Vec<ContainerIndex>> = HashMap::new();
    for (index, container) in world.indexed_containers() {
        let init = container.init.and_then(|pid| world.process(pid));
        let Some(init) = init else { continue };
        for id in init.namespaces.iter() {
            if host.of(id.kind) != Some(id) {
                residents.entry(id).or_default().push(index);
            }
        }
    }
    // By age, or nearly: the first one named is the one that the others joined.
    for all in residents.values_mut() {
        all.sort_by_key(|index| world.container(*index).and_then(|c| c.init));
    }
    residents
}

/// Kinds in a row.
fn join(kinds: &[NamespaceKind]) -> String {
    let words: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    words.join(",")
}

/// The ending of a plural.
fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A number with its thousands apart: `1,204`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The most cells that a process's name gets: what is said of the process must not be pushed out
/// of the line by a name that is all escapes.
const NAME_ROOM: usize = 32;

/// A process's name for the picture.
fn shown_name(name: &str) -> String {
    cut(&escape_untrusted(name), NAME_ROOM, "..")
}

/// A text, cut to a number of terminal cells.
pub(crate) fn cut(text: &str, room: usize, mark: &str) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let room = room.saturating_sub(mark.width());
    let mut used = 0;
    let mut kept = String::new();
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept + mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let shown: Vec<_> = [0, 999, 1000, 1_234_567].map(thousands).to_vec();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}

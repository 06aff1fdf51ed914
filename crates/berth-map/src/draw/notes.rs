//! The words of the drawing: titles of boxes, marks of processes. Everything here is escaped.

use std::collections::{BTreeMap, HashMap};

use berth_base::{NamespaceId, NamespaceKind, escape_untrusted};

use super::canvas::cut;
use super::forest::{Forest, Node, Space};
use super::{Inodes, MapOptions};
use crate::model::{Container, ContainerIndex, Engine, Links, NamespaceSet, Process, World};
use crate::zombie::Culprit;

/// Facts for wording, gathered once per drawing.
pub(super) struct Notes<'w> {
    world: &'w World,
    inodes: Inodes,
    /// The containers whose first process lives in a namespace that is not the host's.
    residents: HashMap<NamespaceId, Vec<ContainerIndex>>,
    /// Processes whose links were refused.
    denied: usize,
    /// Whether each of them is marked; pointless where most are (an unprivileged reader).
    mark_denied: bool,
}

impl<'w> Notes<'w> {
    /// Notes about a world.
    pub(super) fn new(world: &'w World, options: &MapOptions) -> Self {
        let processes = world.processes();
        let denied = processes.iter().filter(|p| p.links == Links::Denied);
        let denied = denied.count();
        Self {
            world,
            inodes: options.inodes,
            residents: find_residents(world),
            denied,
            mark_denied: denied <= processes.len() / 2,
        }
    }

    /// The head line: the host and its counts.
    pub(super) fn head(&self) -> String {
        let host = self.world.host();
        let processes = self.world.processes().len();
        let spaces = self.world.namespaces();
        let spaces = spaces.filter(|n| n.id.kind == NamespaceKind::Pid).count();
        let name = host.hostname.as_deref().unwrap_or_default();
        let name = escape_untrusted(name);
        let mut parts = vec![
            format!("host {name}").trim_end().to_owned(),
            format!("{} procs", thousands(processes)),
            format!("{} pid namespace{}", thousands(spaces), plural(spaces)),
        ];
        if let Some(most) = host.pid_max {
            parts.push(format!("pid_max {most}"));
        }
        parts.join("   ")
    }

    /// The title of a box.
    pub(super) fn title(&self, forest: &Forest, space: Space, processes: usize) -> String {
        let container = match space {
            Space::Known(id) => self.world.container_of_namespace(id),
            Space::Unknown(first) => self
                .world
                .indexed_containers()
                .find(|(_, c)| c.own_pid_namespace && c.init == Some(first))
                .map(|(index, _)| index),
            Space::Host => None,
        };
        let mut parts = match container.and_then(|index| self.world.container(index)) {
            Some(c) => vec![
                escape_untrusted(&c.name).into_owned(),
                c.engine.as_str().to_owned(),
            ],
            None => vec!["pid namespace".to_owned()],
        };
        if let (Inodes::Shown, Space::Known(id)) = (self.inodes, space) {
            parts.push(id.to_string());
        }
        parts.push(format!(
            "{} proc{}",
            thousands(processes),
            plural(processes)
        ));
        if let Some(head) = forest.head(space) {
            match container {
                Some(index) => parts.extend(self.sharing(index, &head.namespaces)),
                None => parts.extend(self.unnamed_sharing(forest, space, head)),
            }
        }
        parts.join("  ")
    }

    /// What a container shares, as title words: `net HOST!`, `ipc =db`.
    fn sharing(&self, index: ContainerIndex, own: &NamespaceSet) -> Vec<String> {
        let host = own.shared_with(&self.world.host().namespaces);
        let mut words = Vec::new();
        if !host.is_empty() {
            words.push(format!("{} HOST!", join(&host)));
        }
        for (mut kinds, other) in self.shared_with_containers(index, own) {
            // Who joined the PID namespace is drawn in the box.
            kinds.retain(|kind| *kind != NamespaceKind::Pid);
            if !kinds.is_empty() {
                words.push(format!("{} ={other}", join(&kinds)));
            }
        }
        words
    }

    /// What a namespace of no container shares with the host, beyond what the box around it does.
    fn unnamed_sharing(&self, forest: &Forest, space: Space, head: &Process) -> Option<String> {
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
        (!kinds.is_empty()).then(|| format!("{} HOST!", join(&kinds)))
    }

    /// The other containers whose first process is in the same namespaces, with the kinds. What is
    /// the host's, or belongs to a container around or inside, is left out.
    fn shared_with_containers(
        &self,
        index: ContainerIndex,
        own: &NamespaceSet,
    ) -> Vec<(Vec<NamespaceKind>, String)> {
        let world = self.world;
        let mut shared: BTreeMap<ContainerIndex, Vec<NamespaceKind>> = BTreeMap::new();
        for id in own.iter() {
            for other in self.residents.get(&id).into_iter().flatten() {
                if !world.is_inside(index, *other) && !world.is_inside(*other, index) {
                    shared.entry(*other).or_default().push(id.kind);
                }
            }
        }
        let named = shared.into_iter();
        named
            .map(|(other, kinds)| (kinds, world.container_label(other)))
            .collect()
    }

    /// A process: its name and what is worth marking.
    pub(super) fn process(&self, forest: &Forest, node: Node, process: &Process) -> String {
        let mut parts = vec![shown_name(&process.comm)];
        if process.links == Links::Denied && self.mark_denied {
            parts.push("?".to_owned());
        }
        if process.is_namespace_init() {
            parts.push("(pid 1)".to_owned());
        }
        if process.is_zombie() {
            parts.push(self.zombie(process, None));
        }
        parts.extend(match process.state {
            'T' => Some("T stopped".to_owned()),
            't' => Some("t traced".to_owned()),
            _ => None,
        });
        parts.extend(self.boxless_container(process));
        parts.extend(self.outside_parent(forest, node, process));
        parts.extend(self.joined_host(forest, process));
        parts.join("  ")
    }

    /// Several zombies of one parent.
    pub(super) fn zombies(&self, zombies: &[&Process]) -> String {
        let mut names: Vec<&str> = zombies.iter().map(|p| p.comm.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let shown = names.get(..3).unwrap_or(&names).join(", ");
        let more = if names.len() > 3 { ", ..." } else { "" };
        let words = zombies.first().map(|p| self.zombie(p, Some(zombies.len())));
        format!(
            "{}{more}  {}",
            shown_name(&shown),
            words.unwrap_or_default()
        )
    }

    fn zombie(&self, process: &Process, count: Option<usize>) -> String {
        let times = count.map(|n| format!(" x{n}")).unwrap_or_default();
        match Culprit::of(self.world, process) {
            Some(culprit) => format!("Z zombie{times} of {}", culprit.describe()),
            None => format!("Z zombie{times}"),
        }
    }

    /// `<= from NAME PID` for a process whose parent is not drawn above it.
    fn outside_parent(&self, forest: &Forest, node: Node, process: &Process) -> Option<String> {
        let parent = self.world.parent(process)?;
        let space = forest.space(process);
        let drawn_above = match node {
            Node::Process(_) => true,
            // The box of a PID 1 hangs on its parent, unless that is further out.
            Node::Space(_) => {
                let head = forest.head(space).is_some_and(|h| h.pid == process.pid);
                head && forest.space(parent) == forest.outer(space)
            }
        };
        let comm = shown_name(&parent.comm);
        (!drawn_above).then(|| format!("<= from {comm} {}", parent.pid))
    }

    /// The first process of a container that has no PID namespace, hence no box, of its own.
    fn boxless_container(&self, process: &Process) -> Option<String> {
        let begins = |c: &Container| !c.own_pid_namespace && c.init == Some(process.pid);
        let mut all = self.world.indexed_containers();
        let (index, container) = all.find(|(_, c)| begins(c))?;
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
        let name = escape_untrusted(&container.name);
        let shares = shares.join(", ");
        let shares = if shares.is_empty() {
            shares
        } else {
            format!(" shares {shares}")
        };
        let engine = match container.engine {
            Engine::Berth => String::new(),
            other => format!("{other} "),
        };
        Some(format!("! {engine}container \"{name}\"{shares}"))
    }

    /// Namespaces of the host that a process in a box uses although the box has its own.
    fn joined_host(&self, forest: &Forest, process: &Process) -> Option<String> {
        let space = forest.space(process);
        let head = forest.head(space)?;
        if space == Space::Host || head.pid == process.pid {
            return None;
        }
        let host = &self.world.host().namespaces;
        let mut kinds = process.namespaces.shared_with(host);
        kinds.retain(|kind| {
            let own = head.namespaces.of(*kind);
            own.is_some() && own != host.of(*kind)
        });
        (!kinds.is_empty()).then(|| format!("{} HOST!", join(&kinds)))
    }

    /// The line below the tree when links were refused.
    pub(super) fn unreadable(&self) -> Option<String> {
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
}

/// See [`Notes::residents`].
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
pub(super) fn thousands(number: usize) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let shown: Vec<_> = [0, 999, 1000, 1_234_567].map(thousands).to_vec();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}

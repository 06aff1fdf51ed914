//! What the details say of the chosen line. Pure; everything is escaped.

mod resources;
mod rights;

use std::time::Duration;

use berth_base::{HostPid, NamespaceId, NamespaceKind, escape_untrusted};
use berth_map::World;
use berth_map::live::Exit;
use berth_map::model::{Links, Process};

use super::exits;
use super::facts::Facts;
use super::state::{BoxId, LineKey, State};
use resources::{cgroups, interfaces, limits, mounts, published, sockets};
use rights::{id_maps, privileges};

/// Clock ticks of a second, on every Linux that Berth runs on (USER_HZ).
const TICKS: u64 = 100;
/// The most lines of one kind: mounts, sockets, limits.
const MOST: usize = 40;

/// How a word is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Weight {
    Plain,
    Strong,
    Faint,
    Alarm,
}

/// One line: a name in its column, and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Fact {
    pub(in crate::tui) name: &'static str,
    pub(in crate::tui) words: Vec<(String, Weight)>,
}

impl Fact {
    fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            words: vec![(text.into(), Weight::Plain)],
        }
    }

    fn and(mut self, text: impl Into<String>, weight: Weight) -> Self {
        self.words.push((text.into(), weight));
        self
    }
}

/// Describes the chosen line.
pub(in crate::tui) fn describe(state: &State) -> Vec<Fact> {
    let Some(world) = state.world() else {
        return Vec::new();
    };
    let Some(pid) = state.chosen_pid() else {
        return vec![Fact::new("", "choose a process or a box")];
    };
    let Some(process) = world.process(pid) else {
        return vec![Fact::new("", format!("{pid} has ended"))];
    };
    let mut facts = Vec::new();
    if let Some(LineKey::Top(BoxId::Namespace(id))) = state.tree.chosen().map(|line| &line.key) {
        facts.extend(space(world, *id));
    }
    facts.extend(identity(world, process));
    facts.extend(times(state, process));
    facts.extend(end(state, pid));
    facts.extend(owner(world, process));
    if state.commands {
        facts.push(command(state.facts(), state.is_recording()));
    }
    facts.extend(namespaces(world, process));
    facts.extend(id_maps(world, process));
    facts.extend(privileges(state.facts()));
    facts.extend(cgroups(world, process));
    facts.extend(sockets(world, process));
    facts.extend(published(world, process));
    facts.extend(interfaces(world, process));
    facts.extend(limits(state.facts()));
    facts.extend(mounts(state.facts()));
    facts.extend(unread(state, pid));
    facts
}

fn identity(world: &World, process: &Process) -> Vec<Fact> {
    let name = escape_untrusted(&process.comm).into_owned();
    let mut first = Fact {
        name: "name",
        words: vec![(name, Weight::Strong)],
    };
    first = first.and(format!("  {}", state_word(process.state)), Weight::Plain);
    let mut facts = vec![first];
    let namespaces = world.pid_namespaces(process);
    for (level, pid) in process.pids.iter().enumerate() {
        let name = if level == 0 { "pids" } else { "" };
        let place = match (level, namespaces.get(level).copied().flatten()) {
            (0, _) => "on the host".to_owned(),
            (_, Some(id)) => match world.container_of_namespace(id) {
                Some(index) => format!("in {}", world.container_label(index)),
                None => format!("in {id}"),
            },
            (level, None) => format!("at level {level}"),
        };
        let fact = Fact {
            name,
            words: vec![(format!("{pid:<8}"), Weight::Strong)],
        };
        facts.push(fact.and(place, Weight::Plain));
    }
    if let Some(parent) = world.parent(process) {
        let comm = escape_untrusted(&parent.comm);
        facts.push(Fact::new("parent", format!("{} {comm}", parent.pid)));
    }
    facts.push(Fact::new("uid", process.uid.to_string()));
    facts
}

/// The namespace that a box stands for; what follows is of its first process.
fn space(world: &World, id: NamespaceId) -> Vec<Fact> {
    let mut facts = vec![Fact {
        name: "box",
        words: vec![(id.to_string(), Weight::Strong)],
    }];
    let Some(namespace) = world.namespace(id) else {
        return facts;
    };
    let plural = if namespace.processes == 1 { "" } else { "es" };
    let text = format!(
        "{} process{plural}, not counting those further in",
        namespace.processes
    );
    facts.push(Fact::new("", text));
    let label = |id: NamespaceId| match world.container_of_namespace(id) {
        Some(index) => format!("{id} of {}", world.container_label(index)),
        None => id.to_string(),
    };
    facts.extend(namespace.parent.map(|id| Fact::new("made in", label(id))));
    facts.extend(namespace.owner.map(|id| Fact::new("owned by", label(id))));
    facts
}

/// How and when a process ended, seen from a moment before or shortly after.
fn end(state: &State, pid: HostPid) -> Option<Fact> {
    let is_past = state.clock.ago().is_some();
    let mark = state.tree.chosen().map(|line| state.marks.mark(line));
    if !is_past && mark.is_none_or(|mark| mark.exit().is_none()) {
        return None;
    }
    let life = state.clock.life(pid)?;
    let exit = exits::describe(life.exit.unwrap_or(Exit::Unknown));
    let lived = life.born.until(life.ended?);
    let lived = Duration::from_millis(u64::try_from(lived.as_millis()).unwrap_or(u64::MAX));
    let text = format!("{exit}, having lived {}", humantime::format_duration(lived));
    Some(Fact {
        name: "ended",
        words: vec![(text, Weight::Strong)],
    })
}

fn state_word(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' => "sleeping",
        'D' => "waiting for a device",
        'Z' | 'X' | 'x' => "zombie",
        'T' => "stopped",
        't' => "traced",
        'I' => "idle",
        _ => "",
    }
}

fn times(state: &State, process: &Process) -> Option<Fact> {
    let started = Duration::from_millis(process.start_ticks.saturating_mul(1000 / TICKS));
    let now = Duration::from_nanos(state.moment().0);
    let ago = now.saturating_sub(started);
    let ago = Duration::from_secs(ago.as_secs());
    let text = match state.wall(ago) {
        Some(time) => format!("{time}, {} ago", humantime::format_duration(ago)),
        None => format!("{} ago", humantime::format_duration(ago)),
    };
    Some(Fact::new("started", text))
}

fn owner(world: &World, process: &Process) -> Vec<Fact> {
    let Some(index) = world.owner(process.pid) else {
        return Vec::new();
    };
    let Some(container) = world.container(index) else {
        return Vec::new();
    };
    let label = world.container_label(index);
    let mut first = Fact {
        name: "in",
        words: vec![(label, Weight::Strong)],
    };
    first = first.and(format!("  {}", container.engine), Weight::Plain);
    let mut facts = vec![first];
    if let Some(image) = &container.image {
        facts.push(Fact::new("image", escape_untrusted(image)));
    }
    if let Some(pod) = &container.pod {
        facts.push(Fact::new("pod", escape_untrusted(&pod.name)));
    }
    let around = world.enclosing(Some(index)).skip(1);
    for outer in around {
        facts.push(Fact::new("inside of", world.container_label(outer)));
    }
    facts
}

fn command(facts: Option<&Facts>, is_recording: bool) -> Fact {
    let command = facts.and_then(|facts| facts.command.clone());
    match (command, is_recording) {
        (Some(command), _) => Fact::new("command", command),
        (None, true) => Fact::new("command", "not in a recording"),
        (None, false) => Fact::new("command", "-"),
    }
}

/// Each kind, whose it is, and whether the host's.
fn namespaces(world: &World, process: &Process) -> Vec<Fact> {
    let host = &world.host().namespaces;
    let mut facts = Vec::new();
    for kind in NamespaceKind::ALL {
        let name = if facts.is_empty() { "spaces" } else { "" };
        let fact = Fact {
            name,
            words: vec![(format!("{:<7}", kind.as_str()), Weight::Plain)],
        };
        let Some(id) = process.namespaces.of(kind) else {
            if process.links == Links::Denied {
                facts.push(fact.and("could not be read", Weight::Alarm));
            }
            continue;
        };
        let inode = format!("{:<11}", id.inode);
        let fact = fact.and(inode, Weight::Faint);
        let count = world.namespace(id).map_or(0, |n| n.processes);
        facts.push(if host.of(kind) == Some(id) {
            let is_inside = world.owner(process.pid).is_some();
            let weight = if is_inside {
                Weight::Alarm
            } else {
                Weight::Plain
            };
            fact.and("HOST", weight)
        } else {
            let whose = world.container_of_namespace(id);
            let whose = whose.map(|index| format!("{}, ", world.container_label(index)));
            let plural = if count == 1 { "" } else { "s" };
            let text = format!("{}{count} proc{plural}", whose.unwrap_or_default());
            fact.and(text, Weight::Plain)
        });
    }
    facts
}

/// What is not known, and why.
fn unread(state: &State, pid: HostPid) -> Option<Fact> {
    let text = match state.facts() {
        _ if state.is_recording() => {
            "capabilities, limits and mounts are not in a recording".to_owned()
        }
        None => "reading more ...".to_owned(),
        Some(facts) if facts.is_gone => format!("{pid} has ended since"),
        Some(_) => return None,
    };
    Some(Fact {
        name: "",
        words: vec![(text, Weight::Faint)],
    })
}

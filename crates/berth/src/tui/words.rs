//! What the details say of the chosen line. Pure; everything is escaped.

use std::time::Duration;

use berth_base::{HostPid, NamespaceId, NamespaceKind, escape_untrusted};
use berth_map::World;
use berth_map::live::Exit;
use berth_map::model::{CgroupSet, Links, Process};

use super::exits;
use super::facts::{Capabilities, Facts};
use super::state::{LineKey, State};

/// Clock ticks of a second, on every Linux that Berth runs on (USER_HZ).
const TICKS: u64 = 100;
/// The most lines of one kind: mounts, sockets, limits.
const MOST: usize = 40;

/// How a word is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Plain,
    Strong,
    Faint,
    Alarm,
}

/// One line: a name in its column, and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) words: Vec<(String, Weight)>,
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
pub(super) fn describe(state: &State) -> Vec<Fact> {
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
    if let Some(LineKey::Top(Some(id), _)) = state.tree.chosen().map(|line| &line.key) {
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
        let inode = format!("{:<12}", id.inode);
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
            let plural = if count == 1 { "" } else { "es" };
            let text = format!("{}{count} process{plural}", whose.unwrap_or_default());
            fact.and(text, Weight::Plain)
        });
    }
    facts
}

fn id_maps(world: &World, process: &Process) -> Vec<Fact> {
    let user = process.namespaces.of(NamespaceKind::User);
    let maps = user.and_then(|id| world.details().id_maps.get(&id));
    let Some(maps) = maps else { return Vec::new() };
    let mut facts = Vec::new();
    for (name, ranges) in [("uid map", &maps.uids), ("gid map", &maps.gids)] {
        for (at, range) in ranges.iter().enumerate().take(MOST) {
            let name = if at == 0 { name } else { "" };
            let text = match (range.inside, range.outside, range.count) {
                (0, 0, u32::MAX) => "all, as they are".to_owned(),
                (inside, outside, 1) => format!("{inside} is {outside}"),
                (inside, outside, count) => {
                    let last = |first: u32| u64::from(first) + u64::from(count) - 1;
                    format!("{inside}-{} are {outside}-{}", last(inside), last(outside))
                }
            };
            facts.push(Fact::new(name, text));
        }
    }
    facts
}

fn privileges(facts: Option<&Facts>) -> Vec<Fact> {
    let Some(facts) = facts.filter(|facts| !facts.is_gone) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if let Some(sets) = &facts.capabilities {
        lines.extend(describe_capabilities(sets));
    }
    let filter = match facts.seccomp {
        Some(0) => Some(("no filter of system calls", Weight::Alarm)),
        Some(1) => Some(("strict", Weight::Plain)),
        Some(_) => Some(("filtered", Weight::Plain)),
        None => None,
    };
    if let Some((text, weight)) = filter {
        lines.push(Fact {
            name: "seccomp",
            words: vec![(text.to_owned(), weight)],
        });
    }
    if facts.no_new_privileges == Some(true) {
        lines.push(Fact::new("", "no new privileges"));
    }
    lines
}

/// capabilities(7) by their numbers, up to the last one as of Linux 6.18.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

fn describe_capabilities(sets: &Capabilities) -> Vec<Fact> {
    let mut facts = vec![Fact::new("caps", name_capabilities(sets.effective))];
    let others = [
        ("permitted", sets.permitted, sets.effective),
        ("bounding", sets.bounding, sets.effective),
        ("inherited", sets.inheritable, 0),
        ("ambient", sets.ambient, 0),
    ];
    for (name, set, known) in others {
        if set != known {
            facts.push(Fact::new(name, name_capabilities(set)));
        }
    }
    facts
}

fn name_capabilities(set: u64) -> String {
    let known = (1u64 << CAPABILITIES.len()) - 1;
    if set == 0 {
        return "none".to_owned();
    }
    if set & known == known {
        return "all".to_owned();
    }
    let has = |at: usize| set >> at & 1 == 1;
    let lacking = CAPABILITIES.iter().enumerate().filter(|(at, _)| !has(*at));
    let lacking: Vec<&str> = lacking.map(|(_, name)| *name).collect();
    if lacking.len() <= 5 {
        return format!("all but {}", lacking.join(" "));
    }
    let named = CAPABILITIES.iter().enumerate().filter(|(at, _)| has(*at));
    let mut named: Vec<String> = named.map(|(_, name)| (*name).to_owned()).collect();
    named.extend(
        (CAPABILITIES.len()..64)
            .filter(|at| has(*at))
            .map(|at| at.to_string()),
    );
    named.join(" ")
}

fn cgroups(world: &World, process: &Process) -> Vec<Fact> {
    let mut facts = vec![Fact::new("cgroup", cgroup_path(&process.cgroups))];
    let Some(usage) = world.usage(process) else {
        return facts;
    };
    if let Some(pids) = usage.pids {
        let most = match usage.pids_max {
            Some(most) => format!(" of {most}"),
            None => ", no limit".to_owned(),
        };
        let near = usage.pids_left.is_some_and(|left| left < 10);
        let weight = if near { Weight::Alarm } else { Weight::Plain };
        let text = format!("{pids}{most}");
        facts.push(Fact {
            name: "tasks",
            words: vec![(text, weight)],
        });
    }
    if let Some(bytes) = usage.memory_bytes {
        let most = match usage.memory_max_bytes {
            Some(most) => format!(" of {}", mebibytes(most)),
            None => ", no limit".to_owned(),
        };
        facts.push(Fact::new("memory", mebibytes(bytes) + &most));
    }
    if usage.frozen == Some(true) {
        facts.push(Fact {
            name: "",
            words: vec![("frozen".to_owned(), Weight::Alarm)],
        });
    }
    facts
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes / (1024 * 1024 / 10);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// The path that says most: of v2 where it is not the root, else the longest one.
fn cgroup_path(set: &CgroupSet) -> String {
    let unified = set.path(0).filter(|path| *path != "/");
    let longest = set
        .entries
        .iter()
        .map(|e| e.path.as_str())
        .max_by_key(|p| p.len());
    escape_untrusted(unified.or(longest).unwrap_or("/")).into_owned()
}

/// What the process itself listens on, and what others in its network namespace do.
fn sockets(world: &World, process: &Process) -> Vec<Fact> {
    let net = process.namespaces.of(NamespaceKind::Net);
    let network = net.and_then(|id| world.details().networks.get(&id));
    let Some(network) = network else {
        return Vec::new();
    };
    let mut facts = Vec::new();
    let own = network
        .listeners
        .iter()
        .filter(|l| l.process == Some(process.pid));
    let others = network
        .listeners
        .iter()
        .filter(|l| l.process != Some(process.pid));
    for listener in own.chain(others).take(MOST) {
        let name = if facts.is_empty() { "sockets" } else { "" };
        let protocol = match listener.protocol {
            berth_map::model::Protocol::Tcp => "tcp",
            berth_map::model::Protocol::Udp => "udp",
        };
        let address = match listener.address.is_ipv6() {
            true => format!("[{}]:{}", listener.address, listener.port),
            false => format!("{}:{}", listener.address, listener.port),
        };
        let fact = Fact::new(name, format!("{protocol} {address}"));
        facts.push(match listener.process.and_then(|pid| world.process(pid)) {
            Some(holder) if holder.pid == process.pid => fact,
            Some(holder) => {
                let comm = escape_untrusted(&holder.comm).into_owned();
                fact.and(format!("  {} {comm}", holder.pid), Weight::Faint)
            }
            None => fact,
        });
    }
    facts
}

fn interfaces(world: &World, process: &Process) -> Vec<Fact> {
    let net = process.namespaces.of(NamespaceKind::Net);
    let network = net.and_then(|id| world.details().networks.get(&id));
    let mut facts = Vec::new();
    let interfaces = network.map_or(&[][..], |network| &network.interfaces);
    for interface in interfaces.iter().take(MOST) {
        let name = if facts.is_empty() { "network" } else { "" };
        let mut text = escape_untrusted(&interface.name).into_owned();
        if !interface.is_up {
            text.push_str(" down");
        }
        for (address, length) in &interface.addresses {
            text.push_str(&format!(" {address}/{length}"));
        }
        if let Some(peer) = interface
            .peer
            .as_ref()
            .and_then(|peer| peer.name.as_deref())
        {
            text.push_str(&format!(" <-> {}", escape_untrusted(peer)));
        }
        facts.push(Fact::new(name, text));
    }
    facts
}

fn limits(facts: Option<&Facts>) -> Vec<Fact> {
    let limits = facts.map_or(&[][..], |facts| &facts.limits);
    let lines = limits.iter().enumerate().map(|(at, (name, soft, hard))| {
        let first = if at == 0 { "limits" } else { "" };
        let text = match soft == hard {
            true => format!("{name} {soft}"),
            false => format!("{name} {soft}, at most {hard}"),
        };
        Fact::new(first, text)
    });
    lines.collect()
}

fn mounts(facts: Option<&Facts>) -> Vec<Fact> {
    let Some(facts) = facts else {
        return Vec::new();
    };
    if let Some(error) = &facts.mounts_error {
        return vec![Fact::new("mounts", error.clone())];
    }
    let mut lines = Vec::new();
    for mount in facts.mounts.iter().take(MOST) {
        let name = if lines.is_empty() { "mounts" } else { "" };
        let mut fact = Fact::new(name, mount.point.clone());
        fact = fact.and(format!("  {}", mount.kind), Weight::Faint);
        if mount.is_read_only {
            fact = fact.and(" ro", Weight::Faint);
        }
        if let Some(source) = &mount.source {
            fact = fact.and(format!("  {source}"), Weight::Faint);
        }
        lines.push(fact);
    }
    if facts.mounts.len() > MOST {
        lines.push(Fact::new("", format!("{} more", facts.mounts.len() - MOST)));
    }
    lines
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

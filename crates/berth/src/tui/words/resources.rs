//! What a process has and uses: cgroups, sockets, interfaces, limits, mounts.

use berth_base::{NamespaceKind, escape_untrusted};
use berth_map::World;
use berth_map::model::{CgroupSet, Process};

use super::{Fact, MOST, Weight};
use crate::tui::facts::Facts;

pub(super) fn cgroups(world: &World, process: &Process) -> Vec<Fact> {
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
pub(super) fn sockets(world: &World, process: &Process) -> Vec<Fact> {
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

/// The ports of the host that lead to the process's network namespace, and who listens there.
pub(super) fn published(world: &World, process: &Process) -> Vec<Fact> {
    let net = process.namespaces.of(NamespaceKind::Net);
    let Some(network) = net.and_then(|id| world.details().networks.get(&id)) else {
        return Vec::new();
    };
    let mut facts = Vec::new();
    for (text, port) in network.shown_ports().into_iter().take(MOST) {
        let name = if facts.is_empty() { "ports" } else { "" };
        let fact = Fact::new(name, text);
        let Some(sockets) = network.behind(&port) else {
            facts.push(fact);
            continue;
        };
        let mut pids: Vec<_> = sockets.iter().filter_map(|s| s.process).collect();
        pids.dedup();
        let who: Vec<String> = pids
            .iter()
            .filter_map(|pid| world.process(*pid))
            .map(|holder| format!("{} {}", holder.pid, escape_untrusted(&holder.comm)))
            .collect();
        facts.push(match (sockets.is_empty(), who.is_empty()) {
            (true, _) => fact.and("  nobody listens", Weight::Alarm),
            (false, true) => fact,
            (false, false) => fact.and(format!("  {}", who.join(", ")), Weight::Faint),
        });
    }
    facts
}

pub(super) fn interfaces(world: &World, process: &Process) -> Vec<Fact> {
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

pub(super) fn limits(facts: Option<&Facts>) -> Vec<Fact> {
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

pub(super) fn mounts(facts: Option<&Facts>) -> Vec<Fact> {
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

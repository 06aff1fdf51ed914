//! Everything about one process.

use berth_base::{HostPid, NamespaceKind, escape_untrusted};
use berth_map::World;
use berth_map::model::Process;
use berth_map::svg::push_text;

use super::html::{level_tint, push_pid, put};
use super::hub::{Hub, Privacy};
use super::meta::namespace_name;
use super::page::ViewKey;
use super::view::host_pid;

/// The most interfaces, and the most ports, that are listed.
const MOST: usize = 12;

/// A process of a view as a list of facts; `None` where it has ended.
pub(super) fn html(
    hub: &Hub,
    host: &World,
    world: &World,
    key: ViewKey,
    pid: HostPid,
) -> Option<String> {
    let process = world.process(pid)?;
    let mut out = String::with_capacity(2048);
    out.push_str("<h3>");
    push_text(&mut out, &process.comm);
    out.push_str("</h3>");
    push_levels(&mut out, world, process, key);
    out.push_str("<dl>");
    if let Some(parent) = process.parent {
        let name = world
            .process(parent)
            .map(|p| escape_untrusted(&p.comm).into_owned());
        fact(
            &mut out,
            "parent",
            &format!("{} {parent}", name.unwrap_or_default()),
        );
    }
    fact(&mut out, "state", state(process.state));
    fact(&mut out, "uid", &process.uid.to_string());
    push_namespaces(&mut out, world, process);
    for cgroup in process
        .cgroups
        .entries
        .iter()
        .filter(|c| c.path != "/")
        .take(12)
    {
        let name = match cgroup.controllers.as_str() {
            "" => "cgroup".to_owned(),
            controllers => format!("cgroup {}", escape_untrusted(controllers)),
        };
        fact(&mut out, &name, &escape_untrusted(&cgroup.path));
    }
    push_usage(&mut out, world, process);
    push_network(&mut out, world, process);
    match (hub.privacy, host_pid(host, key, pid)) {
        (Privacy::HideArguments, _) => {
            fact(
                &mut out,
                "arguments",
                "hidden; start the page with --show-args to see them",
            );
        }
        (Privacy::ShowArguments, Some(host_pid)) => {
            let command = command(hub, host, host_pid);
            fact(
                &mut out,
                "arguments",
                &escape_untrusted(&command.unwrap_or_default()),
            );
        }
        (Privacy::ShowArguments, None) => {}
    }
    out.push_str("</dl>");
    Some(out)
}

/// The command line, if the process is still the one that the snapshot saw.
fn command(hub: &Hub, host: &World, pid: HostPid) -> Option<String> {
    let proc = &hub.sources.as_ref()?.proc;
    let command = proc.read_command(pid)?;
    let started = host.process(pid)?.start_ticks;
    (proc.start_ticks(pid) == Some(started)).then_some(command)
}

/// Its PID at each level, and whose level that is.
fn push_levels(out: &mut String, world: &World, process: &Process, key: ViewKey) {
    out.push_str("<ul class=\"levels\">");
    let host = world.host().pid_namespace;
    for (level, (pid, id)) in process
        .pids
        .iter()
        .zip(world.pid_namespaces(process))
        .enumerate()
    {
        put(
            out,
            format_args!("<li class=\"{}\">", level_tint(level).as_str()),
        );
        push_pid(out, level, *pid, "");
        match id {
            _ if level == 0 && key.inside.is_none() => out.push_str(" on the host"),
            _ if level == 0 => out.push_str(" here"),
            Some(id) if Some(id) != host => {
                out.push_str(" in ");
                push_text(out, &namespace_name(world, id));
            }
            _ => put(out, format_args!(" in level {level}")),
        }
        out.push_str("</li>");
    }
    out.push_str("</ul>");
}

fn push_namespaces(out: &mut String, world: &World, process: &Process) {
    for kind in NamespaceKind::ALL {
        let Some(id) = process.namespaces.of(kind) else {
            continue;
        };
        let whose = if world.host().namespaces.of(kind) == Some(id) {
            "the host's".to_owned()
        } else {
            match world
                .container_of_namespace(id)
                .and_then(|i| world.container(i))
            {
                Some(container) => escape_untrusted(&container.display_name()).into_owned(),
                None => String::new(),
            }
        };
        fact(out, kind.as_str(), &format!("{} {whose}", id.inode));
    }
}

fn push_usage(out: &mut String, world: &World, process: &Process) {
    let Some(usage) = world.usage(process) else {
        return;
    };
    if let Some(pids) = usage.pids {
        let most = usage
            .pids_max
            .map_or_else(String::new, |most| format!(" of {most}"));
        fact(out, "processes in its cgroup", &format!("{pids}{most}"));
    }
    if usage.frozen == Some(true) {
        fact(out, "freezer", "frozen");
    }
}

/// The interfaces of its network namespace, and the ports of the host that lead there. Nothing for
/// the host's own, which has hundreds where containers are many.
fn push_network(out: &mut String, world: &World, process: &Process) {
    let id = process.namespaces.of(NamespaceKind::Net);
    if id == world.host().namespaces.of(NamespaceKind::Net) {
        return;
    }
    let Some(network) = id.and_then(|id| world.details().networks.get(&id)) else {
        return;
    };
    let shown = network.interfaces.iter().filter(|i| !i.is_loopback);
    for interface in shown.take(MOST) {
        let mut text = escape_untrusted(&interface.name).into_owned();
        for (address, prefix) in &interface.addresses {
            text.push_str(&format!(" {address}/{prefix}"));
        }
        let peer = interface.peer.as_ref();
        if let Some(name) = peer.and_then(|peer| peer.name.as_deref()) {
            text.push_str(&format!(" <-> {}", escape_untrusted(name)));
        }
        fact(out, "interface", &text);
    }
    for (text, port) in network.shown_ports().into_iter().take(MOST) {
        let sockets = network.behind(&port).unwrap_or_default();
        let mut names: Vec<String> = sockets
            .iter()
            .filter_map(|socket| world.process(socket.process?))
            .map(|p| format!("{} {}", escape_untrusted(&p.comm), p.pid))
            .collect();
        names.dedup();
        fact(
            out,
            "published port",
            format!("{text} {}", names.join(", ")).trim_end(),
        );
    }
}

/// A line; both texts are escaped for the eye already.
fn fact(out: &mut String, name: &str, text: &str) {
    out.push_str("<dt>");
    push_text(out, name);
    out.push_str("</dt><dd>");
    push_text(out, text);
    out.push_str("</dd>");
}

/// proc_pid_stat(5).
const fn state(letter: char) -> &'static str {
    match letter {
        'R' => "running",
        'S' => "sleeping",
        'D' => "waiting for the disk or the kernel",
        'Z' => "zombie: ended, not reaped",
        'T' => "stopped",
        't' => "stopped by a tracer",
        'I' => "idle",
        'X' | 'x' => "dead",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_base::{NamespaceId, PublishedPort, Transport};
    use berth_map::model::{
        Details, Extent, Host, Listener, Network, Parts, Process, Protocol, Source,
    };

    #[test]
    fn published_ports_and_their_listeners_are_facts() {
        let net = NamespaceId {
            kind: NamespaceKind::Net,
            inode: 300,
        };
        let process = Process {
            pid: HostPid::new(31).unwrap(),
            pids: vec![31, 1],
            namespaces: [net].into_iter().collect(),
            links: berth_map::model::Links::Read,
            parent: None,
            comm: "<httpd>".to_owned(),
            state: 'S',
            start_ticks: 1,
            cgroups: std::sync::Arc::default(),
            uid: 0,
            kernel_thread: false,
        };
        let network = Network {
            interfaces: Vec::new(),
            listeners: vec![Listener {
                protocol: Protocol::Tcp,
                address: "0.0.0.0".parse().unwrap(),
                port: 80,
                inode: 1,
                process: Some(process.pid),
            }],
            published: vec![PublishedPort {
                transport: Transport::Tcp,
                host_address: "0.0.0.0".parse().unwrap(),
                host_port: 8080,
                container_port: 80,
            }],
        };
        let world = World::assemble(Parts {
            source: Source::Procfs,
            extent: Extent::Host,
            host: Host::default(),
            processes: vec![process.clone()],
            namespaces: Vec::new(),
            known: Vec::new(),
            stale: Vec::new(),
            details: Details {
                networks: [(net, network)].into(),
                ..Details::default()
            },
            warnings: Vec::new(),
        });
        let mut out = String::new();
        push_network(&mut out, &world, &process);
        assert_eq!(
            out,
            "<dt>published port</dt><dd>:8080-&gt;80/tcp &lt;httpd&gt; 31</dd>"
        );
    }
}

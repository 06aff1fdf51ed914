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

//! Which processes a text means. Pure.

use berth_base::NamespaceKind;
use berth_map::World;
use berth_map::model::Process;
use berth_map::svg::push_text;

use super::html::{push_pid, put};
use super::meta::namespace_name;
use super::page::FragmentId;

/// Matches that are listed; the others are counted.
const MOST: usize = 200;

/// Every process that has a number as its PID at some level, or a text in its name, as a list.
pub(super) fn html(world: &World, text: &str) -> String {
    let found = find(world, text);
    let mut out = String::with_capacity(256 + found.len().min(MOST) * 200);
    let s = if found.len() == 1 { "" } else { "es" };
    put(
        &mut out,
        format_args!(
            "<p class=\"count\" role=\"status\" data-count=\"{}\">",
            found.len()
        ),
    );
    push_text(&mut out, text);
    put(
        &mut out,
        format_args!(" is {} process{s}</p><ol>", found.len()),
    );
    for process in found.iter().take(MOST) {
        push_match(&mut out, world, process, text);
    }
    out.push_str("</ol>");
    if found.len() > MOST {
        put(
            &mut out,
            format_args!("<p class=\"faint\">and {} more</p>", found.len() - MOST),
        );
    }
    out
}

/// See [`html`]; those with the number first, then by name.
pub(super) fn find<'w>(world: &'w World, text: &str) -> Vec<&'w Process> {
    let text = text.trim();
    if text.is_empty() {
        return Vec::new();
    }
    let number = text.parse::<u32>().ok();
    let name = text.to_lowercase();
    let has_number = |p: &Process| number.is_some_and(|n| p.pids.contains(&n));
    let all = world.processes().iter();
    let mut found: Vec<&Process> = all
        .filter(|p| has_number(p) || p.comm.to_lowercase().contains(&name))
        .collect();
    found.sort_by_key(|p| !has_number(p));
    found
}

fn push_match(out: &mut String, world: &World, process: &Process, text: &str) {
    let pid = process.pid;
    // Threads of the kernel are one pill.
    let pill = match process.kernel_thread {
        true => FragmentId::KernelThreads,
        false => FragmentId::Process(pid),
    };
    put(
        out,
        format_args!(
            "<li><button type=\"button\" data-to=\"{pill}\" data-pid=\"{pid}\"><span class=\"name\">"
        ),
    );
    push_text(out, &process.comm);
    out.push_str("</span>");
    let around = world.pid_namespaces(process);
    for (level, pid) in process.pids.iter().enumerate() {
        let hit = if pid.to_string() == text.trim() {
            " hit"
        } else {
            ""
        };
        push_pid(out, level, *pid, hit);
    }
    let innermost = around.last().copied().flatten();
    let host = world.host().pid_namespace;
    if let Some(id) = innermost.filter(|id| Some(*id) != host && id.kind == NamespaceKind::Pid) {
        out.push_str("<span class=\"faint\">in ");
        push_text(out, &namespace_name(world, id));
        out.push_str("</span>");
    }
    out.push_str("</button></li>");
}

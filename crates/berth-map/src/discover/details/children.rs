//! Namespaces that the future or their own children keep alive: those that a process's next child
//! will be born in, and those in which others were made.

use std::mem::MaybeUninit;

use berth_base::{NamespaceId, NamespaceKind};

use super::Reading;
use crate::discover::parse;
use crate::discover::pid_dir::open_pid;
use crate::discover::ways::Way;
use crate::model::{Holder, Links, Process};

/// The two links, with the kind that they must differ from (namespaces(7), 4.12 and 5.6).
const LINKS: [(NamespaceKind, &std::ffi::CStr); 2] = [
    (NamespaceKind::Pid, c"ns/pid_for_children"),
    (NamespaceKind::Time, c"ns/time_for_children"),
];

/// Reads which namespaces the next children of processes will be born in. The kernel hides a PID
/// namespace that has never had a process.
pub(in crate::discover) fn read_links(reading: &mut Reading<'_>) -> Result<(), String> {
    read_links_of(reading, |_| true)
}

/// As [`read_links`], of some processes.
pub(in crate::discover) fn read_links_of(
    reading: &mut Reading<'_>,
    is_chosen: impl Fn(&Process) -> bool,
) -> Result<(), String> {
    for process in reading.scan.processes.iter().filter(|p| is_chosen(p)) {
        if process.kernel_thread || process.is_zombie() || process.links == Links::Denied {
            continue;
        }
        let Ok(dir) = open_pid(reading.proc, process.pid) else {
            continue;
        };
        for (kind, name) in LINKS {
            let mut target = [MaybeUninit::<u8>::uninit(); 64];
            let Ok((target, _)) = rustix::fs::readlinkat_raw(&dir, name, &mut target) else {
                continue;
            };
            let Some(id) = parse::parse_link(kind, target) else {
                continue;
            };
            if process.namespaces.of(kind) == Some(id) {
                continue;
            }
            reading.ways.insert(id, Way::ForChildren(process.pid));
            reading.hold(id, Holder::ForChildren { pid: process.pid });
        }
    }
    Ok(())
}

/// Names the children and the owned namespaces of those that nobody lives in. Of one with
/// processes they are not named: it would live without them.
pub(in crate::discover) fn read_relations(reading: &mut Reading<'_>) -> Result<(), String> {
    let mut pairs: Vec<(NamespaceId, NamespaceId)> = Vec::new();
    for namespace in reading.hierarchy.namespaces() {
        for related in [namespace.parent, namespace.owner].into_iter().flatten() {
            if !reading.ways.is_inhabited(related) {
                pairs.push((related, namespace.id));
            }
        }
    }
    for (id, namespace) in pairs {
        reading.hold(id, Holder::Child { namespace });
    }
    Ok(())
}

//! BM030, BM031: zombies, by the parent that leaves them.

use std::collections::BTreeMap;

use berth_base::{HostPid, escape_untrusted};

use super::{Finding, Object, Severity, rules};
use crate::model::{Process, World};

/// Counts zombies by parent.
pub(super) fn find(world: &World, findings: &mut Vec<Finding>) {
    let mut by_parent: BTreeMap<HostPid, (usize, &Process)> = BTreeMap::new();
    for process in world.processes().iter().filter(|p| p.is_zombie()) {
        let Some(parent) = world.parent(process) else {
            continue;
        };
        // A parent that is a zombie itself is about to be reaped with its children.
        if !parent.is_zombie() {
            by_parent.entry(parent.pid).or_insert((0, process)).0 += 1;
        }
    }
    for (pid, (count, first)) in by_parent {
        if let Some(parent) = world.process(pid) {
            findings.push(finding(world, parent, count, first));
        }
    }
}

fn finding(world: &World, parent: &Process, count: usize, first: &Process) -> Finding {
    let name = escape_untrusted(&parent.comm);
    let owner = world.owner(parent.pid);
    let object = owner.map_or(Object::Process(parent.pid), Object::Container);
    let zombies = match count {
        1 => format!("1 zombie (host PID {})", first.pid),
        _ => format!("{count} zombies (the first is host PID {})", first.pid),
    };
    if parent.is_namespace_init() {
        return Finding {
            rule: &rules::ZOMBIES,
            severity: Severity::Warning,
            object,
            reason: format!("its PID 1 \"{name}\" (host PID {}) does not reap: {zombies}", parent.pid),
            remedy: "run an init as PID 1 (--init), or make the program wait for its children: orphans are given to PID 1".to_owned(),
        };
    }
    Finding {
        rule: &rules::ZOMBIES_OF_OTHERS,
        severity: Severity::Info,
        object,
        reason: format!(
            "\"{name}\" (host PID {}) does not reap its children: {zombies}",
            parent.pid
        ),
        remedy: "make it wait for its children, or end it: then they are given to an init"
            .to_owned(),
    }
}

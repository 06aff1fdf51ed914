//! BM050: processes that came into a container's namespaces from outside.

use std::collections::BTreeMap;

use berth_base::{NamespaceId, NamespaceKind, escape_untrusted};

use super::{Finding, Object, Severity, rules};
use crate::model::{Container, ContainerIndex, NamespaceSet, Process, World};

/// The kinds that tell an intruder. Engines' own helpers live in the user namespace of rootless
/// containers, and cgroup and time namespaces give no access.
const TELLING: [NamespaceKind; 5] = [
    NamespaceKind::Mnt,
    NamespaceKind::Pid,
    NamespaceKind::Net,
    NamespaceKind::Ipc,
    NamespaceKind::Uts,
];

/// Looks for processes with a parent outside of their container, and for processes and threads of
/// no container in a container's namespaces.
pub(super) fn find(world: &World, findings: &mut Vec<Finding>) {
    let own = own_namespaces(world);
    for process in world.processes() {
        if process.kernel_thread || process.is_zombie() {
            continue;
        }
        match world.owner(process.pid) {
            Some(owner) => findings.extend(came_by_parent(world, process, owner)),
            None => {
                let found = lives_in(process, &process.namespaces, &own);
                findings.extend(found.filter(|_| !made_a_container(world, process)));
            }
        }
        for thread in world.threads(process.pid) {
            if world.owner(process.pid).is_none()
                && let Some(found) = lives_in(process, &thread.namespaces, &own)
            {
                let reason = format!("thread {} of {}", thread.tid, found.reason);
                findings.push(Finding { reason, ..found });
            }
        }
    }
}

/// The namespaces that are one container's, and not the host's: those of its first process.
fn own_namespaces(world: &World) -> BTreeMap<NamespaceId, ContainerIndex> {
    let mut own = BTreeMap::new();
    for (index, container) in world.indexed_containers() {
        let init = container.init.and_then(|pid| world.process(pid));
        for id in init.into_iter().flat_map(|p| p.namespaces.iter()) {
            let of_host = world.host().namespaces.of(id.kind);
            if of_host.is_some_and(|host| host != id) && TELLING.contains(&id.kind) {
                own.entry(id).or_insert(index);
            }
        }
    }
    own
}

/// A process that a container owns, but whose parent is of another or of none.
fn came_by_parent(world: &World, process: &Process, owner: ContainerIndex) -> Option<Finding> {
    let container = world.container(owner)?;
    let init = container.init?;
    let parent = world.parent(process)?;
    let inside = world
        .owner(parent.pid)
        .is_some_and(|of_parent| world.is_inside(of_parent, owner));
    if inside || process.pid == init {
        return None;
    }
    let by_engine = is_engine(world, container, parent);
    let severity = match by_engine {
        true => Severity::Info,
        false => Severity::Warning,
    };
    let how = match by_engine {
        true => "was started by its engine",
        false => "came from outside",
    };
    Some(Finding {
        rule: &rules::JOINED,
        severity,
        object: Object::Container(owner),
        reason: format!(
            "process {} {how}: its parent is {}",
            named(process),
            named(parent)
        ),
        remedy: match by_engine {
            true => "nothing, if somebody runs a command in it (exec, a health check)".to_owned(),
            false => format!(
                "find out who started it: \"berth pid --all {}\", and end it if nobody should have",
                process.pid
            ),
        },
    })
}

/// Whether a process is what started the container, or one of its kind: the shim, monitor or
/// conmon that also starts commands in it.
fn is_engine(world: &World, container: &Container, parent: &Process) -> bool {
    let init = container.init.and_then(|pid| world.process(pid));
    let starter = init.and_then(|init| world.parent(init));
    starter.is_some_and(|s| s.pid == parent.pid || (s.comm == parent.comm && s.uid == parent.uid))
}

/// Whether a process is an ancestor of a container's first one: unshare(1) and its like make
/// namespaces, live in them, and fork the first process.
fn made_a_container(world: &World, process: &Process) -> bool {
    let mut inits = world
        .containers()
        .iter()
        .filter_map(|c| world.process(c.init?));
    inits.any(|init| {
        let line = std::iter::successors(Some(init), |p| world.parent(p));
        let mut line = line.take(world.processes().len());
        line.any(|ancestor| ancestor.pid == process.pid)
    })
}

/// A process of no container whose namespaces are partly a container's.
fn lives_in(
    process: &Process,
    namespaces: &NamespaceSet,
    own: &BTreeMap<NamespaceId, ContainerIndex>,
) -> Option<Finding> {
    let found: Vec<(NamespaceId, ContainerIndex)> = namespaces
        .iter()
        .filter_map(|id| Some((id, *own.get(&id)?)))
        .collect();
    let owner = found.first()?.1;
    let kinds: Vec<&str> = found
        .iter()
        .filter(|(_, of)| *of == owner)
        .map(|(id, _)| id.kind.as_str())
        .collect();
    Some(Finding {
        rule: &rules::JOINED,
        severity: Severity::Warning,
        object: Object::Container(owner),
        reason: format!(
            "process {} lives in its {} namespace but is none of its own",
            named(process),
            kinds.join(", ")
        ),
        remedy: format!(
            "find out who started it: \"berth pid --all {}\", and end it if nobody should have",
            process.pid
        ),
    })
}

fn named(process: &Process) -> String {
    format!("{} \"{}\"", process.pid, escape_untrusted(&process.comm))
}

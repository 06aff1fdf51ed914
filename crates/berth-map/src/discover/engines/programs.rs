//! Containers that are known by the program that made them: LXC by its monitor, systemd-nspawn
//! that did not register, bubblewrap, Chromium's sandbox.
//!
//! Looked at are the first processes of PID namespaces, and children of bubblewrap in a mount
//! namespace of their own. A command line is read of those only that can be one of these.

use std::collections::BTreeMap;

use berth_base::{NamespaceId, NamespaceKind};

use super::facts::Facts;
use super::judge::{Clock, believe};
use super::lxc;
use super::record::Record;
use crate::attribute::KnownContainer;
use crate::attribute::programs::{Ask, BWRAP, Made, recognise_init, recognise_maker, whom_to_ask};
use crate::model::{Engine, Evidence, EvidenceKind, Process};

/// Own command lines of first processes that are read to find Chromium.
const MAX_OWN_COMMANDS: usize = 64;

/// Finds them, outermost first, leaving out what is known already.
pub(super) fn find(facts: &mut Facts, known: &[KnownContainer]) -> Vec<KnownContainer> {
    let has_bwrap = facts.processes.iter().any(|p| p.comm == BWRAP);
    let may_be = facts
        .processes
        .iter()
        .filter(|p| has_bwrap || p.is_namespace_init());
    let mut first: Vec<&Process> = may_be.filter(|p| is_first(facts, p)).collect();
    first.sort_by_key(|p| (p.level(), p.pid));
    let mut taken: BTreeMap<NamespaceId, Engine> = BTreeMap::new();
    for container in known.iter().filter(|k| k.own_pid_namespace) {
        taken.extend(container.pid_namespace.map(|id| (id, container.engine)));
    }
    let mut found = Vec::new();
    let mut own_left = MAX_OWN_COMMANDS;
    for init in first {
        let namespace = init.pid_namespace().filter(|_| init.is_namespace_init());
        let is_known = known.iter().any(|k| k.init == init.pid);
        if is_known || namespace.is_some_and(|id| taken.contains_key(&id)) {
            continue;
        }
        let Some(container) = ask(facts, init, &mut own_left) else {
            continue;
        };
        // Chromium gives each renderer a PID namespace below that of the zygote.
        let around = |id: &NamespaceId| namespace.is_some_and(|own| facts.is_below(own, *id));
        let in_chrome = || {
            taken
                .iter()
                .any(|(id, e)| *e == Engine::Chrome && around(id))
        };
        if container.engine == Engine::Chrome && in_chrome() {
            continue;
        }
        taken.extend(namespace.map(|id| (id, container.engine)));
        found.push(container);
    }
    found
}

/// Whether a process can be the first of such a container.
fn is_first(facts: &Facts, process: &Process) -> bool {
    let Some(maker) = facts.parent(process) else {
        return false;
    };
    if process.is_namespace_init() {
        return maker.level() < process.level();
    }
    let mount = |p: &Process| p.namespaces.of(NamespaceKind::Mnt);
    maker.comm == BWRAP && mount(maker).is_some() && mount(process) != mount(maker)
}

/// Asks the command line that can tell what a first process belongs to.
fn ask(facts: &mut Facts, init: &Process, own_left: &mut usize) -> Option<KnownContainer> {
    let maker = facts.parent(init)?;
    let made = match whom_to_ask(maker, init, &lxc::MONITORS) {
        Ask::Nobody => return None,
        Ask::Maker => {
            let arguments = facts.arguments(maker.pid)?;
            if let Some(record) = ask_monitor(facts, &arguments, maker, init) {
                return believe(record, init, Some(maker), Clock::now());
            }
            recognise_maker(maker, &arguments)?
        }
        Ask::Itself => {
            *own_left = own_left.checked_sub(1)?;
            recognise_init(&facts.arguments(init.pid)?)?
        }
    };
    Some(describe(made, maker, init))
}

fn ask_monitor(
    facts: &mut Facts,
    arguments: &[String],
    monitor: &Process,
    init: &Process,
) -> Option<Record> {
    let tree = facts.tree_of(monitor);
    lxc::read(tree.as_deref(), arguments, monitor, init)
}

/// The container of a first process. One without a name is called by that process's PID.
fn describe(made: Made, maker: &Process, init: &Process) -> KnownContainer {
    let pid = init.pid.to_string();
    let (id, name) = match made.name {
        Some(name) => (name.clone(), name),
        None => (pid.clone(), pid),
    };
    KnownContainer {
        engine: made.engine,
        id,
        name,
        init: init.pid,
        pid_namespace: init.pid_namespace(),
        own_pid_namespace: init.is_namespace_init(),
        cgroup_dirs: Vec::new(),
        image: made.image,
        pod: None,
        evidence: Evidence {
            kind: EvidenceKind::Program,
            detail: maker.comm.clone(),
        },
    }
}

//! snap: cgroups named `snap.NAME.APP...`, and `/run/snapd/ns/NAME.mnt`, a bind mount of the
//! mount namespace that snap-confine made for the snap.
//!
//! snapd keeps no list of running applications: a process's cgroup says which it is, and the
//! namespace whether it is so.

use berth_base::NamespaceKind;

use super::facts::Facts;
use super::tree::Tree;
use crate::attribute::{KnownContainer, containers_in_path, name_by_path};
use crate::model::{Engine, Evidence, EvidenceKind, Process};

/// Where snap-confine keeps mount namespaces.
const NAMESPACES: &str = "run/snapd/ns";

/// Adds the applications whose first process lives in the mount namespace of their snap.
pub(super) fn find(tree: &Tree, facts: &Facts, known: &mut Vec<KnownContainer>) {
    if !tree.has(NAMESPACES) {
        return;
    }
    for process in facts.processes {
        let Some((id, snap)) = snap_of(process) else {
            continue;
        };
        let is_known = |k: &KnownContainer| k.engine == Engine::Snap && k.id == id;
        if process.is_zombie() || known.iter().any(is_known) {
            continue;
        }
        let path = format!("{NAMESPACES}/{snap}.mnt");
        let mount = process.namespaces.of(NamespaceKind::Mnt).map(|id| id.inode);
        if mount.is_none() || tree.inode(&path) != mount {
            continue;
        }
        known.push(KnownContainer {
            engine: Engine::Snap,
            id: id.to_owned(),
            name: name_by_path(Engine::Snap, id),
            init: process.pid,
            pid_namespace: process.pid_namespace(),
            own_pid_namespace: false,
            cgroup_dirs: Vec::new(),
            image: Some(snap.to_owned()),
            pod: None,
            evidence: Evidence {
                kind: EvidenceKind::StateFile,
                detail: tree.name(&path),
            },
        });
    }
}

/// The application and the snap that a process's cgroups name.
fn snap_of(process: &Process) -> Option<(&str, &str)> {
    process.cgroups.entries.iter().find_map(|entry| {
        let mut found = containers_in_path(&entry.path);
        let found = found.find(|m| m.engine == Some(Engine::Snap))?;
        let snap = found.id.split('.').next()?;
        Some((found.id, snap))
    })
}

//! Parents and owners of namespaces, as the kernel tells them (ioctl_nsfs(2)).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_sys::nsfs;

use super::ProcRoot;
use super::ways::Ways;
use crate::model::Namespace;

/// PID and user namespaces nest at most this deep (MAX_PID_NS_LEVEL; user: 33).
const MAX_DEPTH: usize = 64;

/// What the kernel told of namespaces so far.
#[derive(Debug, Default)]
pub(super) struct Hierarchy {
    asked: BTreeSet<NamespaceId>,
    found: BTreeMap<NamespaceId, Namespace>,
}

impl Hierarchy {
    /// Begins with namespaces of which the source of processes told everything.
    pub(super) fn with(known: Vec<Namespace>) -> Self {
        Self {
            asked: known.iter().map(|namespace| namespace.id).collect(),
            found: known.into_iter().map(|n| (n.id, n)).collect(),
        }
    }

    /// Asks the kernel about every namespace that is known, and about ancestors that nothing
    /// else shows.
    ///
    /// What it refuses (EPERM above the caller's own namespaces, a fake procfs of a test) stays
    /// unknown.
    pub(super) fn ask(&mut self, proc: &ProcRoot, ways: &Ways) {
        for id in ways.iter().collect::<Vec<_>>() {
            if self.asked.contains(&id) {
                continue;
            }
            if let Some(descriptor) = ways.open(proc, id) {
                self.climb(id, descriptor);
            } else if !ways.is_inhabited(id) {
                // Nothing but a holder names it.
                self.found.entry(id).or_insert_with(|| Namespace::new(id));
            }
        }
    }

    /// Records a namespace and its ancestors, up to the first that is known already.
    pub(super) fn climb(&mut self, id: NamespaceId, descriptor: OwnedFd) {
        climb(id, descriptor, &mut self.asked, &mut self.found);
    }

    /// All that is known.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.found.values()
    }

    /// Gives up all that is known.
    pub(super) fn into_namespaces(self) -> Vec<Namespace> {
        self.found.into_values().collect()
    }
}

/// Asks the kernel about one process's PID or user namespace and all those above it.
pub(super) fn ask_chain(proc: &ProcRoot, pid: HostPid, id: NamespaceId) -> Vec<Namespace> {
    let mut found = BTreeMap::new();
    if let Some(descriptor) = open_verified(proc, pid, id) {
        climb(id, descriptor, &mut BTreeSet::new(), &mut found);
    }
    found.into_values().collect()
}

/// Opens a namespace through a process, and makes sure that it is still the same one.
pub(crate) fn open_verified(proc: &ProcRoot, pid: HostPid, id: NamespaceId) -> Option<OwnedFd> {
    let descriptor = proc.open_namespace(pid, id.kind.as_str()).ok()?;
    (inode_of(&descriptor).ok()? == id.inode).then_some(descriptor)
}

/// Records a namespace and its ancestors, up to the first that is known already.
fn climb(
    id: NamespaceId,
    descriptor: OwnedFd,
    asked: &mut BTreeSet<NamespaceId>,
    found: &mut BTreeMap<NamespaceId, Namespace>,
) {
    let mut current = (id, descriptor);
    for _ in 0..MAX_DEPTH {
        let (id, descriptor) = current;
        if !asked.insert(id) {
            return;
        }
        let mut namespace = Namespace::new(id);
        namespace.owner = related(nsfs::open_owner(&descriptor), NamespaceKind::User).map(|r| r.0);
        if id.kind == NamespaceKind::User {
            namespace.owner_uid = nsfs::read_owner_uid(&descriptor).ok();
        }
        let nests = matches!(id.kind, NamespaceKind::Pid | NamespaceKind::User);
        let parent = nests
            .then(|| related(nsfs::open_parent(&descriptor), id.kind))
            .flatten();
        namespace.parent = parent.as_ref().map(|p| p.0);
        found.insert(id, namespace);
        match parent {
            Some(next) => current = next,
            None => return,
        }
    }
}

/// The id of a namespace that the kernel opened.
fn related(opened: io::Result<OwnedFd>, kind: NamespaceKind) -> Option<(NamespaceId, OwnedFd)> {
    let descriptor = opened.ok()?;
    let inode = inode_of(&descriptor).ok()?;
    Some((NamespaceId { kind, inode }, descriptor))
}

/// The inode number of an open namespace, which is its id.
pub(super) fn inode_of(descriptor: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(descriptor)?.st_ino)
}

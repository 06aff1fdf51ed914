//! Namespaces, and the set of eight that one process lives in.

use berth_base::{NamespaceId, NamespaceKind};
use serde::{Deserialize, Serialize};

/// One namespace of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Kind and inode.
    pub id: NamespaceId,
    /// Depth below the host's PID namespace, which is level 0. PID namespaces only.
    pub level: Option<usize>,
    /// The namespace it was made in: of PID and user namespaces, where known. A namespace whose
    /// parent the caller may not see (the host's own) has none.
    pub parent: Option<NamespaceId>,
    /// The user namespace that owns it, where known; of a user namespace this is its parent.
    pub owner: Option<NamespaceId>,
    /// The uid that made it, as the reader's user namespace maps it. User namespaces only.
    pub owner_uid: Option<u32>,
    /// Number of processes of the snapshot that live in it (not deeper).
    pub processes: u32,
}

impl Namespace {
    /// A namespace of which nothing but its id is known.
    pub const fn new(id: NamespaceId) -> Self {
        Self {
            id,
            level: None,
            parent: None,
            owner: None,
            owner_uid: None,
            processes: 0,
        }
    }
}

/// The namespaces of one process, at most one of each kind.
///
/// A kind is missing when its link could not be read, when the kernel lacks it (time namespaces
/// before 5.6), or when the process is a zombie: the kernel then shows only `pid` and `user`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamespaceSet {
    /// Inode numbers by kind; 0 is no inode.
    inodes: [u64; 8],
}

impl NamespaceSet {
    /// The namespace of this kind, when known.
    pub fn of(&self, kind: NamespaceKind) -> Option<NamespaceId> {
        match self.inodes[slot(kind)] {
            0 => None,
            inode => Some(NamespaceId { kind, inode }),
        }
    }

    /// Enters one namespace into the set.
    pub fn insert(&mut self, id: NamespaceId) {
        self.inodes[slot(id.kind)] = id.inode;
    }

    /// The known namespaces, in the order of [`NamespaceKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = NamespaceId> + '_ {
        NamespaceKind::ALL
            .into_iter()
            .filter_map(|kind| self.of(kind))
    }

    /// The kinds of which both sets know the namespace and it is the same one.
    pub fn shared_with(&self, other: &Self) -> Vec<NamespaceKind> {
        self.iter()
            .filter(|id| other.of(id.kind) == Some(*id))
            .map(|id| id.kind)
            .collect()
    }
}

impl FromIterator<NamespaceId> for NamespaceSet {
    fn from_iter<I: IntoIterator<Item = NamespaceId>>(ids: I) -> Self {
        let mut set = Self::default();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

/// The place of a kind in [`NamespaceSet`].
const fn slot(kind: NamespaceKind) -> usize {
    match kind {
        NamespaceKind::Cgroup => 0,
        NamespaceKind::Ipc => 1,
        NamespaceKind::Mnt => 2,
        NamespaceKind::Net => 3,
        NamespaceKind::Pid => 4,
        NamespaceKind::Time => 5,
        NamespaceKind::User => 6,
        NamespaceKind::Uts => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_do_not_share_a_slot() {
        let set: NamespaceSet = NamespaceKind::ALL
            .into_iter()
            .zip(1u64..)
            .map(|(kind, inode)| NamespaceId { kind, inode })
            .collect();
        let inodes: Vec<u64> = set.iter().map(|id| id.inode).collect();
        assert_eq!(inodes, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn unknown_namespaces_are_never_shared() {
        let empty = NamespaceSet::default();
        assert!(empty.shared_with(&empty).is_empty());
    }
}

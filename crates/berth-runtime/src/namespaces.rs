//! Namespace kinds and their CLONE_NEW* flags.

use berth_base::NamespaceKind;
use oci_spec::runtime::LinuxNamespaceType;

/// CLONE_NEWTIME.
pub const NEW_TIME: u64 = 0x80;
/// CLONE_NEWNS.
pub const NEW_MOUNT: u64 = 0x2_0000;
/// CLONE_NEWCGROUP.
pub const NEW_CGROUP: u64 = 0x200_0000;
/// CLONE_NEWUTS.
pub const NEW_UTS: u64 = 0x400_0000;
/// CLONE_NEWIPC.
pub const NEW_IPC: u64 = 0x800_0000;
/// CLONE_NEWUSER.
pub const NEW_USER: u64 = 0x1000_0000;
/// CLONE_NEWPID.
pub const NEW_PID: u64 = 0x2000_0000;
/// CLONE_NEWNET.
pub const NEW_NET: u64 = 0x4000_0000;

/// The clone flag of a kind (clone(2)).
pub const fn flag_of(kind: NamespaceKind) -> u64 {
    match kind {
        NamespaceKind::Cgroup => NEW_CGROUP,
        NamespaceKind::Ipc => NEW_IPC,
        NamespaceKind::Mnt => NEW_MOUNT,
        NamespaceKind::Net => NEW_NET,
        NamespaceKind::Pid => NEW_PID,
        NamespaceKind::Time => NEW_TIME,
        NamespaceKind::User => NEW_USER,
        NamespaceKind::Uts => NEW_UTS,
    }
}

/// The kind that the runtime specification names.
pub const fn kind_of(kind: LinuxNamespaceType) -> NamespaceKind {
    match kind {
        LinuxNamespaceType::Cgroup => NamespaceKind::Cgroup,
        LinuxNamespaceType::Ipc => NamespaceKind::Ipc,
        LinuxNamespaceType::Mount => NamespaceKind::Mnt,
        LinuxNamespaceType::Network => NamespaceKind::Net,
        LinuxNamespaceType::Pid => NamespaceKind::Pid,
        LinuxNamespaceType::Time => NamespaceKind::Time,
        LinuxNamespaceType::User => NamespaceKind::User,
        LinuxNamespaceType::Uts => NamespaceKind::Uts,
    }
}

/// The kinds of the namespaces in a set of flags.
pub fn kinds_of(flags: u64) -> Vec<NamespaceKind> {
    let mut kinds = NamespaceKind::ALL.to_vec();
    kinds.retain(|kind| flags & flag_of(*kind) != 0);
    kinds
}

/// Their names.
pub fn names_of(flags: u64) -> Vec<&'static str> {
    let kinds = kinds_of(flags).into_iter();
    kinds.map(NamespaceKind::as_str).collect()
}

//! What the kernel says of a process, as far as starting a container needs it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use berth_base::{HostPid, NamespaceId, NamespaceKind, ProcessIdentity};
use berth_sys::nsfs;

/// Reads a file of procfs, whose size nobody knows before: in as few read(2) calls as the kernel
/// answers it in.
pub(crate) fn read_proc(path: impl AsRef<Path>) -> io::Result<String> {
    const ROOM: usize = 8192;
    let mut text = String::with_capacity(ROOM);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Reads the identity of a living process: its start time and this boot.
pub(crate) fn identify(pid: HostPid) -> io::Result<ProcessIdentity> {
    let boot_id = read_proc("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned();
    Ok(ProcessIdentity {
        pid,
        start_ticks: start_ticks(pid)?,
        boot_id,
    })
}

/// Field 22 of /proc/PID/stat. The second field, comm, may hold anything but ends at the last
/// parenthesis.
fn start_ticks(pid: HostPid) -> io::Result<u64> {
    let stat = read_proc(format!("/proc/{pid}/stat"))?;
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(19))
        .and_then(|ticks| ticks.parse().ok())
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no start time")))
}

/// Whether the process of an identity still lives, as far as procfs tells.
pub(crate) fn is_same(identity: &ProcessIdentity) -> bool {
    start_ticks(identity.pid).is_ok_and(|ticks| ticks == identity.start_ticks)
}

/// The namespaces of a process; those that cannot be read are left out.
pub(crate) fn namespaces(pid: HostPid) -> Vec<NamespaceId> {
    NamespaceKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let link = fs::read_link(format!("/proc/{pid}/ns/{}", kind.as_str())).ok()?;
            let text = link.to_str()?;
            let inode = text.split_once('[')?.1.strip_suffix(']')?.parse().ok()?;
            Some(NamespaceId { kind, inode })
        })
        .collect()
}

/// A number of a process's namespace that no other namespace of this boot ever has; `None` where
/// the kernel has none (before 6.11 for mount namespaces, 6.18 for others) or does not show it.
pub fn unique_namespace(pid: HostPid, kind: NamespaceKind) -> Option<u64> {
    let namespace = File::open(format!("/proc/{pid}/ns/{}", kind.as_str())).ok()?;
    match kind {
        NamespaceKind::Mnt => nsfs::read_mount_id(&namespace).ok(),
        _ => nsfs::read_id(&namespace).ok(),
    }
}

//! Bind mounts of nsfs files, in every mount namespace, whether a process lives there or not.
//!
//! The kernel walks us through all mount namespaces and tells their mounts by id (6.12), so that
//! nothing is entered and no path is resolved. Before that, and without privilege, the mounts are
//! read from one process for each mount namespace, as far as its root reaches.

use std::os::fd::OwnedFd;

use berth_base::{NamespaceId, NamespaceKind};
use berth_sys::mount_list::{self, MountNamespace, StatBuffer, StatMask, Step};
use rustix::fs::{Mode, OFlags};

use super::Reading;
use super::mountinfo;
use crate::discover::hierarchy::inode_of;
use crate::discover::proc_root::read_file;
use crate::discover::ways::{NSFS_MAGIC, Way};
use crate::discover::{ProcRoot, parse};
use crate::model::{Holder, Mount, decode_untrusted};

/// More mount namespaces than any host has; a walk that goes on is cut.
const MAX_NAMESPACES: usize = 1 << 20;

/// Finds bind mounts of namespaces, and mount namespaces that no process lives in.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    add_own_ways(reading);
    let mut buffer = StatBuffer::default();
    let walked = walk(reading.proc, |descriptor, namespace| {
        let Ok(inode) = inode_of(&descriptor) else {
            return;
        };
        let kind = NamespaceKind::Mnt;
        let id = NamespaceId { kind, inode };
        if !reading.ways.leads_to(id) {
            reading.ways.insert(id, Way::Passed);
            reading.hierarchy.climb(id, descriptor);
        }
        for (held, path) in nsfs_mounts(namespace.id, &mut buffer) {
            let holder = Holder::BindMount {
                mount_namespace: Some(id),
                path,
            };
            reading.hold(held, holder);
            reading.ways.insert(held, Way::Passed);
        }
    });
    if walked.is_err() {
        read_mountinfo(reading);
    }
    Ok(())
}

/// Calls `each` with every mount namespace that the caller may see, the oldest first.
///
/// Fails on kernels before 6.12 and without privilege, before the first call.
pub(super) fn walk(
    proc: &ProcRoot,
    mut each: impl FnMut(OwnedFd, MountNamespace),
) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own = rustix::fs::openat(proc, c"thread-self/ns/mnt", flags, Mode::empty())?;
    let mut oldest = (own, None);
    for _ in 0..MAX_NAMESPACES {
        match mount_list::neighbour(&oldest.0, Step::Previous)? {
            Some((descriptor, namespace)) => oldest = (descriptor, Some(namespace)),
            None => break,
        }
    }
    let (mut current, known) = oldest;
    let mut namespace = match known {
        Some(namespace) => namespace,
        None => mount_list::mount_namespace(&current)?,
    };
    for _ in 0..MAX_NAMESPACES {
        let next = mount_list::neighbour(&current, Step::Next).unwrap_or(None);
        each(current, namespace);
        match next {
            Some(found) => (current, namespace) = found,
            None => break,
        }
    }
    Ok(())
}

/// The nsfs mounts of a mount namespace: which namespace, and where.
fn nsfs_mounts(namespace: u64, buffer: &mut StatBuffer) -> Vec<(NamespaceId, String)> {
    let mut found = Vec::new();
    // It may end while it is looked at.
    for mount in mount_list::list_mounts(namespace).unwrap_or_default() {
        let magic = mount_list::stat_mount(namespace, mount, StatMask::MAGIC, buffer);
        if !magic.is_ok_and(|stat| is_nsfs(stat.magic)) {
            continue;
        }
        let Ok(stat) = mount_list::stat_mount(namespace, mount, StatMask::PLACE, buffer) else {
            continue;
        };
        if let Some(id) = parse::parse_any_link(&stat.root) {
            found.push((id, decode_untrusted(&stat.point)));
        }
    }
    found
}

fn is_nsfs(magic: u64) -> bool {
    u64::try_from(NSFS_MAGIC).is_ok_and(|nsfs| nsfs == magic)
}

/// The same from `/proc/PID/mountinfo`, our own included, which may be that of a thread.
fn read_mountinfo(reading: &mut Reading<'_>) {
    let kind = NamespaceKind::Mnt;
    let ways = &reading.ways;
    let mut folders: Vec<(NamespaceId, String)> = ways
        .of_kind(kind)
        .filter_map(|id| Some((id, ways.folder(id)?)))
        .collect();
    let own = rustix::fs::readlinkat(reading.proc, c"thread-self/ns/mnt", Vec::new());
    let own = own
        .ok()
        .and_then(|link| parse::parse_link(kind, link.as_bytes()));
    folders.extend(own.map(|id| (id, "thread-self".to_owned())));
    let mut buffer = Vec::new();
    for (id, folder) in folders {
        if read_file(reading.proc, format!("{folder}/mountinfo"), &mut buffer).is_err() {
            continue;
        }
        for mount in mountinfo::parse(&buffer) {
            if let Some(held) = held_by(&mount) {
                let holder = Holder::BindMount {
                    mount_namespace: Some(id),
                    path: mount.point,
                };
                reading.hold(held, holder);
                reading.ways.insert(held, Way::Passed);
            }
        }
    }
}

/// The namespace that a mount is of.
fn held_by(mount: &Mount) -> Option<NamespaceId> {
    let is_nsfs = mount.kind == "nsfs";
    is_nsfs
        .then(|| parse::parse_any_link(mount.root.as_bytes()))
        .flatten()
}

/// Adds the mounts of our own mount namespace as ways to open what they hold.
fn add_own_ways(reading: &mut Reading<'_>) {
    let mut buffer = Vec::new();
    if read_file(reading.proc, c"thread-self/mountinfo", &mut buffer).is_err() {
        return;
    }
    let mounts = mountinfo::parse(&buffer);
    for mount in &mounts {
        if let Some(id) = held_by(mount)
            && is_quick(&mounts, mount)
        {
            let path = mount.point.clone().into_bytes();
            reading.ways.insert(id, Way::Mounted(path));
        }
    }
}

/// Whether every folder on the way to a mount point is on a file system that answers at once: not
/// on a network, not by a process (FUSE), which could keep us waiting for ever.
fn is_quick(mounts: &[Mount], mount: &Mount) -> bool {
    const QUICK: [&str; 12] = [
        "tmpfs", "ramfs", "rootfs", "devtmpfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs",
        "overlay", "squashfs",
    ];
    let carrier = |mount: &Mount| {
        let parent = mount.parent;
        (parent != mount.id).then(|| mounts.iter().find(|m| m.id == parent))?
    };
    let mut above = std::iter::successors(carrier(mount), |m| carrier(m)).take(mounts.len());
    above.all(|m| QUICK.contains(&m.kind.as_str()))
}

//! The mounts of those mount namespaces that are asked for.

use std::collections::BTreeMap;

use berth_base::{NamespaceId, NamespaceKind};
use berth_sys::mount_list::{self, StatBuffer, StatMask};

use super::Reading;
use super::{bind_mounts, mountinfo};
use crate::discover::hierarchy::inode_of;
use crate::discover::proc_root::read_file;
use crate::model::Mount;

/// Reads them by statmount(2) (all of a namespace, 6.11), else from a process that lives there
/// (what is below its root).
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let mut missing = Vec::new();
    for id in &reading.wanted.mounts {
        match read_by_id(reading, *id).or_else(|| read_mountinfo(reading, *id)) {
            Some(mounts) => {
                let mounts = mountinfo::parents_first(mounts);
                reading.details.mounts.insert(*id, mounts);
            }
            None => missing.push(id.to_string()),
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "those of {} cannot be read: there is no such mount namespace, or it takes root",
            missing.join(", ")
        ))
    }
}

fn read_by_id(reading: &Reading<'_>, id: NamespaceId) -> Option<Vec<Mount>> {
    let number = match reading.ways.open(reading.proc, id) {
        Some(descriptor) => mount_list::mount_namespace(&descriptor).ok()?.id,
        None => find_number(reading, id)?,
    };
    let mut buffer = StatBuffer::default();
    let mut mounts = Vec::new();
    for mount in mount_list::list_mounts(number).ok()? {
        // One may be gone since.
        if let Ok(stat) = mount_list::stat_mount(number, mount, StatMask::ALL, &mut buffer) {
            mounts.push(mountinfo::from_stat(&stat));
        }
    }
    Some(mounts)
}

/// The 64-bit id of a mount namespace that nothing but the kernel's own walk leads to.
fn find_number(reading: &Reading<'_>, id: NamespaceId) -> Option<u64> {
    if id.kind != NamespaceKind::Mnt {
        return None;
    }
    let mut numbers = BTreeMap::new();
    bind_mounts::walk(reading.proc, |descriptor, namespace| {
        if let Ok(inode) = inode_of(&descriptor) {
            numbers.insert(inode, namespace.id);
        }
    })
    .ok()?;
    numbers.get(&id.inode).copied()
}

fn read_mountinfo(reading: &Reading<'_>, id: NamespaceId) -> Option<Vec<Mount>> {
    let folder = reading.ways.folder(id)?;
    let mut buffer = Vec::new();
    read_file(reading.proc, format!("{folder}/mountinfo"), &mut buffer).ok()?;
    Some(mountinfo::parse(&buffer))
}

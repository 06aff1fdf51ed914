//! Namespaces that only listns(2) shows (6.19): held by what no other source can see.

use berth_base::NamespaceId;
use berth_sys::nsfs;
use rustix::io::Errno;

use super::Reading;
use crate::discover::hierarchy::inode_of;
use crate::discover::ways::{Way, kind_of};

/// Opens every namespace of the list that nothing else leads to, and asks the kernel about it. Older
/// kernels have no such list, and other sources find what they can.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let ids = match nsfs::list_namespaces() {
        Ok(ids) => ids,
        Err(error) => {
            return match Errno::from_io_error(&error) {
                Some(Errno::NOSYS | Errno::PERM) => Ok(()),
                _ => Err(error.to_string()),
            };
        }
    };
    for id in ids {
        // It may have ended meanwhile.
        let Ok(descriptor) = nsfs::open_by_id(id, None) else {
            continue;
        };
        let (Ok(inode), Some(kind)) = (inode_of(&descriptor), kind_of(&descriptor)) else {
            continue;
        };
        let namespace = NamespaceId { kind, inode };
        if !reading.ways.leads_to(namespace) {
            reading.ways.insert(namespace, Way::Passed);
            reading.hierarchy.climb(namespace, descriptor);
        }
    }
    Ok(())
}

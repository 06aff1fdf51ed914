//! The ids of a private user namespace, taken at start.

use std::path::Path;
use std::time::Duration;

use berth_base::{ContainerId, Status};
use oci_spec::runtime::LinuxIdMapping;

use crate::facts;
use crate::spec::IdMappings;
use crate::store::FileLock;
use crate::subid::{
    IdKind, IdRange, SubIds, allocate_for_root, allocate_for_user, map_caller, map_range,
    ranges_in_use, ranges_of,
};
use crate::{Engine, EngineError};

/// A user often has one range: what the container before this one leaves is waited for a little.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(10);

/// Chooses ids that no running container has. The lock keeps other starts from choosing; it is to
/// be held until the spec of the run is written, from which they then learn.
pub(crate) fn allocate(
    engine: &Engine,
    id: &ContainerId,
    warnings: &mut Vec<String>,
) -> Result<(FileLock, IdMappings), EngineError> {
    let lock = FileLock::acquire(&engine.store().state().join("sub-ids.lock"))?;
    let uid = rustix::process::geteuid().as_raw();
    let of_image = engine.read_create(id)?.source.is_some();
    let mappings = if facts::is_rootless() && of_image {
        crate::storage::store_ids()
    } else if facts::is_rootless() {
        for_user(engine, id, uid, warnings)
    } else {
        let range = |kind| {
            let taken = taken(engine, id, kind);
            allocate_for_root(kind, &SubIds::read(kind), &taken).map(map_range)
        };
        IdMappings {
            uid: range(IdKind::Uid)?,
            gid: range(IdKind::Gid)?,
        }
    };
    Ok((lock, mappings))
}

/// Without root: the caller's own sub-ids where there are free ones and the programs that map
/// them, else the caller's id alone.
fn for_user(engine: &Engine, id: &ContainerId, uid: u32, warnings: &mut Vec<String>) -> IdMappings {
    let gid = rustix::process::getegid().as_raw();
    let number = uid.to_string();
    let name = facts::login_name(uid);
    let owners: Vec<&str> = std::iter::once(number.as_str())
        .chain(name.as_deref())
        .collect();
    let (sub_uids, sub_gids) = (SubIds::read(IdKind::Uid), SubIds::read(IdKind::Gid));
    let mut ranges = None;
    if facts::has_newidmap() && sub_uids.has(&owners) && sub_gids.has(&owners) {
        let range = |kind, sub_ids| allocate_for_user(sub_ids, &owners, &taken(engine, id, kind));
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            ranges = range(IdKind::Uid, &sub_uids).zip(range(IdKind::Gid, &sub_gids));
            if ranges.is_some() {
                break;
            }
        }
        if ranges.is_none() {
            warnings.push(
                "other containers have all your ranges of /etc/subuid and /etc/subgid: only your own id exists in this one"
                    .into(),
            );
        }
    }
    let (uids, gids) = ranges.unzip();
    IdMappings {
        uid: map_caller(uid, uids),
        gid: map_caller(gid, gids),
    }
}

/// What the kernel shows as mapped, and what started containers were given.
fn taken(engine: &Engine, id: &ContainerId, kind: IdKind) -> Vec<IdRange> {
    let mut taken = ranges_in_use(Path::new("/proc"), kind);
    for other in engine.store().ids().unwrap_or_default() {
        if other != *id {
            taken.extend(ranges_of_run(engine, &other, kind));
        }
    }
    taken
}

/// The ranges in the spec of a container's present run.
fn ranges_of_run(engine: &Engine, id: &ContainerId, kind: IdKind) -> Vec<IdRange> {
    let path = engine.store().volatile_dir(id).join("spec.json");
    if !path.exists() {
        return Vec::new();
    }
    let over = engine
        .inspect(id)
        .is_ok_and(|container| matches!(container.status, Status::Created | Status::Exited));
    if over {
        return Vec::new();
    }
    let Ok(spec) = engine.store().read_spec(&path) else {
        return Vec::new();
    };
    let linux = spec.linux().as_ref();
    let mappings: Option<&Vec<LinuxIdMapping>> = match kind {
        IdKind::Uid => linux.and_then(|l| l.uid_mappings().as_ref()),
        IdKind::Gid => linux.and_then(|l| l.gid_mappings().as_ref()),
    };
    ranges_of(mappings)
}

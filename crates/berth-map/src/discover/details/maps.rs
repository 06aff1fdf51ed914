//! The id mappings of user namespaces, from a process that lives in each.

use berth_base::{NamespaceId, NamespaceKind};

use super::Reading;
use crate::discover::parse;
use crate::discover::proc_root::read_file;
use crate::model::IdMaps;

/// Reads them. Where no process lives there is no file that would tell: those stay unknown.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let ids: Vec<NamespaceId> = reading.ways.of_kind(NamespaceKind::User).collect();
    let mut buffer = Vec::new();
    for id in ids {
        let Some(folder) = reading.ways.folder(id) else {
            continue;
        };
        let mut read = |file: &str| {
            let path = format!("{folder}/{file}");
            read_file(reading.proc, path, &mut buffer).ok()?;
            Some(parse::parse_id_map(&buffer))
        };
        let (Some(uids), Some(gids)) = (read("uid_map"), read("gid_map")) else {
            continue;
        };
        reading.details.id_maps.insert(id, IdMaps { uids, gids });
    }
    Ok(())
}

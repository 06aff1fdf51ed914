//! What can go wrong with a volume, in words.

use std::io;
use std::path::Path;

use berth_base::ErrorClass;
use berth_base::state::VolumeName;
use berth_persist::PersistError;

use super::users::VolumeUser;
use crate::EngineError;
use crate::store::StoreError;

/// An operation on a folder of the volumes failed.
pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> EngineError {
    StoreError::io(action, path, source).into()
}

/// A file could not be written.
pub(super) fn persist(error: PersistError) -> EngineError {
    StoreError::io(error.action, &error.path, error.source).into()
}

pub(super) fn missing(name: &str) -> EngineError {
    let name = name.escape_default().to_string();
    let text = format!("no such volume: {name}; \"berth volume ls\" lists all volumes");
    EngineError::new(ErrorClass::NotFound, text).on(name)
}

pub(super) fn in_use(name: &VolumeName, users: &[VolumeUser]) -> EngineError {
    let mut words: Vec<String> = users.iter().map(ToString::to_string).collect();
    words.sort();
    let (plural, them) = if words.len() == 1 {
        ("", "it")
    } else {
        ("s", "them")
    };
    let mut remove: Vec<&str> = users.iter().map(VolumeUser::word).collect();
    remove.sort_unstable();
    let text = format!(
        "cannot remove volume {name}: it is in use by container{plural} {}; remove {them} first with \"berth rm {}\"",
        words.join(", "),
        remove.join(" "),
    );
    EngineError::new(ErrorClass::Conflict, text).on(name.as_str())
}

/// A container whose record cannot be read may use any volume.
pub(super) fn unknown_use(what: &str, user: &VolumeUser) -> EngineError {
    let text = format!(
        "cannot remove {what}: the record of container {user} cannot be read, so that nobody knows which volumes it uses; remove that first with \"berth rm -f {}\"",
        user.word()
    );
    EngineError::new(ErrorClass::Conflict, text).on(user.word())
}

pub(super) fn damaged(path: &Path, name: &VolumeName, why: &serde_json::Error) -> EngineError {
    let text = format!(
        "cannot read {}: {why}; the record of volume {name} is damaged: save what is in _data beside it, then \"berth volume rm {name}\"",
        path.display()
    );
    EngineError::new(ErrorClass::Internal, text).on(name.as_str())
}

/// The volume was made with other options than are asked for now.
pub(super) fn other_options(name: &VolumeName) -> EngineError {
    let text = format!(
        "volume {name} exists with other options; leave them out to use it as it is, or choose another name"
    );
    EngineError::new(ErrorClass::Conflict, text).on(name.as_str())
}

pub(super) fn other_driver(driver: &str) -> EngineError {
    let text = format!("no volume driver is called {driver:?}; there is \"local\" alone");
    EngineError::new(ErrorClass::NotFound, text).on(driver)
}

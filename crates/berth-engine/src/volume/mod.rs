//! Volumes: folders that outlive containers, and how a container's mounts come to be.
//!
//! Owns `ROOT/volumes`: `NAME/volume.json` and `NAME/_data`, made whole under a hidden name and
//! renamed into place. Who uses a volume is read from the containers' `create.json` each time:
//! there is no counter that could go wrong. What a container writes is only ever opened below the
//! descriptor of `_data`.
//!
//! A container that is being made writes its `create.json` into its hidden, locked folder *before*
//! its volumes are made, and whoever removes a volume looks at those too. So the lock of the
//! volumes is held for moments, never while files are copied.

mod backing;
mod copy;
mod create;
mod error;
mod fill;
mod mounts;
mod remove;
mod resolve;
mod size;
mod store;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use size::size_of;

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_base::state::{VolumeFile, VolumeName};

pub use remove::{PrunedVolumes, VolumePrune};
pub use users::VolumeUser;

pub(crate) use mounts::{HalfMade, make_sources};
pub(crate) use remove::erase_all;

/// The only driver: folders of this host.
pub const LOCAL_DRIVER: &str = "local";

/// What `volume create` accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Absent: an anonymous one.
    pub name: Option<VolumeName>,
    /// `--driver`; absent: `local`.
    pub driver: Option<String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--opt`.
    pub options: BTreeMap<String, String>,
}

/// A volume, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its record.
    pub file: VolumeFile,
    /// The folder that holds its files, `ROOT/volumes/NAME/_data`.
    pub mountpoint: PathBuf,
}

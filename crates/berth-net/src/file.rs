//! Reading files that carry a version.

use std::path::Path;

use berth_base::state::STATE_VERSION;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::NetError;

/// Parses a file's content; one of a newer version is refused.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, NetError> {
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }
    let corrupt = |e: serde_json::Error| NetError::Corrupt {
        path: path.to_owned(),
        why: e.to_string(),
    };
    let only: VersionOnly = serde_json::from_slice(bytes).map_err(corrupt)?;
    if only.version > STATE_VERSION {
        return Err(NetError::Newer {
            path: path.to_owned(),
            found: only.version,
            known: STATE_VERSION,
        });
    }
    serde_json::from_slice(bytes).map_err(corrupt)
}

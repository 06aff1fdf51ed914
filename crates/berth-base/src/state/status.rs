//! `status.json`: what the engine last meant a container to be.

use serde::{Deserialize, Serialize};

use super::RestartRecord;
use crate::{Status, Timestamp};

/// The intent of the last use-case, recorded before its effect.
///
/// Not the truth about liveness: whether the first process lives, the kernel knows, and how it
/// ended, `exits/N.json` knows. A reader derives the status from all three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusFile {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// The status that was written.
    pub status: Status,
    /// Number of the last run that was begun, 0 before the first.
    pub run: u32,
    /// When it was written.
    pub changed_at: Timestamp,
    /// Why the last start failed, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How far its restarts have come.
    #[serde(default)]
    pub restarts: RestartRecord,
}

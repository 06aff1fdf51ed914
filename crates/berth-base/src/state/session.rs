//! `sessions/ID.json`: an exec session of a running container.

use serde::{Deserialize, Serialize};

use super::ExitOutcome;
use crate::{ProcessIdentity, SessionId, Timestamp};

/// What is known of an exec session. It is there from before its client hears that it runs until
/// its last process has ended; the kernel is the truth about liveness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFile {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// The session.
    pub id: SessionId,
    /// The run of the container that it belongs to.
    pub run: u32,
    /// Its session init, of which all its processes are descendants.
    pub init: ProcessIdentity,
    /// What it was started with.
    pub command: Vec<String>,
    /// Whose it is: as asked for, else the numeric ids, `UID:GID`.
    pub user: String,
    /// It has a terminal of its own.
    pub terminal: bool,
    /// Its standard input is open.
    pub stdin: bool,
    /// Nobody was attached to it from the beginning.
    pub detached: bool,
    /// Its processes end when its client does.
    pub ends_with_client: bool,
    /// When it was started.
    pub started_at: Timestamp,
    /// How its main process ended; what is left are orphans of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ExitOutcome>,
}

impl SessionFile {
    /// The folder of a container's volatile one in which these files are.
    pub const FOLDER: &str = "sessions";
}

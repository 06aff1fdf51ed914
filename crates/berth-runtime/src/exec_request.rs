//! What a client asks of a monitor to start an exec session.

use berth_base::SessionId;
use oci_spec::runtime::Process;
use serde::{Deserialize, Serialize};

/// The JSON payload of [`berth_base::protocol::EXEC`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecRequest {
    /// What to run: arguments, environment, ids, capabilities, as in the spec.
    pub process: Process,
    /// Nobody reads its output.
    pub detach: bool,
    /// The client sends standard input.
    pub stdin: bool,
    /// Load the container's seccomp filter.
    pub seccomp: bool,
    /// Terminal size: rows, columns; 0 when unknown.
    pub size: (u16, u16),
    /// Whose it is, in the words of who asked; the ids of the process where nobody did.
    #[serde(default)]
    pub user: Option<String>,
    /// Its processes end when the client does. A monitor of protocol version 1 knows nothing of it.
    #[serde(default)]
    pub ends_with_client: bool,
    /// What the session is to be called; a monitor makes an id where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SessionId>,
}

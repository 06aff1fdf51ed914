//! `exits/N.json`: how run N ended.

use serde::{Deserialize, Serialize};

use crate::{ProcessIdentity, Timestamp};

/// The record of how one run of a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitFile {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// Which run, from 1.
    pub run: u32,
    /// How it ended.
    pub outcome: ExitOutcome,
    /// Whether the kernel's OOM killer ended a process of the container during the run.
    pub oom_killed: bool,
    /// When the run began, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the end was noticed.
    pub finished_at: Timestamp,
    /// Why it could not start, when it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The monitor that wrote this, where it executes the engine in its own place afterwards: while
    /// that process lives, somebody sees to what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_by: Option<ProcessIdentity>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "how", content = "value")]
pub enum ExitOutcome {
    /// It called exit with this code.
    Code(u8),
    /// This signal ended it.
    Signal(u8),
    /// Nobody was there to see it: keeper and monitor were both gone.
    Unknown,
}

impl ExitOutcome {
    /// Reads a wait status as waitpid(2) encodes it; `None` for stopped or continued.
    pub const fn from_wait_status(status: i32) -> Option<Self> {
        let low = status & 0x7f;
        if low == 0 {
            Some(Self::Code(((status >> 8) & 0xff) as u8))
        } else if low != 0x7f {
            Some(Self::Signal(low as u8))
        } else {
            None
        }
    }

    /// The exit code a shell would show: the code, 128+n for a signal, 255 when unknown.
    pub const fn shell_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128u8.saturating_add(signal),
            Self::Unknown => 255,
        }
    }
}

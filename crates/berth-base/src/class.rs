//! The class of an error: what kind of thing went wrong, apart from where.

use serde::{Deserialize, Serialize};

/// What kind of failure an error is.
///
/// Library errors carry a class; the binary alone turns classes into exit codes (and, later,
/// HTTP status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// The request itself is malformed or asks for something impossible.
    Invalid,
    /// The named object does not exist.
    NotFound,
    /// The object exists but is in a state that excludes the request.
    Conflict,
    /// The caller may not do this.
    Denied,
    /// This kernel or build lacks the feature.
    Unsupported,
    /// A resource is exhausted or a peer does not answer; a later try may work.
    Unavailable,
    /// A defect of Berth or an unexpected answer of the kernel.
    Internal,
}

impl ErrorClass {
    /// The word used in `--error-format json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

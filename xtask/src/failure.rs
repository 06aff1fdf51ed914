//! Why a command of xtask ended without success.

use std::fmt;
use std::io;
use std::path::Path;

/// A result whose error is a message for the person at the terminal.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// What failed, on which object, why, and what to do next.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong; exit code 2.
    Usage(String),
    /// Anything else; exit code 1.
    Failed(String),
}

impl Failure {
    /// A failure of work that was asked for correctly.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// A file operation that failed: `verb` as in "read", "create".
    pub(crate) fn file(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("cannot {verb} {}: {error}", path.display()))
    }

    /// The exit code of xtask for it.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

//! What can go wrong between the resolver and those who use it.

use std::path::PathBuf;

use berth_base::ErrorClass;
use rustix::io::Errno;

/// The resolver could not be started, reached or told something.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// Nobody listens: it was never started, has ended, or is about to. Start it and try again.
    #[error("no resolver listens on {0}; \"berth system restore\" starts it")]
    NotRunning(PathBuf),
    /// Another process serves this state folder.
    #[error("a resolver listens on {0} already")]
    Running(PathBuf),
    /// A call on the resolver's files or sockets failed.
    #[error("cannot {what} {path}: {}", std::io::Error::from(*.source))]
    System {
        /// A verb, with more words.
        what: &'static str,
        /// The object.
        path: PathBuf,
        /// Why.
        source: Errno,
    },
    /// The resolver did not do what it was asked.
    #[error("the resolver does not serve container {container}: {why}")]
    Refused {
        /// The container.
        container: String,
        /// Why.
        why: String,
    },
    /// The resolver does not know the container.
    #[error(
        "the resolver does not serve container {0}; \"berth system restore\" registers it again"
    )]
    Unknown(String),
    /// The resolver's answer makes no sense.
    #[error("the resolver on {path} gave an answer that is none: {why}; is it of another version?")]
    Garbled {
        /// Its socket.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl DnsError {
    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotRunning(_) => ErrorClass::Unavailable,
            Self::Running(_) => ErrorClass::Conflict,
            Self::Unknown(_) => ErrorClass::NotFound,
            Self::System { source, .. } => match *source {
                Errno::PERM | Errno::ACCESS => ErrorClass::Denied,
                Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::AGAIN => {
                    ErrorClass::Unavailable
                }
                _ => ErrorClass::Internal,
            },
            Self::Refused { .. } | Self::Garbled { .. } => ErrorClass::Internal,
        }
    }
}

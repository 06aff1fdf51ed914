//! What can go wrong with a recording.

use std::io;
use std::path::PathBuf;

use berth_base::ErrorClass;

/// Why nothing can be recorded, or nothing more.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is something of that name, which is not overwritten.
    #[error("cannot record to {path}: there is such a file; remove it, or choose another name", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("cannot record to {path}: {source}", path = path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk is full, or the quota is used up.
    #[error("the recording {path} stopped: no space is left; what was recorded so far can be replayed", path = path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Writing failed.
    #[error("the recording {path} stopped: {source}; what was recorded so far can be replayed", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A block is larger than readers accept.
    #[error("the recording {path} stopped: a frame of {bytes} bytes is larger than a recording can hold", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
}

impl RecordError {
    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Create { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ErrorClass::Denied
            }
            Self::Exists { .. } => ErrorClass::Conflict,
            Self::Full { .. } => ErrorClass::Unavailable,
            Self::Create { .. } | Self::Write { .. } | Self::TooLarge { .. } => {
                ErrorClass::Unsupported
            }
        }
    }
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be opened or read.
    #[error("cannot read the recording {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("{path} is not a recording of the map", path = path.display())]
    NotARecording {
        /// The file.
        path: PathBuf,
    },
    /// A newer Berth made it.
    #[error("the recording {path} is of version {version}, which a newer Berth writes; this one reads version {known}", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// Ours.
        known: u32,
    },
    /// It is cut off or damaged before the end of its first frame.
    #[error("the recording {path} holds no whole frame: {why}", path = path.display())]
    NoFrame {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl ReplayError {
    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorClass::NotFound
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                ErrorClass::Denied
            }
            Self::Read { .. } | Self::Newer { .. } => ErrorClass::Unsupported,
            Self::NotARecording { .. } | Self::NoFrame { .. } => ErrorClass::Invalid,
        }
    }
}

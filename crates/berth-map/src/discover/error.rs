//! Why a host could not be read.

use std::io;
use std::path::PathBuf;

use berth_base::ErrorClass;

/// Why no snapshot could be taken.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The procfs could not be opened.
    #[error("cannot open the procfs at {path}: {source}; mount one with \"mount -t proc proc {path}\"", path = path.display())]
    OpenProc {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory opened, but listing it failed.
    #[error("cannot list the processes in {path}: {source}; is a procfs mounted there?", path = path.display())]
    ListProc {
        /// The procfs.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory holds no process at all, not even the reader.
    #[error("{path} shows no process: it is not a procfs, or it belongs to a PID namespace whose processes are gone", path = path.display())]
    NoProcess {
        /// The procfs.
        path: PathBuf,
    },
    /// The one source that was asked for cannot be used.
    #[error("cannot read processes by {what}: {why}")]
    NoSource {
        /// Which source.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// A process exists but its basic facts may not be read.
    #[error("cannot read {file} of process {pid}: {source}; try again as root")]
    ReadProcess {
        /// The process.
        pid: u32,
        /// Which file below `/proc/PID`.
        file: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl DiscoverError {
    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::OpenProc { source, .. } | Self::ListProc { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                ErrorClass::Denied
            }
            Self::ReadProcess { .. } => ErrorClass::Denied,
            Self::OpenProc { .. }
            | Self::ListProc { .. }
            | Self::NoProcess { .. }
            | Self::NoSource { .. } => ErrorClass::Unsupported,
        }
    }
}

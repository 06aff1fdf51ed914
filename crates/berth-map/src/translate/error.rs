//! Why a PID could not be translated.

use berth_base::{ErrorClass, HostPid};

use crate::model::StaleReason;

/// Why a question about a PID has no answer. Texts in it are escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PidError {
    /// The text is neither a PID nor a container with a PID.
    #[error(
        "not a PID: {text:?}; write a host PID such as 31995, or a container and a PID in it such as web:7"
    )]
    NotAPid {
        /// What was written.
        text: String,
    },
    /// PID 0 is the kernel's idle task, which no namespace shows.
    #[error("PID 0 in {text:?} is no process: PIDs count from 1")]
    Zero {
        /// What was written.
        text: String,
    },
    /// No process has this PID on the host.
    #[error(
        "no process has the host PID {pid}: it may have ended; \"berth map\" draws those there are"
    )]
    NoProcess {
        /// The PID.
        pid: HostPid,
    },
    /// No process has this PID in the container's PID namespace.
    #[error(
        "no process has PID {pid} in container {container}: it may have ended; \"berth top {container}\" lists those there are"
    )]
    NoProcessInside {
        /// The container.
        container: String,
        /// The PID inside.
        pid: u32,
    },
    /// The process is outside the container's PID namespace.
    #[error(
        "process {pid} on the host cannot be seen from container {container}: it does not live in that container's PID namespace or one below"
    )]
    NotVisible {
        /// The process.
        pid: HostPid,
        /// The container.
        container: String,
    },
    /// No running container is meant by the text.
    #[error(
        "no running container is called {container:?}, by name or by id; \"berth ps\" lists the running ones"
    )]
    UnknownContainer {
        /// What was written.
        container: String,
    },
    /// The beginning of an id fits several containers.
    #[error("{container:?} can be any of several containers: {}; write more of the id", matches.join(", "))]
    AmbiguousContainer {
        /// What was written.
        container: String,
        /// Short ids and names of those that fit.
        matches: Vec<String>,
    },
    /// The container is known but has ended.
    #[error("container {container} is not running: {} (it was host PID {init}); start it with \"berth start {container}\"", reason.as_str())]
    NotRunning {
        /// The container.
        container: String,
        /// What ended it.
        reason: StaleReason,
        /// The PID its first process had.
        init: HostPid,
    },
    /// The PID namespace of the container is not known, so that no PID in it can be.
    #[error("the PID namespace of container {container} cannot be read; try again as root")]
    NamespaceUnreadable {
        /// The container.
        container: String,
    },
}

impl PidError {
    /// What kind of failure this is.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NotAPid { .. } | Self::Zero { .. } | Self::AmbiguousContainer { .. } => {
                ErrorClass::Invalid
            }
            Self::NoProcess { .. }
            | Self::NoProcessInside { .. }
            | Self::NotVisible { .. }
            | Self::UnknownContainer { .. } => ErrorClass::NotFound,
            Self::NotRunning { .. } => ErrorClass::Conflict,
            Self::NamespaceUnreadable { .. } => ErrorClass::Denied,
        }
    }
}

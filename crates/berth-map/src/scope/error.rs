//! Why a part of a world cannot be shown.

use berth_base::{ErrorClass, NamespaceId};

use crate::model::Engine;
use crate::translate::PidError;

/// Why a scope selects nothing. Texts in it are escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The process or container does not exist, or the text means neither.
    #[error(transparent)]
    Pid(#[from] PidError),
    /// A kind of namespace, but no number behind it.
    #[error("not a namespace: {text:?}; write its kind and number, such as net:4026532300")]
    NotANamespace {
        /// What was written.
        text: String,
    },
    /// No such namespace was found.
    #[error(
        "no namespace {id} is known: nothing lives in it, and nothing that could be read holds it; the kernel gives numbers anew when a namespace is gone, \"berth ns\" lists those there are"
    )]
    NoNamespace {
        /// Its kind and number.
        id: NamespaceId,
    },
    /// The number belongs to a namespace of another kind.
    #[error("namespace {asked} does not exist, but {found} does")]
    OtherKind {
        /// What was asked for.
        asked: NamespaceId,
        /// What has the number.
        found: NamespaceId,
    },
    /// No container of this engine has processes.
    #[error("no container of {engine} is running; \"berth map\" draws what is")]
    NoneOfEngine {
        /// The engine.
        engine: Engine,
    },
    /// The container has no process in the snapshot.
    #[error("container {container} has no processes: it ended while the host was read")]
    Empty {
        /// The container.
        container: String,
    },
}

impl ScopeError {
    /// What kind of failure this is.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Pid(error) => error.class(),
            Self::NotANamespace { .. } => ErrorClass::Invalid,
            Self::NoNamespace { .. }
            | Self::OtherKind { .. }
            | Self::NoneOfEngine { .. }
            | Self::Empty { .. } => ErrorClass::NotFound,
        }
    }
}

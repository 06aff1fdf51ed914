//! The use-cases of the engine: create, start, exec, stop, remove, recover.
//!
//! Floor 3, synchronous. Owns containers: their names, state files, locks. Never touches a
//! terminal, `$HOME` or the environment; the binary passes everything in.

mod error;
mod options;
mod session;

pub use error::EngineError;
pub use options::{
    Capability, CreateOptions, ExecOptions, ImageRequest, MountRequest, NamespaceMode,
    NamespaceModes, SeccompChoice, Ulimit,
};
pub use session::{Packet, Session, SessionError};

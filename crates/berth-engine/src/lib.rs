//! The use-cases of the engine: create, start, exec, stop, remove, recover.
//!
//! Floor 3, synchronous. Owns containers: their names, state files, locks. Never touches a
//! terminal, `$HOME` or the environment; the binary passes everything in.

mod capabilities;
mod container;
mod engine;
mod error;
mod options;
mod process;
mod session;
mod spec;
mod store;
mod subid;
mod user;

pub use container::{
    Container, CreateFile, Created, RemoveOptions, StartAttach, Started, StopOptions,
};
pub use engine::{Engine, EngineConfig};
pub use error::EngineError;
pub use options::{
    Capability, CreateOptions, ExecOptions, ImageRequest, MountRequest, NamespaceMode,
    NamespaceModes, SeccompChoice, Ulimit,
};
pub use session::{Packet, Session, SessionError};

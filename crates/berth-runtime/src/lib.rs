//! From an OCI bundle to a running container.
//!
//! Floor 2. `plan` is pure; `stage` prepares the host side and clones init; `act` executes the
//! steps; `keeper` and `monitor` look after the container for as long as it lives. No async
//! runtime, no thread.

mod act;
pub mod besides;
mod birth;
pub mod capability;
pub mod cgroup;
mod enter;
pub mod exec_request;
pub mod facts;
mod failure;
mod filter;
mod init;
pub mod journal;
pub mod keeper;
pub mod launch;
pub mod mapping;
mod monitor;
pub mod namespaces;
pub mod oci;
pub mod plan;
mod process;
mod reaper;
pub mod resctrl;
pub mod seccomp;
mod session;
pub mod spec;
mod stage;
mod state;
mod survivor;
mod tree;
mod wire;
pub mod wiring;

pub use process::unique_namespace;
pub use survivor::Survivor;
pub use tree::{Relative, Tree};

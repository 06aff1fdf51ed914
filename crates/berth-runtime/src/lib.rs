//! From an OCI bundle to a running container.
//!
//! Floor 2. `plan` is pure; `stage` prepares the host side and clones init; `act` executes the
//! steps; `keeper` and `monitor` look after the container for as long as it lives. No async
//! runtime, no thread.

pub mod capability;
pub mod cgroup;
pub mod facts;
pub mod namespaces;
pub mod plan;
pub mod seccomp;

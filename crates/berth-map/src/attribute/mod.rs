//! Which container owns which process.
//!
//! Evidence in order of weight: the cgroup path (in any hierarchy; the deepest container wins),
//! then the PID namespace (the container whose own PID namespace is the process's, or the nearest
//! one above), then, for a zombie that lost its cgroup, its parent. Pure.

mod cgroup_path;
mod claims;
mod owners;

pub(crate) use cgroup_path::containers_in_path;
pub use claims::KnownContainer;
pub(crate) use owners::attribute;

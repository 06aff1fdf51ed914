//! Which container owns which process.
//!
//! Evidence in order of weight: the cgroup path (in any hierarchy; the deepest container wins),
//! then the PID namespace (the container whose own PID namespace is the process's, or the nearest
//! one above; it wins over the cgroup where that container runs inside the cgroup's), then the
//! mount namespace of a sandbox that has nothing else, then, for a zombie that lost its cgroup, its
//! parent. What lives in a PID namespace that nobody claims is a container of nobody's engine.
//! Pure.

mod cgroup_path;
mod claims;
mod namespaces;
mod owners;
pub(crate) mod programs;

pub(crate) use cgroup_path::{containers_in_path, name_by_path};
pub use claims::KnownContainer;
pub(crate) use owners::attribute;

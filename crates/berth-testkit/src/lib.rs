//! What tests of an OCI runtime need: bundles, a runtime with a state folder of its own, the words
//! that a shim would speak to it, and the cleaning up. For tests of registries, servers on loopback:
//! [`web`].
//!
//! A dev-dependency only; no crate of the workspace ships it, and it knows none of them. It talks
//! to the runtime by its command line alone, so everything here also drives runc: the variable
//! [`RUNTIME_VARIABLE`] names another program.
//!
//! It fails by panicking, since nobody but a test calls it. It must not touch a process, a cgroup
//! or a mount that its own test did not make.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod bundle;
mod cgroups;
mod console;
mod container;
mod folder;
mod output;
mod reaper;
mod rootfs;
mod runtime;
mod skip;
mod spec;
pub mod web;

pub use bundle::Bundle;
pub use cgroups::{CgroupParent, Hierarchy, hierarchies};
pub use console::{Console, receive};
pub use container::Container;
pub use folder::{nobody_settles, remove_folder};
pub use output::{Output, PATIENCE, finish, soon};
pub use reaper::{become_subreaper, ended, is_running, kill, reap};
pub use runtime::{RUNTIME_VARIABLE, Runtime};
pub use skip::skip;
pub use spec::{default_spec, mapped_ids, user_namespace};

/// Says which rows of the specification a test function covers: `covers!("runtime/state-shape")`
/// as a statement inside it. `cargo xtask spec` finds the citations in the source.
#[macro_export]
macro_rules! covers {
    ($($row:literal),+ $(,)?) => {};
}

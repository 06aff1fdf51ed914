//! Linux: the only crate with `unsafe`.
//!
//! Floor 1. What rustix lacks, each call behind a safe function with owned descriptors: its
//! purpose in one line, its man page, its conditions. Nothing here decides anything.

mod alloc;
pub mod batch;
pub mod bpf;
mod clone;
mod credentials;
mod cwd;
mod early;
mod exec;
mod fd;
mod keyring;
pub mod links;
mod mapped;
mod mount;
pub mod mount_list;
mod namespace;
pub mod net;
pub mod netlink;
pub mod nsfs;
mod pidfd;
pub mod quota;
pub mod route;
mod sched;
mod seccomp;
pub mod signal;
pub mod socket;

pub use alloc::{GuardedAllocator, forbid_allocation};
pub use clone::{Clone3, Forked, exit_now, is_single_threaded};
pub use credentials::set_filesystem_ids;
pub use cwd::current_directory;
pub use early::link_early_start;
pub use exec::{ArgVector, execve, execve_at};
pub use fd::{
    close_all_but_streams, close_from, close_on_exec_from, inherited, keep_on_exec, place_at,
    release, reopen,
};
pub use keyring::join_anonymous_session_keyring;
pub use mapped::{MappedBtf, map_kernel_btf};
pub use mount::{MountAttributes, mount_setattr};
pub use namespace::{NAMESPACE_FLAGS, namespace_flag, unshare_namespaces};
pub use pidfd::{ExitStatus, exit_status};
pub use sched::{
    SchedulerAttributes, set_affinity, set_io_priority, set_memory_policy, set_personality,
    set_scheduler,
};
pub use seccomp::{SeccompFlags, load_filter};

//! The OCI runtime as its callers see it: the program, real bundles, the real kernel.
//!
//! Every test function that shows a duty of the runtime specification cites its row with
//! `covers!`; `cargo xtask spec` compares the citations with the table of rows. The variable
//! `BERTH_TEST_RUNTIME` names another runtime to prove a test against.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod annotations;
mod bad_input;
mod bundle;
mod cgroups;
mod cli;
mod crash;
mod devices;
mod exec;
mod features;
mod hooks;
mod idmap;
mod lifecycle;
mod mount_options;
mod mounts;
mod namespaces;
mod network;
mod process;
mod required;
mod rlimits;
mod rootless;
mod scheduling;
mod seccomp;
mod seccomp_notify;
mod shapes;
mod shim;
mod state;
mod systemd;
mod terminal;
mod unified;

use std::collections::BTreeSet;

use berth_testkit::{Bundle, Runtime, is_running};

/// The runtime under test, with a state folder and a cgroup parent of the test's own.
fn runtime() -> Runtime {
    Runtime::new(env!("CARGO_BIN_EXE_berth-runtime"))
}

/// The same for an unprivileged user.
fn rootless_runtime(user: u32) -> Runtime {
    Runtime::rootless(env!("CARGO_BIN_EXE_berth-runtime"), user)
}

/// Runs a container to its successful end: what it wrote to standard output.
#[track_caller]
fn output_of(change: impl FnOnce(Bundle) -> Bundle) -> String {
    let runtime = runtime();
    let bundle = change(runtime.bundle());
    let output = runtime.run("run", &bundle).ok();
    runtime.assert_nothing_left();
    output.out
}

/// Creates a container that must be refused, with the field's path in the message and nothing
/// left; the message.
#[track_caller]
fn refused(field: &str, change: impl FnOnce(Bundle) -> Bundle) -> String {
    let runtime = runtime();
    let bundle = change(runtime.bundle());
    let before = children();
    let message = runtime.create("refused", &bundle).refused();
    assert!(
        names(&message, field) || runtime.is_foreign(),
        "the message does not name {field}: {message}"
    );
    runtime.assert_nothing_left();
    // A zombie is the caller's to reap.
    let is_new = |pid: &i32| !before.contains(pid) && is_running(*pid);
    let left: Vec<_> = children().into_iter().filter(is_new).collect();
    assert!(left.is_empty(), "processes left: {left:?}");
    message
}

/// Whether a message names a field: by its path, or, of one that is missing, by its object's path
/// and its own name.
fn names(message: &str, field: &str) -> bool {
    let in_parts = field.rsplit_once('.').is_some_and(|(object, name)| {
        message.contains(object) && message.contains(&format!("`{name}`"))
    });
    message.contains(field) || in_parts
}

/// The processes whose parent this one is: what a runtime leaves behind comes to us.
fn children() -> BTreeSet<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}

//! Real peers: dockerd, containerd and podman, each with `berth-runtime` as its OCI runtime; and
//! LXC, systemd-nspawn, bubblewrap and Chromium, which the map is to know; and dockerd, podman and
//! firewalld, beside whose networks and rules ours have to live.
//!
//! Each daemon lives in namespaces, folders and a cgroup of the test's own ([`world`]), takes its
//! image from a file that the test wrote ([`image`]), and is ended before the test looks whether
//! anything was left. The programs come from the distribution: `cargo xtask setup test`.
//!
//! `BERTH_TEST_RUNTIME` names another runtime, to tell a peer's habits from ours.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod beside;
mod containerd;
mod docker;
mod image;
mod map;
mod podman;
mod sandboxes;
#[allow(dead_code)] // shared with the tests of the command line, which use all of it
#[path = "../cli/support.rs"]
mod support;
mod terminal;
mod world;

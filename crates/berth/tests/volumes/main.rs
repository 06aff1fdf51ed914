//! Volumes: whole-program tests, with a root of busybox as the image.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bad_input;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod commands;
mod crash;
#[path = "../cli/faults.rs"]
mod faults;
mod ids;
mod lifetime;
mod mounts;
mod rootless;
mod subpath;
mod support;
#[path = "../cli/user.rs"]
mod user;

//! Limits, devices, update, pause: whole-program tests that read what the kernel has.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bad_input;
mod cdi;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod crash;
mod devices;
#[path = "../cli/faults.rs"]
mod faults;
mod flags;
mod oom;
mod orphaned_hooks;
mod pause;
mod rootless;
mod support;
mod update;
#[path = "../cli/user.rs"]
mod user;

//! The journal of events and `berth events`: whole-program tests.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod actions;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod crash;
mod follow;
mod support;

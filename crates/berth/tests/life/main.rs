//! What keeps containers going: restart policies, `restart`, the return after a boot, health.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bad_input;
mod boot;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod deaths;
mod failed_start;
mod hands;
mod health;
mod policies;
mod roots;
mod support;

//! `berth cp` against the real kernel: Docker's rules, archives, owners, mounts, and containers that
//! work against it.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod archives;
mod attacks;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod killed;
mod mounts;
mod owners;
mod rules;
mod support;
mod users;

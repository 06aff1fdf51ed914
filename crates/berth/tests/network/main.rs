//! Networks: whole-program tests. Each lives in a network namespace of its own, which is "the host"
//! to the engine in it; nothing is ever made or sent outside.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod addresses;
mod bulk;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod commands;
mod connect;
mod docker_user;
mod ends;
mod flush;
mod keys;
mod lan;
mod load;
mod names;
mod ports;
mod restarts;
mod scale;
mod sctp;
mod visible;
mod world;

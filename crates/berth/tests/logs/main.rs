//! Logs as a user meets them: drivers, options, turned files, and what goes wrong with them.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod damage;
mod drivers;
mod journal;
#[path = "../peers/small.rs"]
mod small;
#[allow(dead_code)] // shared with the tests of the command line, which use all of it
#[path = "../cli/support.rs"]
mod support;
mod turning;
#[allow(dead_code)] // shared with the peers' tests, which use all of it
#[path = "../peers/world.rs"]
mod world;

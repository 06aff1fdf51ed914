//! Whole-program tests: the binaries against the real kernel.
//!
//! Each test has folders of its own and removes its containers. `berth-runtime` must lie beside
//! `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bad_input;
mod check;
mod enter;
mod errors_page;
mod errors_registry;
mod holders;
mod lifecycle;
mod listing;
mod logs;
mod map;
mod ns;
mod pid;
mod signals;
mod streams;
mod support;
mod terminal;
mod usage;
mod world;

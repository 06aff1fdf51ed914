//! Images: whole-program tests, with images that the tests make themselves.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod changes;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod damage;
mod debian;
mod limits;
mod listing;
mod maker;
mod readme;
mod removal;
mod run;
mod together;
mod umoci;

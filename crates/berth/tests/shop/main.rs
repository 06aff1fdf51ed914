//! The command line as a whole: groups, inspect of anything, what is not ours, completion.
//!
//! `berth-runtime` must lie beside `berth`: `cargo build --workspace --bins` puts it there.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod completion;
mod groups;
mod inspect;
mod shells;

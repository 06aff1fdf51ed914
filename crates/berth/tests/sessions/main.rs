//! Clients of a container: attached ones, exec sessions, monitors of earlier builds and stopped ones.
//!
//! Needs `berth-runtime` beside `berth`, as the tests in `cli` do.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

mod attach;
mod clients;
mod codes;
mod end;
mod listing;
mod long;
mod old_files;
mod old_monitor;
mod rename;
mod stopped;
#[path = "../cli/support.rs"]
mod support;
mod world;

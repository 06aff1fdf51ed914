//! x
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod binary;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod engine;
mod identity;
mod kernel;
mod lifecycle;
mod mounts;
mod support;
mod swaps;

//! x
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod identity;
mod mounts;
mod support;

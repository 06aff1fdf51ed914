//! Every command as a user without root types it, with and without a delegated cgroup: it works, or
//! says in one line what is missing. Needs root, which becomes that user.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
#[path = "../rootless_network/host.rs"]
#[allow(dead_code)]
mod host;
mod life;
#[path = "../rootless_images/support.rs"]
#[allow(dead_code)]
mod support;
mod verbs;

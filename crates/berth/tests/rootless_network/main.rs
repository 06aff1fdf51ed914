//! Networks of a user without root, each test on a host of its own: a network namespace with one
//! link and default routes. Needs root, which becomes that user, and passt or slirp4netns.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod host;
mod lives;
mod packets;
#[path = "../rootless_images/support.rs"]
#[allow(dead_code)]
mod support;

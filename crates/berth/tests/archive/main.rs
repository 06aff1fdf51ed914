//! `berth load`, `save` and `import` as a user meets them, and with dockerd and podman as peers.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod cli;
mod disk;
#[allow(dead_code)] // shared with the peers' tests, which use all of it
#[path = "../peers/image.rs"]
mod image;
mod peers;
#[path = "../peers/small.rs"]
mod small;
#[allow(dead_code)] // shared with the tests of the command line, which use all of it
#[path = "../cli/support.rs"]
mod support;
#[allow(dead_code)] // shared with the peers' tests, which use all of it
#[path = "../peers/world.rs"]
mod world;

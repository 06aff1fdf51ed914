//! The resolver over real sockets: containers, host and servers in namespaces of the test's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod forwarding;
mod greed;
mod hostile;
mod lifecycle;
mod names;
mod process;
mod programs;
mod streams;
mod upkeep;
mod wire;
mod world;

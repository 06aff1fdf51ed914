//! The packet filter against the real kernel, in network namespaces of the test's own.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod changes;
mod docker;
mod lab;
mod listing;
mod packets;
mod space;
mod watch;

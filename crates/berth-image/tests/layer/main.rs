//! Layers through the public interface, against the real file system.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers that the test chose"
)]

mod apply;
mod copy;
mod hostile;
mod merged;
mod pack;
mod peers;
mod random;
mod settle;
mod sparse;
mod tars;
mod world;

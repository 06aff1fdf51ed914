//! Resolution of mounts, pure; and the store of volumes in folders of the test's own.

mod resolution;
mod store;

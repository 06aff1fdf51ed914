//! Recordings: a log of what a view got, to be looked at later and elsewhere.
//!
//! A recording is a [`block::FileHeader`] and blocks, each with a length and checksums of its own,
//! so that what is whole of a damaged file can be read. Every minute a block holds a whole frame,
//! from which one can begin; the others what has changed since, and events. docs/live.md has the
//! format. Command lines and environments are not in a [`crate::World`], so not in recordings.

mod block;
mod disk;
mod error;
mod read;
mod write;

pub use error::{RecordError, ReplayError};
pub(super) use read::{Item, Reader};
pub use write::{Recorder, Recording};

#[cfg(test)]
mod tests;

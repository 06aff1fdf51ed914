//! The one door to what a store keeps: every rename, link, unlink, fsync and new folder of the
//! persistent and volatile folders passes [`perform`].
//!
//! Floor 1. Each call names its *point*, such as `image.blob.publish`: the place in a use-case
//! where a crash, a full disk or a loss of power would be felt. Builds with debug assertions can be
//! told by their environment to die or to fail at one of them, and to keep a journal from which the
//! loss of everything that was not synced can be played ([`fault`]); `cargo xtask crash` does so for
//! each point. Release builds carry none of that.
//!
//! Reading is here where what stands in the place of a file must not hold up who reads ([`read()`]).
//!
//! What is *not* here: writing bytes into an open file, and the inside of a folder that nobody can
//! see yet (a layer being unpacked, the folder of a container being made), save its publication.

mod at;
mod durable;
mod environment;
#[cfg(debug_assertions)]
mod fault;
mod folder;
mod leftover;
mod op;
mod read;
mod tree;

pub use at::At;
pub use durable::{Durability, PersistError, replace, write_new};
pub use environment::fault_environment;
pub use folder::make_dirs;
pub use leftover::sweep_temporaries;
pub use op::{Op, Point, Replace, perform};
pub use read::{NO_WAIT, open, open_folder, read, read_to_string};
pub use tree::{on_foreign_files, remove_tree};

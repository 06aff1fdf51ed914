//! Layers: tar streams to folders that overlayfs stacks, and back.
//!
//! [`decompress`] opens a blob, [`unpack`] turns its tar into a folder, [`settle`] takes over what
//! only the layers below can tell; [`pack`] and [`pack_tree`] go the other way, [`changes`] lists
//! what a container's layer changed. [`merged::Stack`] reads stacked layers without a mount, and
//! [`tree::copy`] copies out of one.
//!
//! Nothing of an archive is trusted. The kernel resolves every path below a descriptor and follows
//! no link of it; limits hold everything that the archive decides; an error refuses the whole layer.
//! Owns no state; does not make or remove the layer's folder itself, and syncs nothing.

mod changes;
mod data;
mod decompress;
mod entry;
mod error;
mod fresh;
mod limits;
#[cfg(test)]
mod merge_tests;
mod name;
mod number;
mod pack;
mod pax;
mod pipeline;
mod reader;
mod sparse;
mod unpack;
mod walk;
mod xattr;

pub mod merged;
pub mod tree;

pub use changes::{Change, ChangeKind, changes};
pub use decompress::{Decompressor, decompress, sniff};
pub use error::LayerError;
pub use limits::Limits;
pub use pack::{Level, PackOptions, Packed, Times, pack, pack_entry, pack_tree};
pub use unpack::{
    Devices, Ids, PendingLink, UnpackOptions, Unpacked, settle, unpack, unpack_into,
    unpack_verified,
};
pub use xattr::XattrSpace;

/// The digest of a tar stream, which is read to its end and not unpacked.
pub fn content(
    tar: impl std::io::Read + Send,
    limits: &Limits,
) -> Result<berth_base::Digest, LayerError> {
    pipeline::run(tar, limits, None, |_| Ok(())).map(|(_, digest, _)| digest)
}

//! Images: references, blobs, manifests, layers, registries, archives.
//!
//! Floor 2, synchronous to its callers; async code lives in [`registry`] alone, behind functions
//! that block. Owns the folders `images` (an OCI image layout, readable by other tools), `layers`
//! (unpacked) and `image-work` (what is half done) below the engine's root. Knows no container,
//! terminal, environment variable or home folder: whoever calls passes in what it needs, such as
//! which layers containers use.
//!
//! Nothing of an image is trusted: sizes, names, digests and JSON are limited and checked before
//! use; archives unpack in this process, below a descriptor; nothing of them is ever executed.

pub mod archive;
pub mod layer;
pub mod registry;

mod config;
mod error;
mod hash;
pub mod manifest;
mod progress;
mod reference;
pub mod store;

pub use config::{ContainerConfig, HealthConfig, History, ImageConfig, Rootfs};
pub use error::ImageError;
pub use hash::{Hasher, HashingReader, HashingWriter};
pub use manifest::{
    Compression, Descriptor, Document, Index, Kind, Manifest, MediaType, Platform, media,
    parse_document,
};
pub use progress::{NoProgress, Progress, Stage};
pub use reference::{ImageRef, InvalidReference};
pub use store::{Image, ImageStore, Lease};

//! Images, as containers use them: what they say about the container, their layers unpacked, and
//! which of them containers hold.

mod commit;
mod defaults;
mod frozen;
mod import;
mod limits;
mod load;
mod pins;
mod points;
mod points_name;
mod recover;
mod registry;
mod remove;
mod root;
mod save;
mod settle;
mod shared;
mod unpack;
mod usage;

pub use commit::CommitOptions;
pub use limits::ImageLimits;
pub use remove::{Pruned, Removal};
pub use usage::{DiskUsage, ImageUsage};

pub(crate) use defaults::complete;
pub(crate) use points::MountPoints;
pub(crate) use root::{Rooted, make_layer, mount_points, pin, resolve_root, resolve_user};
pub(crate) use shared::is_points;

use berth_image::{ImageError, ImageStore};

use crate::{Engine, EngineError};

impl Engine {
    /// The store of images.
    pub const fn images(&self) -> &ImageStore {
        &self.images
    }
}

impl From<ImageError> for EngineError {
    fn from(error: ImageError) -> Self {
        let told = Self::new(error.class(), error.to_string());
        match &error {
            ImageError::Io { source, .. } => told.caused_by(source),
            _ => told,
        }
    }
}

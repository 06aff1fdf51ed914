//! Images, as commands use them.

mod import;
mod load;
mod save;

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
        Self::new(error.class(), error.to_string())
    }
}

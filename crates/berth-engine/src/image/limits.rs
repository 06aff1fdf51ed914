//! How much images and archives may be.

use berth_image::archive::LoadLimits;
use berth_image::layer::Limits;

use crate::Engine;

/// What nobody vouches for may take of our memory and disk. The defaults are far above every
/// honest image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageLimits {
    /// Of each layer that is unpacked.
    pub layer: Limits,
    /// Of an archive that is loaded or imported.
    pub archive: LoadLimits,
}

impl Engine {
    /// The limits in force.
    pub const fn image_limits(&self) -> &ImageLimits {
        &self.config().image_limits
    }
}

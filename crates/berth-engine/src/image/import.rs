//! Images made of the tar of a root filesystem.

use std::io::Read;

use berth_image::archive::{self, ImportOptions};
use berth_image::{Image, Progress};

use crate::{Engine, EngineError};

impl Engine {
    /// Makes an image of one layer; `what` names the tar in errors and in the image's history.
    pub fn import_image(
        &self,
        input: impl Read,
        what: &str,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<Image, EngineError> {
        let how = self.unpacker();
        let image = archive::import(self.images(), input, what, options, &how, progress)
            .map_err(|error| EngineError::from(error).on(what))?;
        how.finish(progress);
        Ok(image)
    }
}

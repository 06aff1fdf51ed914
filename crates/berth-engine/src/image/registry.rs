//! Images from registries and back.

use berth_base::Digest;
use berth_image::registry::{Client, PlatformChoice, PulledImage};
use berth_image::{ImageRef, Progress};

use crate::{Engine, EngineError, events};

impl Engine {
    /// Pulls an image and unpacks it; what was fetched before a failure stays for the next try.
    pub fn pull_image(
        &self,
        client: &Client,
        reference: &ImageRef,
        choice: &PlatformChoice,
        progress: &dyn Progress,
    ) -> Result<PulledImage, EngineError> {
        let unpacker = self.unpacker();
        let pulled = self
            .images()
            .pull(client, reference, choice, &unpacker, progress)
            .map_err(|error| EngineError::from(error).on(reference.familiar()))?;
        unpacker.finish(progress);
        let name = reference.familiar_name();
        self.emit(events::image(&reference.familiar(), &name, "pull"));
        Ok(pulled)
    }

    /// Pushes the image that has a name to where the name says.
    pub fn push_image(
        &self,
        client: &Client,
        reference: &ImageRef,
        progress: &dyn Progress,
    ) -> Result<Digest, EngineError> {
        let pushed = self
            .images()
            .push(client, reference, progress)
            .map_err(|error| EngineError::from(error).on(reference.familiar()))?;
        let name = reference.familiar_name();
        self.emit(events::image(&reference.familiar(), &name, "push"));
        Ok(pushed)
    }
}

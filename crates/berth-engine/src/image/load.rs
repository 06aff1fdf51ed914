//! Images out of archives.

use berth_image::Progress;
use berth_image::archive::{self, LoadOptions, Loaded, Source};

use crate::{Engine, EngineError, events};

impl Engine {
    /// Loads all images of an archive, or of a folder with an image layout, and names them as it
    /// says, once their layers are unpacked. Whatever unpacks them the options name is passed over.
    pub fn load_images(
        &self,
        source: Source<'_>,
        options: &LoadOptions<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>, EngineError> {
        let (Source::Stream { name, .. } | Source::Folder { name, .. }) = &source;
        let name = name.clone();
        let unpacker = self.unpacker();
        let options = LoadOptions {
            platform: options.platform.clone(),
            limits: options.limits.clone(),
            on_layer: options.on_layer,
            unpacker: Some(&unpacker),
        };
        let loaded = archive::load(self.images(), source, &options, progress)
            .map_err(|error| EngineError::from(error).on(name))?;
        unpacker.finish(progress);
        let events = loaded.iter().map(|one| {
            let id = one.image.id.to_string();
            events::image(&id, &id, "load")
        });
        self.emit_all(events.collect());
        Ok(loaded)
    }
}

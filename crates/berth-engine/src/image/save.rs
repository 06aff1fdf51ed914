//! Images into archives.

use std::fs::File;

use berth_image::archive::{self, SaveFormat, SaveItem, Saved};
use berth_image::{ImageRef, Progress};

use crate::{Engine, EngineError, events};

impl Engine {
    /// Finds what is to be saved: by a name with that name, by an id or a digest without one.
    pub fn images_to_save(&self, references: &[String]) -> Result<Vec<SaveItem>, EngineError> {
        let find = |text: &String| {
            let image = self.images().resolve(text);
            let image = image.map_err(|error| EngineError::from(error).on(text.as_str()))?;
            let name = text.parse::<ImageRef>().ok();
            let names = name.filter(|name| image.references.contains(name));
            Ok(SaveItem {
                image,
                names: names.into_iter().collect(),
            })
        };
        references.iter().map(find).collect()
    }

    /// Writes images into `out`, a file or a pipe that errors call `name`.
    pub fn save_images(
        &self,
        items: &[SaveItem],
        format: SaveFormat,
        out: &File,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<Saved, EngineError> {
        let saved = archive::save(self.images(), items, format, out, name, progress);
        let saved = saved.map_err(EngineError::from)?;
        let events = items.iter().map(|item| {
            let name = item.names.first().map(ImageRef::familiar);
            let id = item.image.id.to_string();
            events::image(&id, name.as_deref().unwrap_or(&id), "save")
        });
        self.emit_all(events.collect());
        Ok(saved)
    }
}

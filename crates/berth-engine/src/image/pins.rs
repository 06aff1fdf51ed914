//! Which images and layers containers hold.

use berth_base::ContainerId;
use berth_image::ImageError;
use berth_image::store::Pins;

use crate::store::StoreError;
use crate::{Container, Engine, EngineError};

impl Engine {
    /// What the containers of this root need, those that are being made among them.
    ///
    /// With the image store's lock held this misses none: a container is being made under that
    /// lock from the choice of its layers until its `create.json` is written.
    pub(crate) fn pins(&self) -> Result<Pins, StoreError> {
        let mut pins = Pins::default();
        for file in self.store().all_creates()? {
            if let Some(source) = file.source {
                pins.manifests.insert(source.manifest);
                pins.layers.extend(source.layers);
            }
        }
        Ok(pins)
    }

    /// What a listing calls the image of a container: the name that it was made by, its id where
    /// that name means another image by now, or none.
    pub fn shown_image(&self, container: &Container) -> String {
        let name = &container.create.image;
        let Some(source) = &container.create.source else {
            return name.clone();
        };
        match self.images().resolve(name) {
            Ok(image) if image.id != source.id => source.id.short().to_owned(),
            Err(ImageError::NoImage(_)) => source.id.short().to_owned(),
            // Also what cannot be read now: it may well be the same.
            _ => name.clone(),
        }
    }

    /// How many containers were made from an image.
    pub fn containers_of_image(&self, id: &berth_base::Digest) -> Result<usize, EngineError> {
        Ok(self.users_of_image(id)?.len())
    }

    /// The containers that were made from an image, by the digest of its manifest or its id.
    pub(crate) fn users_of_image(
        &self,
        digest: &berth_base::Digest,
    ) -> Result<Vec<ContainerId>, EngineError> {
        let creates = self.store().all_creates()?;
        let uses = |file: &crate::CreateFile| {
            let source = file.source.as_ref();
            source.is_some_and(|s| s.id == *digest || s.manifest == *digest)
        };
        Ok(creates
            .into_iter()
            .filter(uses)
            .map(|file| file.id)
            .collect())
    }
}

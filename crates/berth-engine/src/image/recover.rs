//! The store of images after a crash, and layers that went missing.

use std::collections::HashSet;

use berth_base::Digest;
use berth_base::state::RootSource;
use berth_image::{ImageError, NoProgress};

use super::shared::is_shared;
use crate::{Container, Engine, EngineError};

impl Engine {
    /// Puts the store of images in order: what is half done goes, and layers that a crash of the
    /// host may have damaged, unless a living container has them; they are unpacked again when
    /// somebody needs them.
    pub(crate) fn recover_images(&self) -> Vec<EngineError> {
        let mut living: HashSet<Digest> = HashSet::new();
        for container in self.list().unwrap_or_default() {
            if let (true, Some(source)) = (container.status.is_live(), container.create.source) {
                living.extend(source.layers);
            }
        }
        let mut errors: Vec<EngineError> = self.sweep_shared_points().err().into_iter().collect();
        match self.images().sweep(|chain| living.contains(chain)) {
            Ok(swept) => errors.extend(swept.errors.into_iter().map(EngineError::from)),
            Err(ImageError::Newer { .. }) => {}
            Err(error) => errors.push(error.into()),
        }
        errors
    }

    /// Unpacks what is missing of a container's layers before it is started.
    pub(crate) fn ensure_layers(&self, container: &Container) -> Result<(), EngineError> {
        let RootSource::Layers { lowers, .. } = &container.create.root else {
            return Ok(());
        };
        // by path: folders of ours
        if lowers.iter().all(|lower| lower.is_dir()) {
            return Ok(());
        }
        for shared in lowers.iter().filter(|lower| is_shared(lower)) {
            self.ensure_shared_points(shared)?;
        }
        let Some(source) = &container.create.source else {
            return Ok(());
        };
        let image = self.images().by_manifest(&source.manifest)?;
        self.unpack(&image, &NoProgress)
    }
}

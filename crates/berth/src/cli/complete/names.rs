//! The names of what exists, from the engine's files. Readers never lock, so no key press waits.

use berth_base::Status;
use berth_engine::Engine;
use berth_image::ImageRef;

use super::{Fit, Names};

/// What an engine has; without one there is nothing.
pub(in crate::cli) struct EngineNames(pub(in crate::cli) Option<Engine>);

impl EngineNames {
    fn read<T, E>(&self, list: impl FnOnce(&Engine) -> Result<Vec<T>, E>) -> Vec<T> {
        let found = self.0.as_ref().and_then(|engine| list(engine).ok());
        found.unwrap_or_default()
    }
}

impl Names for EngineNames {
    fn containers(&self, fit: Fit) -> Vec<(String, String)> {
        self.read(Engine::list)
            .iter()
            .filter(|container| match fit {
                Fit::All => true,
                Fit::Live => container.status.is_live(),
                Fit::Paused => container.status == Status::Paused,
                Fit::Ended => !container.status.is_live(),
            })
            .map(|container| {
                let image = container.create.image.clone();
                (container.name.as_str().to_owned(), image)
            })
            .collect()
    }

    fn images(&self) -> Vec<String> {
        let listed = self.read(|engine| engine.images().images());
        let tagged = listed.iter().flat_map(|one| &one.references);
        let mut names: Vec<String> = tagged
            .filter(|name| name.tag().is_some())
            .map(ImageRef::familiar)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn networks(&self) -> Vec<String> {
        let networks = self.read(Engine::list_networks);
        let names = networks.iter().map(|file| file.name.as_str().to_owned());
        names.collect()
    }

    fn volumes(&self) -> Vec<String> {
        let volumes = self.read(Engine::volumes);
        let names = volumes.iter().map(|one| one.file.name.as_str().to_owned());
        names.collect()
    }
}

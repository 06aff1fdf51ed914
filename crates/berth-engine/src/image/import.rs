//! Images made of the tar of a root filesystem.

use std::io::Read;

use berth_image::archive::{self, ImportOptions};
use berth_image::registry::{RegistryConfig, WebFile, download};
use berth_image::{Image, Progress, Stage};

use crate::{Engine, EngineError, events};

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
        let (id, name) = (image.id.to_string(), image.display_name());
        if options.name.is_some() {
            self.emit(events::image(&id, &name, "tag"));
        }
        self.emit(events::image(&id, &name, "import"));
        Ok(image)
    }

    /// The same of a file on the web, which is read as it comes: it is nowhere kept as a whole.
    pub fn import_from_web(
        &self,
        settings: RegistryConfig,
        file: &WebFile,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<Image, EngineError> {
        let what = file.shown();
        let limit = options.limits.blob_bytes;
        let inner = Downloading {
            progress,
            what: &what,
        };
        let imported = download(settings, file, limit, progress, |input| {
            self.import_image(input, &what, options, &inner)
        });
        imported.map_err(|error| error.on(what.as_str()))
    }
}

/// One line for a file that is downloaded and copied at once: the download's, which knows its end.
struct Downloading<'a> {
    progress: &'a dyn Progress,
    what: &'a str,
}

impl Progress for Downloading<'_> {
    fn begin(&self, item: &str, stage: Stage, done: u64, total: Option<u64>) {
        if item != self.what {
            self.progress.begin(item, stage, done, total);
        }
    }

    fn advance(&self, item: &str, bytes: u64) {
        if item != self.what {
            self.progress.advance(item, bytes);
        }
    }

    fn end(&self, item: &str, word: &str) {
        self.progress.end(item, word);
    }

    fn note(&self, text: &str) {
        self.progress.note(text);
    }
}

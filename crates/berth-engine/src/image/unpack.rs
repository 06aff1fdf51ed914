//! Unpacking an image's layers, as root here and as a user in a namespace with the right ids.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_base::Digest;
use berth_image::layer::{UnpackOptions, Unpacked};
use berth_image::store::{UnpackHere, UnpackHow, UnpackJob, is_settled};
use berth_image::{Image, ImageError, Progress, Stage};

use crate::storage::{self, SettleLayer, UnpackLayer};
use crate::{Engine, EngineError};

impl Engine {
    /// Unpacks what is missing of an image's layers, several at a time.
    pub fn unpack(&self, image: &Image, progress: &dyn Progress) -> Result<(), EngineError> {
        let unpacker = self.unpacker();
        self.images().unpack_image(image, &unpacker, progress)?;
        unpacker.finish(progress);
        Ok(())
    }

    /// Who unpacks layers for this caller.
    pub(crate) fn unpacker(&self) -> Unpacker<'_> {
        let single_id = storage::single_id();
        Unpacker {
            engine: self,
            rootless: storage::is_rootless(),
            squash: single_id.is_some(),
            single_id,
            was_needed: AtomicBool::new(false),
        }
    }
}

/// Unpacks here as root, each layer in a worker of its own for a user.
pub(crate) struct Unpacker<'a> {
    engine: &'a Engine,
    rootless: bool,
    squash: bool,
    single_id: Option<String>,
    was_needed: AtomicBool,
}

impl Unpacker<'_> {
    /// To be called once all is done: what the user should know, and what is due in the background.
    pub(crate) fn finish(self, progress: &dyn Progress) {
        if !self.was_needed.into_inner() {
            return;
        }
        if let Some(why) = &self.single_id {
            progress.note(why);
        }
        self.engine.settle_in_background();
    }

    fn here(&self) -> UnpackHere {
        UnpackHere {
            options: UnpackOptions {
                limits: self.engine.image_limits().layer,
                ..storage::unpack_options(false, false)
            },
        }
    }
}

impl UnpackHow for Unpacker<'_> {
    fn unpack(&self, job: &UnpackJob) -> Result<Unpacked, ImageError> {
        self.was_needed.store(true, Ordering::Relaxed);
        if !self.rootless {
            return self.here().unpack(job);
        }
        let work = UnpackLayer {
            job: job.clone(),
            squash: self.squash,
            limits: self.engine.image_limits().layer,
        };
        self.engine.storage(&work).map_err(|e| of_worker(job, e))
    }

    fn content(&self, job: &UnpackJob) -> Result<Digest, ImageError> {
        // Blobs are the caller's own.
        self.here().content(job)
    }

    fn settle(&self, job: &UnpackJob, unpacked: &Unpacked) -> Result<(), ImageError> {
        if is_settled(unpacked) {
            return Ok(());
        }
        if !self.rootless {
            return self.here().settle(job, unpacked);
        }
        let work = SettleLayer {
            job: job.clone(),
            unpacked: unpacked.clone(),
            squash: self.squash,
        };
        self.engine.storage(&work).map_err(|e| of_worker(job, e))
    }
}

fn of_worker(job: &UnpackJob, error: EngineError) -> ImageError {
    ImageError::Worker {
        class: error.class,
        what: job.what.clone(),
        // It names the layer once more.
        message: error.message.replace(&format!(" of {}", job.what), ""),
    }
}

/// What an unpacking has to say, where nobody watches it.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.0
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Progress for Notes {
    fn begin(&self, _item: &str, _stage: Stage, _done: u64, _total: Option<u64>) {}
    fn advance(&self, _item: &str, _bytes: u64) {}
    fn end(&self, _item: &str, _word: &str) {}

    fn note(&self, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(|e| e.into_inner());
        lines.push(text.to_owned());
    }
}

//! Unpacking an image's layers, as root here and as a user in a namespace with the right ids.

use berth_image::layer::{UnpackOptions, Unpacked};
use berth_image::store::{UnpackHere, UnpackHow, UnpackJob, is_settled};
use berth_image::{Image, ImageError, Progress};

use crate::storage::{self, SettleLayer, UnpackLayer};
use crate::{Engine, EngineError};

impl Engine {
    /// Unpacks what is missing of an image's layers, several at a time.
    pub fn unpack(&self, image: &Image, progress: &dyn Progress) -> Result<(), EngineError> {
        Ok(self
            .images()
            .unpack_image(image, self.unpacker().as_ref(), progress)?)
    }

    /// Who unpacks layers for this caller.
    pub fn unpacker(&self) -> Box<dyn UnpackHow + '_> {
        if storage::is_rootless() {
            let ids = storage::store_ids();
            Box::new(InNamespace {
                engine: self,
                squash: ids.uid.len() < 2 || ids.gid.len() < 2,
            })
        } else {
            let options = UnpackOptions {
                limits: self.image_limits().layer,
                ..storage::unpack_options(false, false)
            };
            Box::new(UnpackHere { options })
        }
    }
}

/// Each job in a worker of its own.
struct InNamespace<'a> {
    engine: &'a Engine,
    squash: bool,
}

impl UnpackHow for InNamespace<'_> {
    fn unpack(&self, job: &UnpackJob) -> Result<Unpacked, ImageError> {
        let work = UnpackLayer {
            job: job.clone(),
            squash: self.squash,
            limits: self.engine.image_limits().layer,
        };
        self.engine.storage(&work).map_err(|e| of_worker(job, e))
    }

    fn settle(&self, job: &UnpackJob, unpacked: &Unpacked) -> Result<(), ImageError> {
        if is_settled(unpacked) {
            return Ok(());
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
        message: error.message,
    }
}

//! After a crash: what is half done goes, what may be damaged is found.

use std::path::Path;

use berth_base::Digest;
use berth_persist::{At, Op, perform, remove_tree, sweep_temporaries};

use super::layers::{boot_id, read_meta};
use super::lock::Access;
use super::{ImageStore, entries, lock};
use crate::ImageError;

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Folders of layers that were half made or half removed.
    pub half_done: usize,
    /// Layers of an earlier boot that were never known to be on disk: they are unpacked again when
    /// somebody needs them.
    pub doubtful: Vec<String>,
    /// What could not be put in order.
    pub errors: Vec<ImageError>,
}

impl ImageStore {
    /// Puts the store in order. Can be run at any time and twice; what is under way stays.
    ///
    /// `in_use`: layers that living containers stack; even a doubtful one is left to them.
    pub fn sweep(&self, in_use: impl Fn(&Digest) -> bool) -> Result<Swept, ImageError> {
        let mut swept = Swept::default();
        self.sweep_temporaries(&mut swept);
        if !self.exists()? {
            return Ok(swept);
        }
        {
            // Whoever begins a lease holds it too, until the lease is locked.
            let _lock = self.lock(Access::Change)?;
            self.leased()?;
        }
        self.sweep_files(&mut swept)?;
        let boot = boot_id();
        for (name, path) in entries(&self.layers_dir())? {
            if let Some(chain) = name.strip_prefix(".tmp-") {
                // Held meanwhile, so that nobody begins it anew.
                let builder = self.ingest_dir().join(format!("layer-{chain}"));
                let Some(_held) = lock::try_lock_at(&builder)? else {
                    continue;
                };
                swept.half_done += 1;
                note(remove(&path), &mut swept.errors);
                note(unlink(&builder), &mut swept.errors);
            } else if name.starts_with(".removing-") {
                // Not while somebody is removing it.
                let _lock = self.lock(Access::Change)?;
                swept.half_done += 1;
                note(remove(&path), &mut swept.errors);
            } else if !name.starts_with('.') {
                let chain = format!("sha256:{name}").parse::<Digest>();
                let used = chain.is_ok_and(|chain| in_use(&chain));
                if !used && is_doubtful(&path, &boot) {
                    note(self.remove_layer(&name), &mut swept.errors);
                    swept.doubtful.push(name);
                }
            }
        }
        Ok(swept)
    }
}

impl ImageStore {
    /// What is in the ingest folder and no download can go on with: blobs of
    /// which not even the digest was known, and the locks of layers. What somebody holds stays.
    fn sweep_files(&self, swept: &mut Swept) -> Result<(), ImageError> {
        for (name, path) in entries(&self.ingest_dir())? {
            let is_part = name.starts_with("sha256-") || name.starts_with("sha512-");
            if !is_part && let Some(_held) = lock::try_lock(&path) {
                note(unlink(&path), &mut swept.errors);
            }
        }
        Ok(())
    }

    /// Also where the store was still being made.
    fn sweep_temporaries(&self, swept: &mut Swept) {
        let layers = entries(&self.layers_dir()).unwrap_or_default();
        let folders = layers.into_iter().map(|(_, path)| path);
        for dir in folders.chain([self.layout(), self.work()]) {
            let removed = sweep_temporaries("image.sweep.file", &dir);
            let removed = removed.map_err(|e| ImageError::io("remove temporary files in", &dir, e));
            note(removed.map(drop), &mut swept.errors);
        }
    }
}

/// Without a readable layer.json nothing is known of a layer, so it is doubtful too.
fn is_doubtful(dir: &Path, boot: &str) -> bool {
    match read_meta(dir) {
        Ok(Some(meta)) => meta.unsynced_in_boot.is_some_and(|then| then != boot),
        Ok(None) | Err(_) => true,
    }
}

fn remove(path: &Path) -> Result<(), ImageError> {
    remove_tree("image.layer.sweep", At::path(path)).map_err(|e| ImageError::io("remove", path, e))
}

fn unlink(path: &Path) -> Result<(), ImageError> {
    perform("image.ingest.sweep", Op::Unlink(At::path(path)))
        .map_err(|e| ImageError::io("remove", path, e))
}

fn note(result: Result<(), ImageError>, errors: &mut Vec<ImageError>) {
    errors.extend(result.err());
}

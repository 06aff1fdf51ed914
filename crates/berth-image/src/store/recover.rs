//! After a crash: what is half done goes, what may be damaged is found.

use std::path::Path;

use berth_base::Digest;
use berth_persist::{At, remove_tree};

use super::layers::{boot_id, read_meta};
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
        if !self.exists()? {
            return Ok(swept);
        }
        self.leased()?;
        let boot = boot_id();
        for (name, path) in entries(&self.layers_dir())? {
            if let Some(chain) = name.strip_prefix(".tmp-") {
                let builder = self.ingest_dir().join(format!("layer-{chain}"));
                if builder.exists() && lock::try_lock(&builder).is_none() {
                    continue;
                }
                swept.half_done += 1;
                note(remove(&path), &mut swept.errors);
            } else if name.starts_with(".removing-") {
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

fn note(result: Result<(), ImageError>, errors: &mut Vec<ImageError>) {
    errors.extend(result.err());
}

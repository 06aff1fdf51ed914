//! Collection: what nothing needs goes.

use std::collections::HashSet;
use std::path::Path;

use berth_base::Digest;
use berth_persist::{At, Op, perform};

use super::lock::{self, Access};
use super::{ImageStore, chain_ids, entries};
use crate::ImageError;
use crate::config::ImageConfig;
use crate::manifest::{Document, parse_document};

/// What the caller's containers need.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// Manifests of images that containers were made from.
    pub manifests: HashSet<Digest>,
    /// Chain ids of the layers they stack.
    pub layers: HashSet<Digest>,
}

/// What a collection removed.
#[derive(Debug, Default)]
pub struct Collected {
    /// Blobs, with their sizes.
    pub blobs: Vec<(Digest, u64)>,
    /// Layers, by chain id, with the bytes of their files.
    pub layers: Vec<(String, u64)>,
    /// What could not be removed.
    pub errors: Vec<ImageError>,
}

/// What must stay.
#[derive(Default)]
struct Marked {
    blobs: HashSet<Digest>,
    layers: HashSet<String>,
    /// An image's metadata could not be read: its blobs are unknown, so no blob may go.
    unsure: bool,
}

impl ImageStore {
    /// Removes every blob and layer that no image, no container and no living command needs.
    ///
    /// `pins` is asked for with the lock held, so that a container made meanwhile is seen. Where an
    /// image's manifest is damaged nobody can tell which blobs are its own, and all stay.
    pub fn collect(
        &self,
        pins: impl FnOnce() -> Result<Pins, ImageError>,
    ) -> Result<Collected, ImageError> {
        if !self.exists()? {
            return Ok(Collected::default());
        }
        let _lock = self.lock(Access::Change)?;
        let pins = pins()?;
        let mut marked = Marked::default();
        for entry in &self.read_index()?.manifests {
            self.mark_image(&entry.digest, entry.size, &mut marked);
        }
        for manifest in &pins.manifests {
            self.mark_pinned(manifest, &mut marked);
        }
        marked
            .layers
            .extend(pins.layers.iter().map(|chain| chain.hex().to_owned()));
        for digest in self.leased()? {
            marked.layers.insert(digest.hex().to_owned());
            marked.blobs.insert(digest);
        }
        let mut collected = Collected::default();
        self.sweep_layers(&marked, &mut collected);
        if !marked.unsure {
            self.sweep_blobs(&marked, &mut collected);
        }
        Ok(collected)
    }

    /// A manifest that a container names; it may be gone by force.
    fn mark_pinned(&self, manifest: &Digest, marked: &mut Marked) {
        let size = std::fs::metadata(self.blob_path(manifest)).map(|m| m.len());
        if let Ok(size) = size {
            self.mark_image(manifest, size, marked);
        }
    }

    fn mark_image(&self, manifest: &Digest, size: u64, marked: &mut Marked) {
        if !marked.blobs.insert(manifest.clone()) {
            return;
        }
        let descriptor = crate::Descriptor::new("", manifest.clone(), size);
        let read = self
            .read_small(&descriptor, "an image")
            .and_then(|bytes| parse_document("an image", &bytes, None));
        let document = match read {
            Ok(Document::Manifest(document)) => document,
            // Other tools may put an index here; what it names is theirs.
            Ok(Document::Index(index)) => {
                for entry in &index.manifests {
                    if self.has_blob(&entry.digest) {
                        self.mark_image(&entry.digest, entry.size, marked);
                    }
                }
                return;
            }
            Err(_) => {
                marked.unsure = true;
                return;
            }
        };
        marked.blobs.insert(document.config.digest.clone());
        marked
            .blobs
            .extend(document.layers.iter().map(|layer| layer.digest.clone()));
        let config = self
            .read_small(&document.config, "an image")
            .and_then(|bytes| ImageConfig::parse("an image", &bytes));
        // Without it the image cannot run, so its layers are of no use.
        if let Ok(config) = config {
            let chains = chain_ids(&config.rootfs.diff_ids);
            marked
                .layers
                .extend(chains.iter().map(|chain| chain.hex().to_owned()));
        }
    }

    fn sweep_layers(&self, marked: &Marked, collected: &mut Collected) {
        let listed = match entries(&self.layers_dir()) {
            Ok(listed) => listed,
            Err(error) => return collected.errors.push(error),
        };
        for (name, path) in listed {
            if name.starts_with('.') || marked.layers.contains(&name) {
                continue;
            }
            let meta = super::layers::read_meta(&path);
            let bytes = meta.ok().flatten().map_or(0, |meta| meta.bytes);
            match self.remove_layer(&name) {
                Ok(()) => collected.layers.push((name, bytes)),
                Err(error) => collected.errors.push(error),
            }
        }
    }

    fn sweep_blobs(&self, marked: &Marked, collected: &mut Collected) {
        for algorithm in ["sha256", "sha512"] {
            let dir = self.layout().join("blobs").join(algorithm);
            let listed = match entries(&dir) {
                Ok(listed) => listed,
                Err(error) => {
                    collected.errors.push(error);
                    continue;
                }
            };
            for (name, path) in listed {
                let digest = format!("{algorithm}:{name}").parse::<Digest>();
                match digest {
                    Ok(digest) if !marked.blobs.contains(&digest) => {
                        remove_blob(&path, digest, collected);
                    }
                    // What has no digest for a name is not ours.
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }

    /// Removes parts of downloads that nobody goes on with at present; the bytes that were freed.
    pub fn drop_parts(&self) -> Result<u64, ImageError> {
        let mut freed = 0;
        for (_, path) in entries(&self.ingest_dir())? {
            let Some(file) = lock::try_lock(&path) else {
                continue;
            };
            let length = file.metadata().map_or(0, |m| m.len());
            if perform("image.ingest.prune", Op::Unlink(At::path(&path))).is_ok() {
                freed += length;
            }
        }
        Ok(freed)
    }
}

fn remove_blob(path: &Path, digest: Digest, collected: &mut Collected) {
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    match perform("image.blob.remove", Op::Unlink(At::path(path))) {
        Ok(()) => collected.blobs.push((digest, size)),
        Err(e) => collected.errors.push(ImageError::io("remove", path, e)),
    }
}

//! Which blobs are known to hold the content of an unpacked layer.
//!
//! A blob is verified against its own digest when it is written. That its uncompressed content is
//! the layer which an image's configuration names, the unpacking tells. A layer that is there
//! already may have come from another blob, so each blob is compared with it once: `layer.json`
//! names those that were.

use berth_base::Digest;
use berth_persist::Durability;

use super::layers::{read_meta, write_meta};
use super::{Access, ImageLayer, ImageStore};
use crate::ImageError;

/// Any number of blobs can hold one content; of more than these some are compared again.
const BLOBS_MAX: usize = 32;

impl ImageStore {
    /// Whether nothing is left to find out about the blob of an unpacked layer. One that is missing
    /// tells nothing, and one that is not compressed has a single digest.
    pub(super) fn is_compared(&self, layer: &ImageLayer) -> bool {
        let blob = &layer.descriptor.digest;
        let compared = || match self.layer_meta(&layer.chain_id) {
            Ok(Some(meta)) => meta.blobs.contains(blob),
            Ok(None) | Err(_) => false,
        };
        *blob == layer.diff_id || compared() || !self.has_blob(blob)
    }

    /// Notes that the blob of an unpacked layer holds its content.
    pub(super) fn note_compared(&self, layer: &ImageLayer) -> Result<(), ImageError> {
        // Others write to that file, too.
        let _lock = self.lock(Access::Change)?;
        let dir = self.layer_dir(&layer.chain_id);
        let Some(mut meta) = read_meta(&dir)? else {
            return Ok(());
        };
        meta.blobs.truncate(BLOBS_MAX - 1);
        meta.blobs.insert(0, layer.descriptor.digest.clone());
        write_meta(&dir, &meta, Durability::Process)
    }
}

/// The blobs of a layer that was unpacked from this one.
pub(super) fn blobs_of(layer: &ImageLayer) -> Vec<Digest> {
    let blob = &layer.descriptor.digest;
    let compressed = (*blob != layer.diff_id).then(|| blob.clone());
    compressed.into_iter().collect()
}

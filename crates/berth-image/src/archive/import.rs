//! The tar of a root filesystem as an image of one layer.

use std::io::{self, Read, Write};

use super::change::Changes;
use super::compressed::{self, read_error};
use super::docker::put_manifest;
use super::gather::LAYER_REMEDY;
use super::limits::{LoadLimits, exceeded};
use super::tar_in::is_tar;
use crate::config::{ContainerConfig, History, ImageConfig, Rootfs};
use crate::manifest::media;
use crate::store::UnpackHow;
use crate::{
    Descriptor, Image, ImageError, ImageRef, ImageStore, Manifest, Platform, Progress, Stage,
};

const PIECE_BYTES: usize = 1 << 20;

/// What the image is to be.
pub struct ImportOptions {
    /// Its name.
    pub name: Option<ImageRef>,
    /// Instructions about its configuration.
    pub changes: Changes,
    /// A word about how it came about.
    pub message: Option<String>,
    /// For which platform it is.
    pub platform: Platform,
    /// When it was made, RFC 3339.
    pub created: String,
    /// What the tar may ask for.
    pub limits: LoadLimits,
}

/// Makes an image of a tar, compressed or not; `what` names it in errors and in the history.
///
/// The layer is stored uncompressed, and unpacked before the image gets its name.
pub fn import(
    store: &ImageStore,
    input: impl Read,
    what: &str,
    options: &ImportOptions,
    how: &dyn UnpackHow,
    progress: &dyn Progress,
) -> Result<Image, ImageError> {
    let lease = store.lease()?;
    let mut config = ContainerConfig::default();
    // Before the work: a typing error is told at once.
    options.changes.apply(&mut config)?;
    let mut plain = compressed::open(what, LAYER_REMEDY, input)?;
    let mut writer = store.ingest_unknown(&lease)?;
    progress.begin(what, Stage::Copying, 0, None);
    copy(&mut plain, &mut writer, what, options, progress)?;
    let (digest, size) = writer.commit(&lease)?;
    progress.end(what, "done");
    let layer = Descriptor::new(media::LAYER, digest.clone(), size);
    let message = options.message.clone();
    let document = ImageConfig {
        created: Some(options.created.clone()),
        author: None,
        platform: options.platform.clone(),
        config,
        rootfs: Rootfs {
            kind: "layers".to_owned(),
            diff_ids: vec![digest],
        },
        history: vec![History {
            created: Some(options.created.clone()),
            comment: Some(message.unwrap_or_else(|| format!("Imported from {what}"))),
            ..History::default()
        }],
    };
    let bytes = serde_json::to_vec(&document)
        .map_err(|e| ImageError::malformed("a configuration", e.to_string()))?;
    let id = store.put(&lease, &bytes)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media::MANIFEST.into()),
        config: Descriptor::new(media::CONFIG, id, bytes.len() as u64),
        layers: vec![layer],
        annotations: Default::default(),
    };
    let descriptor = put_manifest(store, &lease, &manifest)?;
    let names: Vec<ImageRef> = options.name.iter().cloned().collect();
    let image = store.read_image(&descriptor, &names)?;
    let unpacked = store.unpack_new_image(&lease, &image, &|_| true, None, how, progress);
    unpacked.map_err(|error| error.renamed(|_| what.to_owned()))?;
    store.tag(&lease, options.name.as_ref(), &descriptor, None)?;
    Ok(image)
}

fn copy(
    plain: &mut impl Read,
    writer: &mut impl Write,
    what: &str,
    options: &ImportOptions,
    progress: &dyn Progress,
) -> Result<(), ImageError> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut total = 0;
    let mut head = Vec::new();
    let limit = options.limits.blob_bytes;
    loop {
        let count = match plain.read(&mut buffer) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(read_error(what, e)),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        if head.len() < 512 {
            head.extend_from_slice(piece);
            if (count == 0 || head.len() >= 512) && !is_tar(&head) {
                let why = "it is no tar archive, nor one compressed by gzip or zstd";
                return Err(ImageError::malformed(what, why));
            }
        }
        if count == 0 {
            return Ok(());
        }
        total += count as u64;
        if total > limit {
            return Err(exceeded(what, "archive-blob-bytes", limit));
        }
        writer
            .write_all(piece)
            .map_err(|e| ImageError::io("write the layer of", std::path::Path::new(what), e))?;
        progress.advance(what, count as u64);
    }
}

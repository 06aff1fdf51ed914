//! `docker-archive`: from `manifest.json` to images.
//!
//! A layer is stored as it is without compression, or as the blob that the archive names by its
//! digest. The configuration is kept byte for byte, so that the image has the id that it has with
//! Docker; the manifest is ours, and the same for the same image wherever it is loaded.

use std::io::{self, Read};

use berth_base::Digest;
use serde::Deserialize;

use super::compressed::{self, read_error};
use super::gather::{Gathered, Held, LAYER_REMEDY, Stored};
use super::limits::exceeded;
use super::load::{Load, Planned};
use crate::manifest::{CONFIG_MAX_BYTES, LAYERS_MAX, media};
use crate::{Descriptor, Hasher, ImageConfig, ImageError, ImageRef, Manifest};

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// Adds the images of `manifest.json` to those that `index.json` gave; of those that both have,
/// `manifest.json` knows the names.
pub(super) fn images(
    load: &Load<'_>,
    gathered: &Gathered,
    manifest: &[u8],
    planned: &mut Vec<Planned>,
) -> Result<(), ImageError> {
    let entries: Vec<Entry> = serde_json::from_slice(manifest).map_err(|e| {
        ImageError::malformed(load.what, format!("its manifest.json does not parse: {e}"))
    })?;
    for entry in entries {
        let names = names_of(&entry)?;
        let config = config_of(load, gathered, &entry)?;
        let digest = Hasher::sha256(&config);
        let same = |known: &&mut Planned| is_config(load, known, &digest, &config);
        let planned_before = planned.iter_mut().find(same);
        let target = match planned_before {
            Some(known) => known,
            None => {
                let limit = load.options.limits.images;
                if planned.len() >= limit {
                    return Err(exceeded(load.what, "archive-images", limit));
                }
                planned.push(image_of(load, gathered, &entry, &config)?);
                match planned.last_mut() {
                    Some(last) => last,
                    None => continue,
                }
            }
        };
        for name in names {
            if !target.names.contains(&name) {
                target.names.push(name);
            }
        }
    }
    Ok(())
}

/// Whether an image of the index has this configuration, whatever algorithm names it.
fn is_config(load: &Load<'_>, known: &Planned, digest: &Digest, bytes: &[u8]) -> bool {
    if known.config.algorithm() == digest.algorithm() {
        return known.config == *digest;
    }
    let descriptor = Descriptor::new(media::CONFIG, known.config.clone(), bytes.len() as u64);
    let read = load.store.read_small(&descriptor, load.what);
    read.is_ok_and(|read| read == bytes)
}

fn names_of(entry: &Entry) -> Result<Vec<ImageRef>, ImageError> {
    let tags = entry.repo_tags.iter().flatten();
    let mut names: Vec<ImageRef> = Vec::new();
    // Old Docker wrote its placeholder for images without a name.
    for text in tags.filter(|text| !text.contains("<none>")) {
        let name: ImageRef = text.parse()?;
        match (name.digest(), name.tag()) {
            (None, _) => names.push(name),
            (Some(_), Some(tag)) => names.push(name.with_tag(tag)),
            (Some(_), None) => {}
        }
    }
    Ok(names)
}

fn config_of(load: &Load<'_>, gathered: &Gathered, entry: &Entry) -> Result<Vec<u8>, ImageError> {
    let what = format!("configuration {:?} of {}", entry.config, load.what);
    match gathered.find(&entry.config) {
        Some(Held::Small(bytes)) => Ok(bytes.clone()),
        Some(Held::Blob(Stored { digest, size })) if *size <= CONFIG_MAX_BYTES => {
            let descriptor = Descriptor::new(media::CONFIG, digest.clone(), *size);
            load.store.read_small(&descriptor, &what)
        }
        Some(_) => Err(ImageError::Limit {
            what,
            why: format!("it is too long; at most {CONFIG_MAX_BYTES} bytes are read"),
        }),
        None => Err(missing(load, &entry.config)),
    }
}

fn missing(load: &Load<'_>, name: &str) -> ImageError {
    let why = format!("its manifest.json names {name:?}, which is not in it");
    ImageError::malformed(load.what, why)
}

/// Makes the manifest of an image.
fn image_of(
    load: &Load<'_>,
    gathered: &Gathered,
    entry: &Entry,
    config: &[u8],
) -> Result<Planned, ImageError> {
    let what = format!("configuration {:?} of {}", entry.config, load.what);
    let parsed = ImageConfig::parse(&what, config)?;
    let diff_ids = parsed.rootfs.diff_ids;
    let layers = entry.layers.as_deref().unwrap_or_default();
    if layers.len() != diff_ids.len() || layers.len() > LAYERS_MAX {
        let (here, there) = (layers.len(), diff_ids.len());
        let why = format!("its manifest.json lists {here} layers, the configuration {there}");
        return Err(ImageError::malformed(load.what, why));
    }
    let mut descriptors = Vec::new();
    for name in layers {
        let held = gathered.find(name).ok_or_else(|| missing(load, name))?;
        let stored = match held {
            Held::Blob(stored) => stored.clone(),
            Held::Small(bytes) => store_small(load, name, bytes)?,
            Held::Link(_) => return Err(missing(load, name)),
        };
        let layer = load.layer(&stored)?.ok_or_else(|| {
            ImageError::malformed(load.what, format!("its layer {name:?} is no tar"))
        })?;
        descriptors.push(layer.descriptor);
    }
    let digest = load.store.put(load.lease, config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media::MANIFEST.into()),
        config: Descriptor::new(media::CONFIG, digest.clone(), config.len() as u64),
        layers: descriptors,
        annotations: Default::default(),
    };
    Ok(Planned {
        manifest: put_manifest(load.store, load.lease, &manifest)?,
        config: digest,
        names: Vec::new(),
    })
}

/// Stores a manifest.
pub(super) fn put_manifest(
    store: &crate::ImageStore,
    lease: &crate::Lease,
    manifest: &Manifest,
) -> Result<Descriptor, ImageError> {
    let bytes = serde_json::to_vec(manifest)
        .map_err(|e| ImageError::malformed("a manifest", e.to_string()))?;
    let digest = store.put(lease, &bytes)?;
    Ok(Descriptor::new(media::MANIFEST, digest, bytes.len() as u64))
}

/// Stores a layer that waited in memory, without its compression.
fn store_small(load: &Load<'_>, name: &str, bytes: &[u8]) -> Result<Stored, ImageError> {
    let what = format!("layer {name:?} of {}", load.what);
    let mut writer = load.store.ingest_unknown(load.lease)?;
    let limit = load.options.limits.blob_bytes;
    let plain = compressed::open(&what, LAYER_REMEDY, bytes)?;
    let copied = io::copy(&mut plain.take(limit + 1), &mut writer);
    if copied.map_err(|e| read_error(&what, e))? > limit {
        return Err(exceeded(&what, "archive-blob-bytes", limit));
    }
    let (digest, size) = writer.commit(load.lease)?;
    let stored = Stored { digest, size };
    load.finished(&stored)?;
    Ok(stored)
}

//! Images into an archive.
//!
//! By default one that everybody reads: an OCI image layout, and beside it Docker's
//! `manifest.json` that names the same blobs. Blobs are copied as they are, each once; the same
//! images give the same archive, byte for byte.

use std::collections::HashSet;
use std::fs::File;
use std::io;

use berth_base::Digest;
use serde::Serialize;

use super::layout::{CONTAINERD_NAME, REF_NAME};
use super::load::length;
use super::tar_out::TarWriter;
use crate::manifest::media;
use crate::{Descriptor, Image, ImageError, ImageRef, ImageStore, Index, Lease, Progress, Stage};

/// What is written beside the blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFormat {
    /// For Docker and for OCI's tools.
    #[default]
    Both,
    /// `manifest.json` alone.
    DockerArchive,
    /// `oci-layout` and `index.json` alone.
    OciArchive,
}

/// One image, and the names that the archive gives it.
#[derive(Clone, Debug)]
pub struct SaveItem {
    /// The image.
    pub image: Image,
    /// Its names there; none for an image that was asked for by its id.
    pub names: Vec<ImageRef>,
}

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Blobs, each counted once.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// One image of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Writes images into `out`; `name` is what errors call it. Nothing is written before it is known
/// that every blob is there.
pub fn save(
    store: &ImageStore,
    items: &[SaveItem],
    format: SaveFormat,
    out: &File,
    name: &str,
    progress: &dyn Progress,
) -> Result<Saved, ImageError> {
    let items = merged(items);
    let lease = pin(store)?;
    let mut blobs = Vec::new();
    let mut seen: HashSet<Digest> = HashSet::new();
    for SaveItem { image, .. } in &items {
        let parts = [&image.manifest, &image.document.config];
        for part in parts.into_iter().chain(&image.document.layers) {
            if seen.insert(part.digest.clone()) {
                lease
                    .as_ref()
                    .map_or(Ok(()), |lease| lease.protect(&part.digest))?;
                check(store, part, image)?;
                blobs.push(part.clone());
            }
        }
    }
    let mut tar = TarWriter::new(out);
    let failed = |e: io::Error| ImageError::io("write", std::path::Path::new(name), e);
    documents(&mut tar, &items, format)?.map_err(failed)?;
    folders(&mut tar, &blobs).map_err(failed)?;
    for blob in &blobs {
        let file = store.blob(&blob.digest)?;
        let file = file.ok_or_else(|| missing(&blob.digest, name))?;
        let item = blob.digest.short();
        progress.begin(item, Stage::Copying, 0, Some(blob.size));
        let advance = |bytes| progress.advance(item, bytes);
        tar.file(&path_of(&blob.digest), &file, blob.size, advance)
            .map_err(failed)?;
        progress.end(item, "done");
    }
    tar.finish().map_err(failed)?;
    Ok(Saved {
        blobs: blobs.len(),
        bytes: blobs.iter().map(|blob| blob.size).sum(),
    })
}

/// A lease, which a store that cannot be written to does not need: nobody collects there.
fn pin(store: &ImageStore) -> Result<Option<Lease>, ImageError> {
    match store.lease() {
        Ok(lease) => Ok(Some(lease)),
        Err(ImageError::Io { source, .. })
            if source.kind() == io::ErrorKind::ReadOnlyFilesystem =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// One item for each image, with all its names.
fn merged(items: &[SaveItem]) -> Vec<SaveItem> {
    let mut all: Vec<SaveItem> = Vec::new();
    for item in items {
        let digest = &item.image.manifest.digest;
        let known = all.iter_mut().find(|i| i.image.manifest.digest == *digest);
        let Some(known) = known else {
            all.push(item.clone());
            continue;
        };
        for name in &item.names {
            if !known.names.contains(name) {
                known.names.push(name.clone());
            }
        }
    }
    all
}

fn missing(digest: &Digest, of: &str) -> ImageError {
    ImageError::MissingBlob {
        digest: digest.clone(),
        of: of.to_owned(),
    }
}

/// That a blob is there and as long as it should be.
fn check(store: &ImageStore, blob: &Descriptor, image: &Image) -> Result<(), ImageError> {
    let of = format!("image {}", image.display_name());
    let file = store.blob(&blob.digest)?;
    let file = file.ok_or_else(|| missing(&blob.digest, &of))?;
    let actual =
        length(&file).map_err(|e| ImageError::io("read", &store.blob_path(&blob.digest), e))?;
    match actual == blob.size {
        true => Ok(()),
        false => Err(ImageError::Size {
            what: format!("the blob {} of {of}", blob.digest),
            expected: blob.size,
            actual,
        }),
    }
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// First, so that whoever reads the archive as a stream knows what it is about.
fn documents(
    tar: &mut TarWriter<'_>,
    items: &[SaveItem],
    format: SaveFormat,
) -> Result<io::Result<()>, ImageError> {
    let json_error = |e: serde_json::Error| ImageError::malformed("a manifest", e.to_string());
    let index = serde_json::to_vec(&index(items)).map_err(json_error)?;
    let entries: Vec<Entry> = items.iter().map(entry).collect();
    let manifest = serde_json::to_vec(&entries).map_err(json_error)?;
    let mut write = || {
        if format != SaveFormat::DockerArchive {
            tar.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
            tar.bytes("index.json", &index)?;
        }
        if format != SaveFormat::OciArchive {
            tar.bytes("manifest.json", &manifest)?;
        }
        Ok(())
    };
    Ok(write())
}

fn folders(tar: &mut TarWriter<'_>, blobs: &[Descriptor]) -> io::Result<()> {
    tar.folder("blobs/")?;
    let mut algorithms: Vec<&str> = blobs
        .iter()
        .map(|blob| blob.digest.algorithm().as_str())
        .collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    for algorithm in algorithms {
        tar.folder(&format!("blobs/{algorithm}/"))?;
    }
    Ok(())
}

/// An entry for each name, and one for an image without.
fn index(items: &[SaveItem]) -> Index {
    let mut manifests = Vec::new();
    for SaveItem { image, names } in items {
        let entry = Descriptor {
            platform: Some(image.config.platform.clone()),
            ..image.manifest.clone()
        };
        if names.is_empty() {
            manifests.push(entry.clone());
        }
        for name in names {
            // The whole name in both: podman and skopeo take the second for one.
            let keys = [CONTAINERD_NAME, REF_NAME];
            let mut named = entry.clone();
            named.annotations = keys
                .map(|key| (key.to_owned(), name.to_string()))
                .into_iter()
                .collect();
            manifests.push(named);
        }
    }
    Index {
        schema_version: 2,
        media_type: Some(media::INDEX.into()),
        manifests,
        annotations: Default::default(),
    }
}

fn entry(item: &SaveItem) -> Entry {
    let document = &item.image.document;
    let tags: Vec<String> = item.names.iter().map(ImageRef::familiar).collect();
    Entry {
        config: path_of(&document.config.digest),
        repo_tags: (!tags.is_empty()).then_some(tags),
        layers: document.layers.iter().map(|l| path_of(&l.digest)).collect(),
    }
}

//! OCI image layouts (image-spec, image-layout.md): from `index.json` to images.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::limits::exceeded;
use super::load::{Load, Planned};
use crate::manifest::MANIFEST_MAX_BYTES;
use crate::{
    Descriptor, Document, ImageError, ImageRef, Index, Kind, Manifest, Platform, parse_document,
};

/// The annotation by which containerd and Docker name an image in full.
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The specification's; some tools write a whole name, others a tag alone.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// How deep indexes may nest.
const DEPTH_MAX: usize = 4;

/// Where the blobs of a layout are.
pub(super) trait Blobs {
    /// Sees to it that a blob is in the store and protected; `false` where it is nowhere.
    fn fetch(&self, load: &Load<'_>, descriptor: &Descriptor) -> Result<bool, ImageError>;
}

#[derive(Deserialize)]
struct LayoutFile {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

/// Reads `oci-layout`.
pub(super) fn check_version(what: &str, bytes: &[u8]) -> Result<(), ImageError> {
    let file: LayoutFile = serde_json::from_slice(bytes)
        .map_err(|e| ImageError::malformed(what, format!("its oci-layout does not parse: {e}")))?;
    let version = file.version;
    match version.starts_with("1.") {
        true => Ok(()),
        false => Err(ImageError::unsupported(
            what,
            format!("its layout has the version {version:?}, this berth knows 1.0.0"),
        )),
    }
}

/// The images of a layout, with the names that they have in it.
pub(super) fn images(
    load: &Load<'_>,
    index: &[u8],
    blobs: &dyn Blobs,
) -> Result<Vec<Planned>, ImageError> {
    let what = format!("index.json of {}", load.what);
    let Document::Index(index) = parse_document(&what, index, None)? else {
        return Err(ImageError::malformed(what, "it is no index"));
    };
    let walk = Walk { load, blobs };
    let mut all: Vec<Planned> = Vec::new();
    for entry in walk.serving(&index)? {
        let Some((manifest, document)) = walk.manifest_of(entry, 0)? else {
            continue;
        };
        let names = name_of(entry)?;
        if let Some(known) = all
            .iter_mut()
            .find(|i| i.manifest.digest == manifest.digest)
        {
            known.names.extend(names);
            continue;
        }
        walk.fetch_all(&manifest, &document)?;
        all.push(Planned {
            manifest: Descriptor::new(&manifest.media_type.0, manifest.digest, manifest.size),
            config: document.config.digest,
            names: names.into_iter().collect(),
        });
        let limit = load.options.limits.images;
        if all.len() > limit {
            return Err(exceeded(load.what, "archive-images", limit));
        }
    }
    Ok(all)
}

/// The name of an entry. A word alone is a tag, of a name that the layout does not tell.
fn name_of(entry: &Descriptor) -> Result<Option<ImageRef>, ImageError> {
    let annotation = |key| entry.annotations.get(key);
    let full = annotation(CONTAINERD_NAME)
        .or_else(|| annotation(REF_NAME).filter(|name| name.contains(['/', ':'])));
    let Some(text) = full else {
        return Ok(None);
    };
    let name: ImageRef = text.parse()?;
    // A digest pins what a registry has; here the name alone counts.
    Ok(match (name.digest(), name.tag()) {
        (None, _) => Some(name),
        (Some(_), Some(tag)) => Some(name.with_tag(tag)),
        (Some(_), None) => None,
    })
}

struct Walk<'a, 'l> {
    load: &'a Load<'l>,
    blobs: &'a dyn Blobs,
}

impl Walk<'_, '_> {
    fn wanted(&self) -> Platform {
        let platform = self.load.options.platform.clone();
        platform.unwrap_or_else(Platform::host)
    }

    /// The entries that are to be loaded: all images, and of those that are there for several
    /// platforms under one name the best.
    fn serving<'i>(&self, index: &'i Index) -> Result<Vec<&'i Descriptor>, ImageError> {
        let all = || {
            index
                .manifests
                .iter()
                .filter(|entry| is_for_somebody(entry))
        };
        let mut groups: BTreeMap<Option<&String>, Vec<&Platform>> = BTreeMap::new();
        for entry in all() {
            let group = groups.entry(written_name(entry)).or_default();
            group.extend(&entry.platform);
        }
        let wanted = self.wanted();
        let score = |offered: &Platform| wanted.match_of(offered).unwrap_or(0);
        let mut chosen = Vec::new();
        for entry in all() {
            let name = written_name(entry);
            let group = groups.get(&name).map(Vec::as_slice).unwrap_or_default();
            // Without a name in common they are different images, unless one was asked for.
            let belong = name.is_some() || self.load.options.platform.is_some();
            let several = belong && group.windows(2).any(|pair| pair.first() != pair.last());
            let best = group.iter().map(|offered| score(offered)).max();
            if several && best == Some(0) {
                return Err(self.no_platform(group.iter().map(ToString::to_string).collect()));
            }
            let own = entry.platform.as_ref().map(score);
            if !several || own.is_none() || own == best {
                chosen.push(entry);
            }
        }
        Ok(chosen)
    }

    fn no_platform(&self, offered: Vec<String>) -> ImageError {
        let wanted = self.wanted();
        ImageError::unsupported(
            self.load.what,
            format!(
                "it has no image for {wanted}; \"--platform\" chooses one of {}",
                offered.join(", ")
            ),
        )
    }

    /// The manifest that an entry leads to; `None` where it is no image.
    fn manifest_of(
        &self,
        entry: &Descriptor,
        depth: usize,
    ) -> Result<Option<(Descriptor, Manifest)>, ImageError> {
        let what = format!("manifest {} of {}", entry.digest, self.load.what);
        if matches!(entry.media_type.kind(), Some(Kind::Config | Kind::Layer(_))) {
            return Ok(None);
        }
        if entry.size > MANIFEST_MAX_BYTES {
            let size = entry.size;
            return Err(ImageError::Limit {
                what,
                why: format!(
                    "its {size} bytes are too long; at most {MANIFEST_MAX_BYTES} are read"
                ),
            });
        }
        self.need(entry)?;
        let bytes = self.load.store.read_small(entry, &what)?;
        match parse_document(&what, &bytes, Some(&entry.media_type))? {
            Document::Manifest(document) => {
                if document.config.media_type.kind() == Some(Kind::Config) {
                    return Ok(Some((entry.clone(), document)));
                }
                let kind = &document.config.media_type;
                let note = format!("{} is left out: it is no image, but {kind}", entry.digest);
                self.load.progress.note(&note);
                Ok(None)
            }
            Document::Index(_) if depth == DEPTH_MAX => {
                Err(ImageError::malformed(what, "indexes nest too deep in it"))
            }
            Document::Index(index) => {
                let chosen = self.choose(&what, &index)?;
                self.manifest_of(&chosen, depth + 1)
            }
        }
    }

    /// The best of what is there: an archive may hold one platform of many.
    fn choose(&self, what: &str, index: &Index) -> Result<Descriptor, ImageError> {
        let mut here = Index {
            manifests: Vec::new(),
            ..index.clone()
        };
        for entry in index
            .manifests
            .iter()
            .filter(|entry| is_for_somebody(entry))
        {
            if entry.size <= MANIFEST_MAX_BYTES && self.blobs.fetch(self.load, entry)? {
                here.manifests.push(entry.clone());
            }
        }
        if let Some(chosen) = here.choose(&self.wanted()) {
            return Ok(chosen.clone());
        }
        match here.manifests.as_slice() {
            [] => Err(ImageError::malformed(
                what,
                "none of its manifests is there",
            )),
            // Without a choice there is nothing to ask.
            [only] if self.load.options.platform.is_none() => Ok(only.clone()),
            _ => Err(self.no_platform(here.platforms())),
        }
    }

    fn fetch_all(&self, manifest: &Descriptor, document: &Manifest) -> Result<(), ImageError> {
        self.need(&document.config)?;
        for layer in &document.layers {
            let what = || format!("layer {} of {}", layer.digest, self.load.what);
            if !matches!(layer.media_type.kind(), Some(Kind::Layer(_))) {
                let why = format!("its media type is {}, which is no layer", layer.media_type);
                return Err(ImageError::unsupported(what(), why));
            }
            let limit = self.load.options.limits.blob_bytes;
            if layer.size > limit {
                return Err(exceeded(&what(), "archive-blob-bytes", limit));
            }
            self.need(layer)?;
        }
        debug_assert!(self.load.store.has_blob(&manifest.digest));
        Ok(())
    }

    fn need(&self, descriptor: &Descriptor) -> Result<(), ImageError> {
        match self.blobs.fetch(self.load, descriptor)? {
            true => Ok(()),
            false => Err(ImageError::malformed(
                self.load.what,
                format!("the blob {} that it needs is not in it", descriptor.digest),
            )),
        }
    }
}

/// What an entry says that it is called.
fn written_name(entry: &Descriptor) -> Option<&String> {
    let annotation = |key| entry.annotations.get(key);
    annotation(CONTAINERD_NAME).or_else(|| annotation(REF_NAME))
}

/// Attestations have the platform `unknown/unknown`.
fn is_for_somebody(entry: &Descriptor) -> bool {
    entry.platform.as_ref().is_none_or(|p| p.os != "unknown")
}

//! Images as the store knows them.

use std::collections::BTreeMap;

use berth_base::Digest;

use super::index::{NAME, REPO_DIGESTS};
use super::{ImageStore, chain_ids};
use crate::config::ImageConfig;
use crate::manifest::{Descriptor, Document, Manifest, media, parse_document};
use crate::{ImageError, ImageRef};

/// The fewest digits of an id that are taken for one.
const ID_MIN: usize = 4;

/// One image, read and verified.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its configuration, as Docker counts.
    pub id: Digest,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The manifest's content.
    pub document: Manifest,
    /// Its configuration.
    pub config: ImageConfig,
    /// Its layers, the lowest first.
    pub layers: Vec<ImageLayer>,
    /// Its names.
    pub references: Vec<ImageRef>,
    /// `NAME@DIGEST` by which registries know it.
    pub repo_digests: Vec<ImageRef>,
}

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayer {
    /// The blob.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed content.
    pub diff_id: Digest,
    /// The digest of it and of all below it.
    pub chain_id: Digest,
}

/// An entry of the index, sound or not.
#[derive(Debug)]
pub struct Listed {
    /// Its manifest.
    pub manifest: Descriptor,
    /// Its names.
    pub references: Vec<ImageRef>,
    /// The image, or why it cannot be read.
    pub image: Result<Image, ImageError>,
}

impl Image {
    /// How messages call it: its first name, else its short id.
    pub fn display_name(&self) -> String {
        match self.references.first() {
            Some(name) => name.familiar(),
            None => self.id.short().to_owned(),
        }
    }

    /// Bytes of all its blobs.
    pub fn blob_bytes(&self) -> u64 {
        let layers = self.document.layers.iter().map(|layer| layer.size);
        layers.sum::<u64>() + self.document.config.size + self.manifest.size
    }
}

impl ImageStore {
    /// All images, by manifest, the damaged ones among them.
    pub fn images(&self) -> Result<Vec<Listed>, ImageError> {
        let mut order: Vec<Descriptor> = Vec::new();
        let mut names: BTreeMap<Digest, Vec<ImageRef>> = BTreeMap::new();
        for entry in self.read_index()?.manifests {
            let references = names.entry(entry.digest.clone()).or_default();
            let name = entry.annotations.get(NAME);
            references.extend(name.and_then(|name| name.parse::<ImageRef>().ok()));
            if !order.iter().any(|d| d.digest == entry.digest) {
                order.push(entry);
            }
        }
        Ok(order
            .into_iter()
            .map(|manifest| {
                let mut references = names.remove(&manifest.digest).unwrap_or_default();
                references.sort();
                let image = self.read_image(&manifest, &references);
                Listed {
                    manifest,
                    references,
                    image,
                }
            })
            .collect())
    }

    /// Finds an image by name, by id (with or without `sha256:`), by the beginning of an id, or by
    /// `NAME@DIGEST`. A name wins over an id.
    pub fn resolve(&self, text: &str) -> Result<Image, ImageError> {
        let index = self.read_index()?;
        let parsed = text.parse::<ImageRef>();
        if let Ok(reference) = &parsed
            && let Some(entry) = find_reference(&index.manifests, reference)
        {
            let references = names_of(&index.manifests, &entry.digest);
            return self.read_image(entry, &references);
        }
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let is_id = (ID_MIN..=64).contains(&digits.len())
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_id {
            return match parsed {
                Ok(reference) => Err(ImageError::NoImage(reference.familiar())),
                Err(invalid) => Err(invalid.into()),
            };
        }
        let mut found: Vec<Image> = Vec::new();
        for listed in self.images()? {
            if let Ok(image) = listed.image
                && (image.id.hex().starts_with(digits) || image.manifest.digest.hex() == digits)
            {
                found.push(image);
            }
        }
        if found.len() > 1
            && !found
                .iter()
                .all(|i| Some(&i.id) == found.first().map(|f| &f.id))
        {
            return Err(ImageError::Ambiguous {
                id: text.to_owned(),
                matches: found.iter().map(|i| i.id.short().to_owned()).collect(),
            });
        }
        let first = found.into_iter().next();
        first.ok_or_else(|| match parsed {
            Ok(reference) => ImageError::NoImage(reference.familiar()),
            Err(_) => ImageError::NoImage(text.to_owned()),
        })
    }

    /// Reads an image by the digest of its manifest, whether or not it has a name still.
    pub fn by_manifest(&self, manifest: &Digest) -> Result<Image, ImageError> {
        let index = self.read_index()?;
        let references = names_of(&index.manifests, manifest);
        let entry = index.manifests.iter().find(|d| d.digest == *manifest);
        if let Some(entry) = entry {
            return self.read_image(entry, &references);
        }
        let path = self.blob_path(manifest);
        let length = std::fs::metadata(&path).map_err(|_| ImageError::MissingBlob {
            digest: manifest.clone(),
            of: "an image that was removed".into(),
        })?;
        let descriptor = Descriptor::new(media::MANIFEST, manifest.clone(), length.len());
        // Docker's manifests have another media type, which they say themselves.
        let kind = self.read_small(&descriptor, "an image")?;
        let said = serde_json::from_slice::<Manifest>(&kind).ok();
        let said = said.and_then(|manifest| manifest.media_type);
        let media_type = said.unwrap_or(descriptor.media_type);
        let descriptor = Descriptor {
            media_type,
            ..Descriptor::new("", manifest.clone(), length.len())
        };
        self.read_image(&descriptor, &[])
    }

    /// Reads an image by its manifest.
    pub fn read_image(
        &self,
        manifest: &Descriptor,
        references: &[ImageRef],
    ) -> Result<Image, ImageError> {
        let name = references
            .first()
            .map_or_else(|| manifest.digest.to_string(), ImageRef::familiar);
        let what = format!("image {name}");
        let bytes = self.read_small(manifest, &what)?;
        let document = match parse_document(&what, &bytes, Some(&manifest.media_type))? {
            Document::Manifest(document) => document,
            Document::Index(_) => {
                return Err(ImageError::unsupported(
                    what,
                    "its entry is an index of several platforms; pull it again to choose one",
                ));
            }
        };
        let config = self.read_small(&document.config, &what)?;
        let config = ImageConfig::parse(&what, &config)?;
        if config.rootfs.diff_ids.len() != document.layers.len() {
            return Err(ImageError::malformed(
                what,
                format!(
                    "its manifest has {} layers, its configuration {}",
                    document.layers.len(),
                    config.rootfs.diff_ids.len()
                ),
            ));
        }
        let chains = chain_ids(&config.rootfs.diff_ids);
        let layers = document
            .layers
            .iter()
            .zip(&config.rootfs.diff_ids)
            .zip(chains)
            .map(|((descriptor, diff_id), chain_id)| ImageLayer {
                descriptor: descriptor.clone(),
                diff_id: diff_id.clone(),
                chain_id,
            })
            .collect();
        let repo_digests = manifest
            .annotations
            .get(REPO_DIGESTS)
            .map(|list| list.split(' ').filter_map(|r| r.parse().ok()).collect())
            .unwrap_or_default();
        Ok(Image {
            id: document.config.digest.clone(),
            manifest: Descriptor {
                annotations: BTreeMap::new(),
                ..manifest.clone()
            },
            document,
            config,
            layers,
            references: references.to_vec(),
            repo_digests,
        })
    }
}

/// The entry that a reference means: by its name, or by the digest it was fetched by.
fn find_reference<'a>(entries: &'a [Descriptor], wanted: &ImageRef) -> Option<&'a Descriptor> {
    let full = wanted.to_string();
    let by_name = |d: &&Descriptor| d.annotations.get(NAME).is_some_and(|n| *n == full);
    if let Some(found) = entries.iter().find(by_name) {
        return Some(found);
    }
    let digest = wanted.digest()?;
    let pinned = wanted.with_digest(digest.clone()).to_string();
    entries.iter().find(|d| {
        let listed = d.annotations.get(REPO_DIGESTS);
        let fetched = listed.is_some_and(|list| list.split(' ').any(|r| r == pinned));
        let named = d
            .annotations
            .get(NAME)
            .and_then(|n| n.parse::<ImageRef>().ok());
        fetched || (d.digest == *digest && named.is_some_and(|n| n.name() == wanted.name()))
    })
}

fn names_of(entries: &[Descriptor], manifest: &Digest) -> Vec<ImageRef> {
    let same = entries.iter().filter(|d| d.digest == *manifest);
    let mut names: Vec<ImageRef> = same
        .filter_map(|d| d.annotations.get(NAME)?.parse().ok())
        .collect();
    names.sort();
    names
}

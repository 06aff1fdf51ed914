//! `index.json`: which names mean which manifests.

use std::io;

use berth_base::Digest;
use berth_persist::Durability;

use super::lock::{Access, StoreLock};
use super::{ImageStore, Lease};
use crate::manifest::{Descriptor, Index, media};
use crate::{ImageError, ImageRef};

/// The annotation that names a manifest (image-spec, annotations.md).
pub(super) const NAME: &str = "org.opencontainers.image.ref.name";
/// Digests that the image was pulled by, or pushed as: `NAME@DIGEST`, separated by spaces.
pub(super) const REPO_DIGESTS: &str = "io.berth.repo-digests";

impl ImageStore {
    /// Reads the index; an empty one where there is no store.
    pub(super) fn read_index(&self) -> Result<Index, ImageError> {
        if !self.exists()? {
            return Ok(empty());
        }
        let path = self.layout().join("index.json");
        let bytes = match berth_persist::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(empty()),
            Err(e) => return Err(ImageError::io("read", &path, e)),
        };
        serde_json::from_slice(&bytes).map_err(|e| {
            ImageError::malformed(
                path.display().to_string(),
                format!(
                    "it is damaged ({e}); \"berth system restore\" makes it anew from the blobs"
                ),
            )
        })
    }

    /// Replaces the index.
    pub(super) fn write_index(&self, lock: &StoreLock, index: &Index) -> Result<(), ImageError> {
        debug_assert_eq!(lock.access(), Access::Change);
        let bytes = serde_json::to_vec(index)
            .map_err(|e| ImageError::malformed("index.json", e.to_string()))?;
        let layout = self.layout();
        // Blobs that somebody else put there may have been found before they were synced: who did
        // may have died in between.
        for algorithm in ["sha256", "sha512"] {
            let dir = layout.join("blobs").join(algorithm);
            if dir.is_dir() {
                super::sync_dir("image.index.blobs-sync", &dir)?;
            }
        }
        berth_persist::replace(
            "image.index.write",
            &layout,
            "index.json",
            &bytes,
            Durability::Power,
        )?;
        Ok(())
    }

    /// Gives a manifest a name, or none; the name is taken from what it meant before, which stays
    /// as an image without a name unless it has others. Answers the digest of that manifest.
    ///
    /// `repo_digest`: the digest by which a registry knows it.
    pub fn tag(
        &self,
        _lease: &Lease,
        name: Option<&ImageRef>,
        manifest: &Descriptor,
        repo_digest: Option<(&ImageRef, &Digest)>,
    ) -> Result<Option<Digest>, ImageError> {
        let lock = self.lock(Access::Change)?;
        let mut index = self.read_index()?;
        let before = index.clone();
        let repo = repo_digest.map(|(of, digest)| of.with_digest(digest.clone()).to_string());
        let entry = Descriptor {
            annotations: super::index::annotations(name, repo.as_deref(), &index, &manifest.digest),
            platform: None,
            urls: Vec::new(),
            ..manifest.clone()
        };
        let meant = name.and_then(|name| take_name(&mut index, &name.to_string()));
        let old = meant.filter(|old| old.digest != manifest.digest);
        if let Some(old) = &old
            && !index.manifests.iter().any(|d| d.digest == old.digest)
        {
            let mut nameless = old.clone();
            nameless.annotations.remove(NAME);
            index.manifests.push(nameless);
        }
        // A nameless entry of the same image has done its work.
        if name.is_some() {
            index
                .manifests
                .retain(|d| d.digest != manifest.digest || d.annotations.contains_key(NAME));
            index.manifests.push(entry);
        } else if let Some(known) = index
            .manifests
            .iter_mut()
            .find(|d| d.digest == manifest.digest)
        {
            known.annotations.extend(
                entry
                    .annotations
                    .into_iter()
                    .filter(|(key, _)| key == REPO_DIGESTS),
            );
        } else {
            index.manifests.push(entry);
        }
        share_repo_digests(&mut index, &manifest.digest);
        if index != before {
            self.write_index(&lock, &index)?;
        }
        Ok(old.map(|old| old.digest))
    }

    /// Takes a name away. The manifest stays, without a name if that was its last; `false` where
    /// nothing had the name.
    pub fn untag(&self, name: &ImageRef) -> Result<bool, ImageError> {
        let lock = self.lock(Access::Change)?;
        let mut index = self.read_index()?;
        let Some(mut old) = take_name(&mut index, &name.to_string()) else {
            return Ok(false);
        };
        if !index.manifests.iter().any(|d| d.digest == old.digest) {
            old.annotations.remove(NAME);
            index.manifests.push(old);
        }
        self.write_index(&lock, &index)?;
        Ok(true)
    }

    /// Takes an image out of the index with all its names. What it was made of stays until the next
    /// collection. `false` where it was not there.
    pub fn forget(&self, manifest: &Digest) -> Result<bool, ImageError> {
        let lock = self.lock(Access::Change)?;
        let mut index = self.read_index()?;
        let count = index.manifests.len();
        index.manifests.retain(|d| d.digest != *manifest);
        if index.manifests.len() == count {
            return Ok(false);
        }
        self.write_index(&lock, &index)?;
        Ok(true)
    }
}

fn empty() -> Index {
    Index {
        schema_version: 2,
        media_type: Some(media::INDEX.into()),
        manifests: Vec::new(),
        annotations: std::collections::BTreeMap::default(),
    }
}

/// Takes the entry of a name out.
fn take_name(index: &mut Index, name: &str) -> Option<Descriptor> {
    let at = index
        .manifests
        .iter()
        .position(|d| d.annotations.get(NAME).is_some_and(|n| n == name))?;
    Some(index.manifests.remove(at))
}

/// The annotations of an entry: its name, and all the digests by which it was ever fetched.
fn annotations(
    name: Option<&ImageRef>,
    repo: Option<&str>,
    index: &Index,
    manifest: &Digest,
) -> std::collections::BTreeMap<String, String> {
    let mut all = std::collections::BTreeMap::new();
    if let Some(name) = name {
        all.insert(NAME.to_owned(), name.to_string());
    }
    let same = index.manifests.iter().filter(|d| d.digest == *manifest);
    let known = same.filter_map(|d| d.annotations.get(REPO_DIGESTS));
    let mut digests: Vec<&str> = known.flat_map(|list| list.split(' ')).chain(repo).collect();
    digests.sort_unstable();
    digests.dedup();
    if !digests.is_empty() {
        all.insert(REPO_DIGESTS.to_owned(), digests.join(" "));
    }
    all
}

/// Writes the same digests to all names of an image, so that taking one away loses none.
fn share_repo_digests(index: &mut Index, manifest: &Digest) {
    let shared = annotations(None, None, index, manifest);
    let Some(digests) = shared.get(REPO_DIGESTS) else {
        return;
    };
    for entry in index.manifests.iter_mut().filter(|d| d.digest == *manifest) {
        entry
            .annotations
            .insert(REPO_DIGESTS.to_owned(), digests.clone());
    }
}

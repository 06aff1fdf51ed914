//! Pulling into the store and pushing out of it.

use std::thread;

use berth_base::Digest;

use super::client::Client;
use super::manifest::PlatformChoice;
use super::pull::{Arriving, Contents, pull};
use super::push::push;
use super::sink::Leased;
use crate::store::{Image, LayerSet, UnpackHow};
use crate::{ImageError, ImageRef, ImageStore, Progress};

/// An image that was pulled, with its name.
#[derive(Clone, Debug)]
pub struct PulledImage {
    /// The image as the store has it.
    pub image: Image,
    /// What the reference means at the registry: the manifest or an index.
    pub repo_digest: Digest,
    /// Whether anything had to be fetched, or the name meant something else before.
    pub is_new: bool,
    /// The manifest that had the name before.
    pub replaced: Option<Digest>,
}

impl ImageStore {
    /// Pulls an image: blobs in parallel, each layer unpacked by `how` while others are under way,
    /// and the name given when all of it is there. A failure leaves what was fetched for the next
    /// try, and the name as it was.
    pub fn pull(
        &self,
        client: &Client,
        reference: &ImageRef,
        choice: &PlatformChoice,
        how: &dyn UnpackHow,
        progress: &dyn Progress,
    ) -> Result<PulledImage, ImageError> {
        let lease = self.lease()?;
        let leased = Leased {
            store: self,
            lease: &lease,
            progress,
        };
        let unpack = |contents: &Contents, layers: &Arriving<'_>| {
            let set = LayerSet::begin(self, &lease, &contents.layers, how, progress)?;
            unpack_all(&set, layers, client.tuning().unpackers)?;
            if layers.all_came() {
                set.finish()?;
            }
            Ok(())
        };
        let pulled = pull(client, reference, choice, &leased, progress, &unpack)?;
        // A name with a digest is pinned: only the tag is a name that can change.
        let name = reference.tag().map(|tag| reference.with_tag(tag));
        let known_as = Some((reference, &pulled.repo_digest));
        let replaced = self.tag(&lease, name.as_ref(), &pulled.manifest, known_as)?;
        Ok(PulledImage {
            image: self.by_manifest(&pulled.manifest.digest)?,
            is_new: pulled.is_new || replaced.is_some(),
            repo_digest: pulled.repo_digest,
            replaced,
        })
    }

    /// Pushes an image under a name; other names that it has at the same registry spare uploads.
    /// Answers the manifest's digest.
    pub fn push(
        &self,
        client: &Client,
        reference: &ImageRef,
        progress: &dyn Progress,
    ) -> Result<Digest, ImageError> {
        let image = self.resolve(&reference.to_string())?;
        let lease = self.lease()?;
        lease.protect(&image.manifest.digest)?;
        lease.protect(&image.id)?;
        for layer in &image.layers {
            lease.protect(&layer.descriptor.digest)?;
        }
        let leased = Leased {
            store: self,
            lease: &lease,
            progress,
        };
        let mut relatives = image.references.clone();
        relatives.extend(image.repo_digests.iter().cloned());
        let manifest = &image.manifest;
        let digest = push(client, reference, manifest, &leased, &relatives, progress)?;
        self.tag(
            &lease,
            Some(reference),
            manifest,
            Some((reference, &digest)),
        )?;
        Ok(digest)
    }
}

fn unpack_all(set: &LayerSet<'_>, layers: &Arriving<'_>, threads: usize) -> Result<(), ImageError> {
    thread::scope(|scope| {
        let work = || -> Result<(), ImageError> {
            while let Some(index) = layers.next() {
                set.unpack(index).inspect_err(|_| layers.stop())?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut result = Ok(());
        for worker in workers {
            let done = worker.join().unwrap_or_else(|_| {
                let why = "its unpacking panicked; this is a defect of berth";
                Err(ImageError::malformed("a layer", why))
            });
            result = result.and(done);
        }
        result
    })
}

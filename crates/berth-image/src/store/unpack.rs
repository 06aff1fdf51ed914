//! All layers of an image, on their way into the store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use berth_base::Digest;
use serde::{Deserialize, Serialize};

use super::content::blobs_of;
use super::early::Early;
use super::{Image, ImageLayer, ImageStore, LayerBuilder, LayerMeta, LayerSlot, Lease};
use crate::ImageError;
use crate::layer::Unpacked;
use crate::progress::{Progress, Stage};

/// One layer to be unpacked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnpackJob {
    /// What messages call it: `layer sha256:...`.
    pub what: String,
    /// The blob.
    pub blob: PathBuf,
    /// The folder, empty.
    pub tree: PathBuf,
    /// The layers below, the topmost first; there when the job is settled, not before.
    pub lowers: Vec<PathBuf>,
    /// The digest of the uncompressed blob, where it was verified a moment ago: a blob that is not
    /// compressed has one digest, and need not be hashed again.
    #[serde(default)]
    pub verified: Option<Digest>,
}

/// Who unpacks: this process, or another one with the right ids.
pub trait UnpackHow: Sync {
    /// Unpacks a blob into its folder; called from several threads.
    fn unpack(&self, job: &UnpackJob) -> Result<Unpacked, ImageError>;
    /// The digest of a blob's content, which is not unpacked.
    fn content(&self, job: &UnpackJob) -> Result<Digest, ImageError>;
    /// Completes the folder by what only the layers below can tell.
    fn settle(&self, job: &UnpackJob, unpacked: &Unpacked) -> Result<(), ImageError>;
}

/// The layers of one image that are not in the store yet, each locked and ours to unpack.
///
/// They are locked from the lowest up. What two images share is always the lower part of both, so
/// no two commands can wait for each other.
pub struct LayerSet<'a> {
    store: &'a ImageStore,
    how: &'a dyn UnpackHow,
    progress: &'a dyn Progress,
    early: Option<&'a Early<'a>>,
    layers: Vec<Layer>,
}

struct Layer {
    layer: ImageLayer,
    parent: Option<Digest>,
    job: UnpackJob,
    /// `None` where it was there already.
    building: Mutex<Option<(LayerBuilder, Option<Unpacked>)>>,
}

impl Layer {
    fn is_missing(&self) -> bool {
        locked(&self.building).is_some()
    }

    fn expect(&self, content: &Digest) -> Result<(), ImageError> {
        if *content == self.layer.diff_id {
            return Ok(());
        }
        Err(ImageError::Digest {
            what: format!("the content of {}", self.job.what),
            expected: self.layer.diff_id.clone(),
            actual: content.clone(),
        })
    }
}

impl<'a> LayerSet<'a> {
    /// Locks what is missing of an image's layers; waits while others unpack them.
    pub fn begin(
        store: &'a ImageStore,
        lease: &Lease,
        layers: &[ImageLayer],
        how: &'a dyn UnpackHow,
        progress: &'a dyn Progress,
    ) -> Result<Self, ImageError> {
        let mut all: Vec<Layer> = Vec::with_capacity(layers.len());
        let mut lowers: Vec<PathBuf> = Vec::new();
        for layer in layers {
            let item = layer.descriptor.digest.short();
            let waiting = || progress.begin(item, Stage::Waiting, 0, None);
            let slot = store.begin_layer(lease, &layer.chain_id, waiting)?;
            let parent = all.last().map(|below| below.layer.chain_id.clone());
            let fs = store.layer_fs(&layer.chain_id);
            let (tree, building) = match slot {
                LayerSlot::Present => (fs.clone(), None),
                LayerSlot::Building(builder) => (builder.tree_path(), Some((builder, None))),
            };
            all.push(Layer {
                layer: layer.clone(),
                parent,
                job: UnpackJob {
                    what: format!("layer {}", layer.descriptor.digest),
                    blob: store.blob_path(&layer.descriptor.digest),
                    tree,
                    lowers: lowers.clone(),
                    verified: None,
                },
                building: Mutex::new(building),
            });
            lowers.insert(0, fs);
        }
        Ok(Self {
            store,
            how,
            progress,
            early: None,
            layers: all,
        })
    }

    /// Says which blobs have just been written, and verified thereby.
    #[must_use]
    pub fn just_written(mut self, written: &dyn Fn(&Digest) -> bool) -> Self {
        for layer in &mut self.layers {
            let digest = &layer.layer.descriptor.digest;
            let known = *digest == layer.layer.diff_id && written(digest);
            layer.job.verified = known.then(|| digest.clone());
        }
        self
    }

    /// Takes what has been unpacked before.
    #[must_use]
    pub(crate) const fn with_early(mut self, early: Option<&'a Early<'a>>) -> Self {
        self.early = early;
        self
    }

    /// The positions of layers that are missing, or come from another blob, from the lowest up.
    fn due(&self) -> Vec<usize> {
        let layers = self.layers.iter().enumerate();
        layers
            .filter(|(_, layer)| layer.is_missing() || !self.store.is_compared(&layer.layer))
            .map(|(at, _)| at)
            .collect()
    }

    /// Unpacks the layer at a position, whose blob must be in the store by now; where it is there
    /// already, only the blob is compared. Can be called for several layers at a time, in any order.
    pub fn unpack(&self, at: usize) -> Result<(), ImageError> {
        let Some(layer) = self.layers.get(at) else {
            return Ok(());
        };
        if !layer.is_missing() {
            return self.compare(layer);
        }
        let descriptor = &layer.layer.descriptor;
        let item = descriptor.digest.short();
        if !self.store.has_blob(&descriptor.digest) {
            return Err(ImageError::MissingBlob {
                digest: descriptor.digest.clone(),
                of: "a layer".into(),
            });
        }
        let early = |early: &Early<'_>| early.take(&descriptor.digest, &layer.job.tree);
        let unpacked = match self.early.and_then(early) {
            Some(unpacked) => unpacked,
            None => {
                self.progress
                    .begin(item, Stage::Unpacking, 0, Some(descriptor.size));
                self.how.unpack(&layer.job)?
            }
        };
        layer.expect(&unpacked.diff_id)?;
        for note in &unpacked.notes {
            self.progress.note(note);
        }
        self.progress.advance(item, descriptor.size);
        self.progress.end(item, "done");
        if let Some((_, done)) = locked(&layer.building).as_mut() {
            *done = Some(unpacked);
        }
        Ok(())
    }

    /// Compares the blob of a layer that was unpacked before, perhaps from another one.
    fn compare(&self, layer: &Layer) -> Result<(), ImageError> {
        if self.store.is_compared(&layer.layer) {
            return Ok(());
        }
        let descriptor = &layer.layer.descriptor;
        let early = |early: &Early<'_>| early.content(&descriptor.digest);
        let content = match self.early.and_then(early) {
            Some(content) => content,
            None => {
                let item = descriptor.digest.short();
                self.progress
                    .begin(item, Stage::Comparing, 0, Some(descriptor.size));
                let content = self.how.content(&layer.job)?;
                self.progress.end(item, "already here");
                content
            }
        };
        layer.expect(&content)?;
        self.store.note_compared(&layer.layer)
    }

    /// Unpacks all that is missing, on as many threads as there are processors.
    pub fn unpack_all(&self) -> Result<(), ImageError> {
        let due = self.due();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = threads.clamp(1, 8).min(due.len());
        if threads <= 1 {
            return due.into_iter().try_for_each(|at| self.unpack(at));
        }
        let queue = Mutex::new(due.into_iter());
        let next = || locked(&queue).next();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| -> Result<(), ImageError> {
                        while let Some(at) = next() {
                            self.unpack(at)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            let mut result = Ok(());
            for worker in workers {
                let done = worker.join().unwrap_or_else(|_| {
                    Err(ImageError::malformed(
                        "a layer",
                        "its unpacking panicked; this is a defect of berth",
                    ))
                });
                result = result.and(done);
            }
            result
        })
    }

    /// Completes the layers from the lowest up and makes them visible.
    pub fn finish(self) -> Result<(), ImageError> {
        for layer in self.layers {
            let building = layer
                .building
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let Some((builder, unpacked)) = building else {
                continue;
            };
            let unpacked = unpacked.ok_or_else(|| {
                ImageError::malformed(layer.job.what.clone(), "it was not unpacked")
            })?;
            self.how.settle(&layer.job, &unpacked)?;
            builder.publish(LayerMeta {
                blobs: blobs_of(&layer.layer),
                diff_id: layer.layer.diff_id,
                parent: layer.parent,
                bytes: unpacked.bytes,
                unsynced_in_boot: None,
            })?;
        }
        Ok(())
    }
}

impl ImageStore {
    /// Unpacks what is missing of an image's layers.
    pub fn unpack_image(
        &self,
        image: &Image,
        how: &dyn UnpackHow,
        progress: &dyn Progress,
    ) -> Result<(), ImageError> {
        if image.layers.iter().all(|l| self.has_layer(&l.chain_id)) {
            return Ok(());
        }
        let lease = self.lease()?;
        for layer in &image.layers {
            lease.protect(&layer.descriptor.digest)?;
        }
        let set = LayerSet::begin(self, &lease, &image.layers, how, progress)?;
        set.unpack_all()?;
        set.finish()
    }

    /// Unpacks what is missing of an image that has no name yet; the lease protects its blobs, of
    /// which some were `written` just now.
    pub(crate) fn unpack_new_image(
        &self,
        lease: &Lease,
        image: &Image,
        written: &dyn Fn(&Digest) -> bool,
        early: Option<&Early<'_>>,
        how: &dyn UnpackHow,
        progress: &dyn Progress,
    ) -> Result<(), ImageError> {
        let set = LayerSet::begin(self, lease, &image.layers, how, progress)?;
        let set = set.just_written(written).with_early(early);
        set.unpack_all()?;
        set.finish()
    }
}

/// Unpacks in this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnpackHere {
    /// Limits, and what to do with devices and owners.
    pub options: crate::layer::UnpackOptions,
}

impl UnpackHere {
    fn tar(&self, job: &UnpackJob) -> Result<crate::layer::Decompressor<File>, ImageError> {
        let blob = berth_persist::open(&job.blob);
        let blob = blob.map_err(|e| ImageError::io("open", &job.blob, e))?;
        crate::layer::decompress(blob, self.options.limits.layer_bytes)
            .map_err(|e| e.of(job.what.clone()))
    }
}

fn open(path: &Path) -> Result<File, ImageError> {
    berth_persist::open_folder(path).map_err(|e| ImageError::io("open", path, e))
}

impl UnpackHow for UnpackHere {
    fn unpack(&self, job: &UnpackJob) -> Result<Unpacked, ImageError> {
        let tree = open(&job.tree)?;
        let named = |e: crate::layer::LayerError| e.of(job.what.clone());
        let tar = self.tar(job)?;
        use std::os::fd::AsFd;
        let plain = tar.compression() == crate::Compression::None;
        let (into, options) = (tree.as_fd(), &self.options);
        let unpacked = match job.verified.as_ref().filter(|_| plain) {
            Some(diff_id) => crate::layer::unpack_verified(tar, into, options, diff_id),
            None => crate::layer::unpack(tar, into, options),
        };
        unpacked.map_err(named)
    }

    fn content(&self, job: &UnpackJob) -> Result<Digest, ImageError> {
        crate::layer::content(self.tar(job)?, &self.options.limits)
            .map_err(|e| e.of(job.what.clone()))
    }

    fn settle(&self, job: &UnpackJob, unpacked: &Unpacked) -> Result<(), ImageError> {
        use std::os::fd::AsFd;
        if is_settled(unpacked) {
            return Ok(());
        }
        let lowers = job.lowers.iter().map(|path| open(path).map(Into::into));
        let lowers: Vec<std::os::fd::OwnedFd> = lowers.collect::<Result<_, _>>()?;
        let stack = crate::layer::merged::Stack::new(lowers, self.options.xattrs)
            .map_err(|e| ImageError::io("read", &job.tree, e))?;
        let tree = open(&job.tree)?;
        crate::layer::settle(tree.as_fd(), unpacked, &stack, &self.options)
            .map_err(|e| e.of(job.what.clone()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Whether a layer says all of itself, so that nothing of the layers below is needed.
pub fn is_settled(unpacked: &Unpacked) -> bool {
    unpacked.implied.is_empty() && unpacked.pending_links.is_empty() && !unpacked.opaque_root
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::Hasher;

    /// The tar of an empty layer, and the same packed.
    fn blobs() -> [Vec<u8>; 2] {
        let plain = vec![0; 1024];
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&plain).unwrap();
        [plain, packed.finish().unwrap()]
    }

    fn unpack(blob: &[u8], verified: Option<Digest>) -> Digest {
        let folder = tempfile::tempdir().unwrap();
        let job = UnpackJob {
            what: "layer".to_owned(),
            blob: folder.path().join("blob"),
            verified,
            tree: folder.path().join("tree"),
            lowers: Vec::new(),
        };
        std::fs::write(&job.blob, blob).unwrap();
        std::fs::create_dir(&job.tree).unwrap();
        UnpackHere::default().unpack(&job).unwrap().diff_id
    }

    #[test]
    fn only_what_is_not_compressed_was_verified_as_a_blob() {
        let [plain, packed] = blobs();
        let truth = Hasher::sha256(&plain);
        let claimed = Hasher::sha256(b"claimed");
        assert_eq!(unpack(&plain, Some(claimed.clone())), claimed);
        assert_eq!(unpack(&packed, Some(claimed)), truth);
        assert_eq!(unpack(&plain, None), truth);
    }
}

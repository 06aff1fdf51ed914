//! Unpacked layers: one folder for each chain id.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use berth_base::Digest;
use berth_persist::{At, Durability, Op, Replace, perform, remove_tree};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::lock::{self, Access};
use super::{ImageStore, Lease, entries};
use crate::{Hasher, ImageError};

/// `layer.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerMeta {
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The chain below it; none for the lowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Digest>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Compressed blobs that are known to hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<Digest>,
    /// The boot in which it was unpacked, until everything of it is known to be on disk. A layer
    /// that says another boot than the present one may have lost anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsynced_in_boot: Option<String>,
}

/// What becomes of the wish to unpack a layer.
#[derive(Debug)]
pub enum LayerSlot {
    /// It is there already.
    Present,
    /// It is the caller's to unpack.
    Building(LayerBuilder),
}

/// A layer that is being unpacked, out of sight. Dropped, it is removed.
#[derive(Debug)]
pub struct LayerBuilder {
    store: ImageStore,
    chain: Digest,
    /// Held for the lock.
    _lock: File,
    lock_path: PathBuf,
    hidden: PathBuf,
    tree: File,
    published: bool,
}

/// A layer that a loss of power may damage.
#[derive(Debug)]
pub(super) struct Unsynced {
    path: PathBuf,
    /// Held open: which folder it is, whatever takes its path.
    folder: File,
}

/// The chain ids of a stack of layers, the lowest first (image-spec, config.md, "Layer ChainID").
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let chain = match chains.last() {
            None => diff_id.clone(),
            Some(below) => Hasher::sha256(format!("{below} {diff_id}").as_bytes()),
        };
        chains.push(chain);
    }
    chains
}

impl ImageStore {
    pub(super) fn layer_dir(&self, chain: &Digest) -> PathBuf {
        self.layers_dir().join(chain.hex())
    }

    /// The folder that overlayfs stacks.
    pub fn layer_fs(&self, chain: &Digest) -> PathBuf {
        self.layer_dir(chain).join("fs")
    }

    /// Whether a layer is unpacked. [`Self::sweep`] has removed those that a crash of the host may
    /// have damaged.
    pub fn has_layer(&self, chain: &Digest) -> bool {
        self.layer_fs(chain).is_dir()
    }

    /// What is known of an unpacked layer.
    pub fn layer_meta(&self, chain: &Digest) -> Result<Option<LayerMeta>, ImageError> {
        read_meta(&self.layer_dir(chain))
    }

    /// Begins to unpack a layer; waits while somebody else does, after calling `waiting`. The lease
    /// protects it from here on.
    pub fn begin_layer(
        &self,
        lease: &Lease,
        chain: &Digest,
        waiting: impl FnMut(),
    ) -> Result<LayerSlot, ImageError> {
        lease.protect(chain)?;
        if self.has_layer(chain) {
            return Ok(LayerSlot::Present);
        }
        let lock_path = self.ingest_dir().join(format!("layer-{}", chain.hex()));
        let lock = lock::lock_at(&lock_path, waiting)?;
        if self.has_layer(chain) {
            drop(perform(
                "image.layer.unlock",
                Op::Unlink(At::path(&lock_path)),
            ));
            return Ok(LayerSlot::Present);
        }
        let hidden = self.layers_dir().join(format!(".tmp-{}", chain.hex()));
        // With the lock ours, whoever left that is gone.
        remove_tree("image.layer.clear", At::path(&hidden))
            .map_err(|e| ImageError::io("remove", &hidden, e))?;
        let tree_path = hidden.join("fs");
        let make = |path: &Path, mode| {
            let made = perform("image.layer.make", Op::MakeDir(At::path(path), mode));
            made.map_err(|e| ImageError::io("make", path, e))
        };
        // Layers can be unpacked again, so that whoever needs room may remove their folder.
        super::make_dirs(&self.layers_dir())?;
        make(&hidden, 0o711)?;
        make(&tree_path, 0o755)?;
        let tree = File::open(&tree_path).map_err(|e| ImageError::io("open", &tree_path, e))?;
        Ok(LayerSlot::Building(LayerBuilder {
            store: self.clone(),
            chain: chain.clone(),
            _lock: lock,
            lock_path,
            hidden,
            tree,
            published: false,
        }))
    }

    /// Writes all that is unsynced to disk, and notes it. Slow, and on nobody's path: a process of
    /// its own does it after a pull.
    pub fn settle_layers(&self) -> Result<(), ImageError> {
        // Not those of an earlier boot: what they lost no sync brings back.
        let unsynced = self.unsynced_layers()?;
        if unsynced.is_empty() {
            return Ok(());
        }
        let dir = self.layers_dir();
        let folder = File::open(&dir).map_err(|e| ImageError::io("open", &dir, e))?;
        perform("image.layer.settle", Op::SyncFilesystem(folder.as_fd()))
            .map_err(|e| ImageError::io("sync", &dir, e))?;
        self.note_synced(unsynced)
    }

    /// Notes what a sync has written. A layer that was removed since needs no note, and one that
    /// was unpacked in its place has not been synced.
    pub(super) fn note_synced(&self, synced: Vec<Unsynced>) -> Result<(), ImageError> {
        // Whoever removes layers has the lock alone, so that no file appears under its hands.
        let Some(_lock) = self.lock_if_there(Access::Change)? else {
            return Ok(());
        };
        for Unsynced { path, folder } in synced {
            if !lock::is_at(&folder, &path).map_err(|e| ImageError::io("read", &path, e))? {
                continue;
            }
            if let Some(mut meta) = read_meta(&path)? {
                meta.unsynced_in_boot = None;
                write_meta(&path, &meta, Durability::Process)?;
            }
        }
        Ok(())
    }

    /// As [`Self::settle_layers`], unless another process is at it, which then does it all.
    pub fn settle_layers_alone(&self) -> Result<(), ImageError> {
        if !self.exists()? {
            return Ok(());
        }
        let path = self.work().join("settle.lock");
        loop {
            let file = lock::open_lock(&path)?;
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Ok(());
            }
            self.settle_layers()?;
            drop(file);
            // Whoever unpacked one meanwhile found the lock held, before this look.
            if self.unsynced_layers()?.is_empty() {
                return Ok(());
            }
        }
    }

    pub(super) fn unsynced_layers(&self) -> Result<Vec<Unsynced>, ImageError> {
        let mut unsynced = Vec::new();
        for (name, path) in entries(&self.layers_dir())? {
            if !name.starts_with('.')
                && let Ok(folder) = berth_persist::open_folder(&path)
                && let Ok(Some(meta)) = read_meta(&path)
                && meta.unsynced_in_boot == Some(boot_id())
            {
                unsynced.push(Unsynced { path, folder });
            }
        }
        Ok(unsynced)
    }

    /// The content of all layers that are unpacked.
    pub(super) fn diff_ids(&self) -> std::collections::HashSet<Digest> {
        let folders = entries(&self.layers_dir()).unwrap_or_default().into_iter();
        let metas = folders.filter_map(|(_, path)| read_meta(&path).ok().flatten());
        metas.map(|meta| meta.diff_id).collect()
    }

    /// Takes a layer's folder away, out of sight first.
    pub(super) fn remove_layer(&self, chain: &str) -> Result<(), ImageError> {
        let from = self.layers_dir().join(chain);
        let hidden = self.layers_dir().join(format!(".removing-{chain}"));
        // Left over from a removal that crashed.
        remove_tree("image.layer.remove-tree", At::path(&hidden))
            .map_err(|e| ImageError::io("remove", &hidden, e))?;
        let rename = Op::Rename {
            from: At::path(&from),
            to: At::path(&hidden),
            replace: Replace::Yes,
        };
        match perform("image.layer.remove", rename) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(ImageError::io("remove", &from, e)),
        }
        remove_tree("image.layer.remove-tree", At::path(&hidden))
            .map_err(|e| ImageError::io("remove", &hidden, e))
    }
}

impl LayerBuilder {
    /// The folder to unpack into.
    pub fn tree(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }

    /// Its path, for a process that unpacks in our stead.
    pub fn tree_path(&self) -> PathBuf {
        self.hidden.join("fs")
    }

    /// Makes the layer visible.
    pub fn publish(mut self, mut meta: LayerMeta) -> Result<(), ImageError> {
        meta.unsynced_in_boot = Some(boot_id());
        write_meta(&self.hidden, &meta, Durability::Process)?;
        let to = self.store.layer_dir(&self.chain);
        let rename = Op::Rename {
            from: At::path(&self.hidden),
            to: At::path(&to),
            replace: Replace::No,
        };
        match perform("image.layer.publish", rename) {
            Ok(()) => self.published = true,
            // Only somebody who does not know our locks can have been faster.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(ImageError::io("publish", &to, e)),
        }
        Ok(())
    }
}

impl Drop for LayerBuilder {
    fn drop(&mut self) {
        if !self.published {
            // A sweep removes what stays.
            drop(remove_tree("image.layer.drop", At::path(&self.hidden)));
        }
        drop(perform(
            "image.layer.unlock",
            Op::Unlink(At::path(&self.lock_path)),
        ));
    }
}

pub(super) fn read_meta(dir: &Path) -> Result<Option<LayerMeta>, ImageError> {
    let path = dir.join("layer.json");
    match berth_persist::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            ImageError::malformed(path.display().to_string(), format!("it is damaged: {e}"))
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(ImageError::io("read", &path, e)),
    }
}

pub(super) fn write_meta(
    dir: &Path,
    meta: &LayerMeta,
    durability: Durability,
) -> Result<(), ImageError> {
    let bytes =
        serde_json::to_vec(meta).map_err(|e| ImageError::malformed("layer.json", e.to_string()))?;
    berth_persist::replace("image.layer.meta", dir, "layer.json", &bytes, durability)?;
    Ok(())
}

/// The present boot (random(4)); empty where procfs does not say.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

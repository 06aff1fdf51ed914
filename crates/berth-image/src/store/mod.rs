//! The store on disk: blobs in an OCI image layout, unpacked layers, and what is half done.
//!
//! ```text
//! images/               an OCI image layout and nothing else: other tools read it
//!   oci-layout index.json blobs/ALGORITHM/HEX
//! image-work/
//!   store.json          the version of all this
//!   lock                flock(2): exclusive to change the index or to collect, shared to pin
//!   ingest/             blobs under way, each locked by its writer; parts stay for a resume
//!   leases/             what living commands need and nothing names yet
//! layers/HEX/           a layer unpacked, by its chain id: fs/ and layer.json
//! ```
//!
//! Nothing is counted. What may go is found by marking ([`collect`](ImageStore::collect)): from the
//! index, from leases, and from the containers that the caller names. The lock is never held across
//! a download or an unpack.

mod blobs;
mod collect;
mod content;
mod early;
mod image;
mod index;
mod ingest;
mod layers;
mod lease;
mod lock;
mod recover;
#[cfg(test)]
mod tests;
mod unpack;

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use berth_persist::{Durability, Op, Point, perform};
use serde::{Deserialize, Serialize};

use crate::ImageError;

pub use collect::{Collected, Pins};
pub(crate) use early::Early;
pub use image::{Image, ImageLayer, Listed};
pub use ingest::{AnonymousWriter, BlobWriter, Ingest, Spool};
pub use layers::{LayerBuilder, LayerMeta, LayerSlot, chain_ids};
pub use lease::Lease;
pub use lock::{Access, StoreLock};
pub use recover::Swept;
pub use unpack::{LayerSet, UnpackHere, UnpackHow, UnpackJob, is_settled};

/// The version this build writes, and the newest it reads.
const STORE_VERSION: u32 = 1;

/// `image-work/store.json`.
#[derive(Debug, Serialize, Deserialize)]
struct VersionFile {
    version: u32,
}

/// One store. Opening it costs nothing and writes nothing.
#[derive(Clone, Debug)]
pub struct ImageStore {
    root: PathBuf,
}

impl ImageStore {
    /// Takes the engine's root folder.
    pub fn open(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The OCI image layout.
    pub fn layout(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The unpacked layers.
    pub fn layers_dir(&self) -> PathBuf {
        self.root.join("layers")
    }

    fn work(&self) -> PathBuf {
        self.root.join("image-work")
    }

    fn ingest_dir(&self) -> PathBuf {
        self.work().join("ingest")
    }

    fn leases_dir(&self) -> PathBuf {
        self.work().join("leases")
    }

    /// Makes the folders, before anything is written. Refuses a store of a newer version.
    fn ensure(&self) -> Result<(), ImageError> {
        let marker = self.work().join("store.json");
        if self.check_version(&marker)? {
            return Ok(());
        }
        let layout = self.layout();
        for dir in [
            layout.join("blobs/sha256"),
            self.ingest_dir(),
            self.leases_dir(),
            self.layers_dir(),
        ] {
            make_dirs(&dir)?;
        }
        for dir in [
            layout.join("blobs"),
            layout.clone(),
            self.work(),
            self.root.clone(),
        ] {
            sync_dir("image.store.folder-sync", &dir)?;
        }
        if let Some(parent) = self.root.parent() {
            // Not ours, and perhaps not ours to open.
            drop(sync_dir("image.store.folder-sync", parent));
        }
        let write = |dir: &Path, name: &str, text: &str| {
            let durability = Durability::Power;
            berth_persist::write_new("image.store.make", dir, name, text.as_bytes(), durability)
        };
        write(&layout, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}")?;
        let empty = "{\"schemaVersion\":2,\"manifests\":[]}";
        write(&layout, "index.json", empty)?;
        // Last: where it is, all the rest is.
        let version = format!("{{\"version\":{STORE_VERSION}}}");
        write(&self.work(), "store.json", &version)?;
        Ok(())
    }

    /// Whether the store exists; an error when it is of a newer version.
    fn check_version(&self, marker: &Path) -> Result<bool, ImageError> {
        let bytes = match berth_persist::read(marker) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(ImageError::io("read", marker, e)),
        };
        let file: VersionFile = serde_json::from_slice(&bytes).map_err(|e| {
            ImageError::malformed(marker.display().to_string(), format!("it is damaged: {e}"))
        })?;
        if file.version > STORE_VERSION {
            return Err(ImageError::Newer {
                path: marker.to_owned(),
                version: file.version,
                newest: STORE_VERSION,
            });
        }
        Ok(true)
    }

    /// As [`Self::ensure`], for readers: whether there is a store at all.
    fn exists(&self) -> Result<bool, ImageError> {
        self.check_version(&self.work().join("store.json"))
    }
}

/// Makes a folder and its missing parents, 0700.
fn make_dirs(dir: &Path) -> Result<(), ImageError> {
    berth_persist::make_dirs("image.store.folder", dir, 0o700)
        .map_err(|e| ImageError::io("make", dir, e))
}

/// fsync(2) of a folder: its entries survive a loss of power.
fn sync_dir(point: Point, dir: &Path) -> Result<(), ImageError> {
    berth_persist::open_folder(dir)
        .and_then(|folder| perform(point, Op::SyncDir(folder.as_fd())))
        .map_err(|e| ImageError::io("sync", dir, e))
}

/// The entries of a folder by name; none where there is no folder.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, ImageError> {
    let list = match fs::read_dir(dir) {
        Ok(list) => list,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ImageError::io("list", dir, e)),
    };
    let mut all = Vec::new();
    for entry in list {
        let entry = entry.map_err(|e| ImageError::io("list", dir, e))?;
        if let Ok(name) = entry.file_name().into_string() {
            all.push((name, entry.path()));
        }
    }
    Ok(all)
}

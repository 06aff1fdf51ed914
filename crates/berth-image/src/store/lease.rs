//! Leases: what a command under way needs, while nothing in the index names it yet.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use berth_base::Digest;
use berth_persist::{At, Op, perform};

use super::lock::{self, Access};
use super::{ImageStore, entries};
use crate::ImageError;

/// Protects blobs and layers from collection until it is dropped, or its process ends.
///
/// A file in `leases/`, locked as long as its command lives, with a line for each digest; one that
/// nobody locks is left over and means nothing.
#[derive(Debug)]
pub struct Lease {
    store: ImageStore,
    path: PathBuf,
    file: Mutex<File>,
}

impl ImageStore {
    /// Begins a lease, and makes the store if there is none.
    pub fn lease(&self) -> Result<Lease, ImageError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        self.ensure()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}", std::process::id());
        let path = self.leases_dir().join(name);
        // The lock keeps a collection from taking it for a leftover before it is locked; a leftover
        // of an earlier process with our PID is reused.
        let _pin = self.lock(Access::Pin)?;
        let file = lock::lock_at(&path, || {})?;
        file.set_len(0)
            .map_err(|e| ImageError::io("write", &path, e))?;
        Ok(Lease {
            store: self.clone(),
            path,
            file: Mutex::new(file),
        })
    }

    /// The digests that living leases protect; leases of the dead are removed.
    pub(super) fn leased(&self) -> Result<Vec<Digest>, ImageError> {
        let mut all = Vec::new();
        for (_, path) in entries(&self.leases_dir())? {
            if lock::try_lock(&path).is_some() {
                drop(perform("image.lease.sweep", Op::Unlink(At::path(&path))));
                continue;
            }
            let text = berth_persist::read_to_string(&path).unwrap_or_default();
            all.extend(text.lines().filter_map(|line| line.parse::<Digest>().ok()));
        }
        Ok(all)
    }
}

impl Lease {
    /// Protects a blob or a layer. What is there when this returns stays while the lease lives.
    pub fn protect(&self, digest: &Digest) -> Result<(), ImageError> {
        let _pin = self.store.lock(Access::Pin)?;
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        file.write_all(format!("{digest}\n").as_bytes())
            .map_err(|e| ImageError::io("write", &self.path, e))
    }

    /// The store it belongs to.
    pub const fn store(&self) -> &ImageStore {
        &self.store
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A collection removes what stays.
        drop(perform("image.lease.end", Op::Unlink(At::path(&self.path))));
    }
}

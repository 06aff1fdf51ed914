//! Blobs under way: written, verified, and only then visible.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use berth_base::{Digest, DigestAlgorithm};
use berth_persist::{At, Op, Replace, perform};

use super::lock;
use super::{ImageStore, Lease, make_dirs, sync_dir};
use crate::{Hasher, ImageError};

/// What becomes of the wish to write a blob.
#[derive(Debug)]
pub enum Ingest {
    /// It is there already.
    Present,
    /// It is the caller's to write.
    Writing(BlobWriter),
}

/// Writes a blob whose digest is known. Dropped without [`commit`](Self::commit) it leaves the part
/// for a later writer to go on with.
#[derive(Debug)]
pub struct BlobWriter {
    store: ImageStore,
    file: File,
    path: PathBuf,
    digest: Digest,
    expected: Option<u64>,
    hasher: Hasher,
}

/// Writes a blob whose digest is known only at its end.
#[derive(Debug)]
pub struct AnonymousWriter {
    store: ImageStore,
    file: File,
    path: PathBuf,
    hasher: Hasher,
    committed: bool,
}

impl ImageStore {
    /// Begins to write a blob, or goes on where an earlier writer stopped. Waits while somebody
    /// else writes it, after calling `waiting`. The lease protects it from here on.
    pub fn ingest(
        &self,
        lease: &Lease,
        digest: &Digest,
        expected: Option<u64>,
        waiting: impl FnMut(),
    ) -> Result<Ingest, ImageError> {
        lease.protect(digest)?;
        if self.has_blob(digest) {
            return Ok(Ingest::Present);
        }
        let name = format!("{}-{}", digest.algorithm().as_str(), digest.hex());
        let path = self.ingest_dir().join(name);
        let mut file = lock::lock_at(&path, waiting)?;
        // Whoever held the lock may have finished it.
        if self.has_blob(digest) {
            drop(perform("image.ingest.drop", Op::Unlink(At::path(&path))));
            return Ok(Ingest::Present);
        }
        let hasher = resume(&mut file, digest.algorithm(), expected)
            .map_err(|e| ImageError::io("read", &path, e))?;
        Ok(Ingest::Writing(BlobWriter {
            store: self.clone(),
            file,
            path,
            digest: digest.clone(),
            expected,
            hasher,
        }))
    }

    /// Begins a blob of which nothing is known.
    pub fn ingest_unknown(&self, _lease: &Lease) -> Result<AnonymousWriter, ImageError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("anonymous-{}-{count}", std::process::id());
        let path = self.ingest_dir().join(name);
        let file = lock::lock_at(&path, || {})?;
        file.set_len(0)
            .map_err(|e| ImageError::io("write", &path, e))?;
        Ok(AnonymousWriter {
            store: self.clone(),
            file,
            path,
            hasher: Hasher::new(DigestAlgorithm::Sha256),
            committed: false,
        })
    }

    /// Stores a small blob, such as a manifest.
    pub fn put(&self, lease: &Lease, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Hasher::sha256(bytes);
        let size = Some(bytes.len() as u64);
        if let Ingest::Writing(mut writer) = self.ingest(lease, &digest, size, || {})? {
            writer.restart()?;
            writer.write_blob(bytes)?;
            writer.commit()?;
        }
        Ok(digest)
    }

    /// Gives a written file its place among the blobs. One that is there already is as good.
    fn publish(&self, file: &File, path: &PathBuf, digest: &Digest) -> Result<(), ImageError> {
        let to = self.blob_path(digest);
        let failed = |action, path: &PathBuf| {
            let path = path.clone();
            move |e| ImageError::io(action, &path, e)
        };
        perform("image.blob.sync", Op::SyncFile(file.as_fd())).map_err(failed("sync", path))?;
        let folder = to.parent().map(ToOwned::to_owned).unwrap_or_default();
        if !folder.is_dir() {
            make_dirs(&folder)?;
            sync_dir("image.store.folder-sync", &self.layout().join("blobs"))?;
        }
        let rename = Op::Rename {
            from: At::path(path),
            to: At::path(&to),
            replace: Replace::Yes,
        };
        perform("image.blob.publish", rename).map_err(failed("write", &to))?;
        sync_dir("image.blob.publish-sync", &folder).inspect_err(|_| {
            // Whoever finds it takes it for safe.
            drop(perform("image.blob.withdraw", Op::Unlink(At::path(&to))));
        })
    }
}

/// Hashes what is there. A part that is longer than the whole is begun anew.
fn resume(
    file: &mut File,
    algorithm: DigestAlgorithm,
    expected: Option<u64>,
) -> io::Result<Hasher> {
    let mut hasher = Hasher::new(algorithm);
    let length = file.metadata()?.len();
    if expected.is_none_or(|expected| length > expected) {
        file.set_len(0)?;
        return Ok(hasher);
    }
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher);
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
}

impl BlobWriter {
    /// How many bytes are there already; writing goes on behind them.
    pub const fn offset(&self) -> u64 {
        self.hasher.bytes()
    }

    /// The digest it must come to.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// A second descriptor of the part, to read what was written so far.
    pub fn reader(&self) -> Result<File, ImageError> {
        berth_persist::open(&self.path).map_err(|e| ImageError::io("open", &self.path, e))
    }

    /// Forgets what is there, for a server that cannot go on in the middle.
    pub fn restart(&mut self) -> Result<(), ImageError> {
        let emptied = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|e| ImageError::io("write", &self.path, e))?;
        self.hasher = Hasher::new(self.digest.algorithm());
        Ok(())
    }

    /// Writes more of it. More than was promised is refused at once.
    pub fn write_blob(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        let length = self.offset() + bytes.len() as u64;
        if let Some(expected) = self.expected
            && length > expected
        {
            self.forget();
            return Err(ImageError::Size {
                what: format!("blob {}", self.digest),
                expected,
                actual: length,
            });
        }
        self.file
            .write_all(bytes)
            .map_err(|e| ImageError::io("write", &self.path, e))?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Verifies the whole and makes it visible, for good. What is not what it should be is removed.
    pub fn commit(self) -> Result<u64, ImageError> {
        let size = self.hasher.bytes();
        let what = || format!("blob {}", self.digest);
        if let Some(expected) = self.expected
            && size != expected
        {
            if size > expected {
                self.forget();
            }
            return Err(ImageError::Size {
                what: what(),
                expected,
                actual: size,
            });
        }
        let actual = self.hasher.clone().finish();
        if actual != self.digest {
            self.forget();
            return Err(ImageError::Digest {
                what: what(),
                expected: self.digest.clone(),
                actual,
            });
        }
        self.store.publish(&self.file, &self.path, &self.digest)?;
        Ok(size)
    }

    /// Gives up and removes the part.
    pub fn discard(self) {
        self.forget();
    }

    fn forget(&self) {
        drop(perform(
            "image.ingest.drop",
            Op::Unlink(At::path(&self.path)),
        ));
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_blob(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AnonymousWriter {
    /// Verifies nothing, since nothing was promised; makes it visible and answers digest and size.
    pub fn commit(mut self, lease: &Lease) -> Result<(Digest, u64), ImageError> {
        let size = self.hasher.bytes();
        let digest = self.hasher.clone().finish();
        lease.protect(&digest)?;
        if self.store.has_blob(&digest) {
            return Ok((digest, size));
        }
        self.store.publish(&self.file, &self.path, &digest)?;
        self.committed = true;
        Ok((digest, size))
    }

    /// A second descriptor of it, to read what was written so far.
    pub fn reader(&self) -> Result<File, ImageError> {
        berth_persist::open(&self.path).map_err(|e| ImageError::io("open", &self.path, e))
    }
}

impl Write for AnonymousWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for AnonymousWriter {
    fn drop(&mut self) {
        if !self.committed {
            drop(perform(
                "image.ingest.drop",
                Op::Unlink(At::path(&self.path)),
            ));
        }
    }
}

/// A file for content that somebody else writes and hashes, another process for one.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: PathBuf,
}

impl Spool {
    /// A further descriptor of the file, to write to.
    pub fn file(&self) -> Result<File, ImageError> {
        let copy = self.file.try_clone();
        copy.map_err(|e| ImageError::io("open", &self.path, e))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        drop(perform(
            "image.ingest.drop",
            Op::Unlink(At::path(&self.path)),
        ));
    }
}

impl ImageStore {
    /// Begins a file for content that is not written by us.
    pub fn spool(&self) -> Result<Spool, ImageError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        self.ensure()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("spool-{}-{count}", std::process::id());
        let path = self.ingest_dir().join(name);
        let file = lock::lock_at(&path, || {})?;
        file.set_len(0)
            .map_err(|e| ImageError::io("write", &path, e))?;
        Ok(Spool { file, path })
    }

    /// Makes spooled content a blob. Its writer vouches for the digest; the length is checked.
    pub fn adopt(
        &self,
        lease: &Lease,
        spool: Spool,
        digest: &Digest,
        size: u64,
    ) -> Result<(), ImageError> {
        let length = spool
            .file
            .metadata()
            .map_err(|e| ImageError::io("read", &spool.path, e))?
            .len();
        if length != size {
            return Err(ImageError::Size {
                what: format!("blob {digest}"),
                expected: size,
                actual: length,
            });
        }
        lease.protect(digest)?;
        if self.has_blob(digest) {
            return Ok(());
        }
        // The drop of the spool then finds nothing.
        self.publish(&spool.file, &spool.path, digest)
    }
}

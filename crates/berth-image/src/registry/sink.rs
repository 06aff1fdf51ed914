//! What transfers need of a store; a store with a lease, or a folder of a test's own.

use std::fs::File;

use berth_base::Digest;

use crate::store::{self, BlobWriter};
use crate::{ImageError, ImageStore, Lease, Progress, Stage};

/// Where blobs go to and come from.
pub trait BlobStore: Sync {
    /// Writes one blob.
    type Writer: BlobWrite;

    /// Begins a blob, or goes on with one; waits while somebody else writes it. `None` where it is
    /// there already.
    fn ingest(
        &self,
        digest: &Digest,
        expected_size: Option<u64>,
    ) -> Result<Option<Self::Writer>, ImageError>;

    /// Keeps a small blob.
    fn put(&self, bytes: &[u8]) -> Result<Digest, ImageError>;

    /// Opens a blob.
    fn blob(&self, digest: &Digest) -> Result<Option<File>, ImageError>;
}

/// A blob under way. Dropping it keeps what was written, so that a later try goes on from there.
pub trait BlobWrite {
    /// Bytes that are there, from before and written since.
    fn offset(&self) -> u64;

    /// Writes more of it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError>;

    /// Verifies the blob and makes it visible; answers its size. What fails to verify is gone.
    fn commit(self) -> Result<u64, ImageError>;

    /// Throws away what was written.
    fn discard(self);
}

/// The store, with the lease that protects what comes in.
pub(super) struct Leased<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) lease: &'a Lease,
    pub(super) progress: &'a dyn Progress,
}

impl BlobStore for Leased<'_> {
    type Writer = BlobWriter;

    fn ingest(
        &self,
        digest: &Digest,
        expected_size: Option<u64>,
    ) -> Result<Option<BlobWriter>, ImageError> {
        let waiting = || {
            let item = super::fetch::item(digest);
            self.progress.begin(item, Stage::Waiting, 0, expected_size);
        };
        let ingest = self
            .store
            .ingest(self.lease, digest, expected_size, waiting)?;
        Ok(match ingest {
            store::Ingest::Present => None,
            store::Ingest::Writing(writer) => Some(writer),
        })
    }

    fn put(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        self.store.put(self.lease, bytes)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<File>, ImageError> {
        self.store.blob(digest)
    }
}

impl BlobWrite for BlobWriter {
    fn offset(&self) -> u64 {
        Self::offset(self)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.write_blob(bytes)
    }

    fn commit(self) -> Result<u64, ImageError> {
        Self::commit(self)
    }

    fn discard(self) {
        Self::discard(self);
    }
}

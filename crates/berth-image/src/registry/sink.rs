//! What transfers need of a store.

use std::fs::File;
use std::io::Write;

use berth_base::Digest;

use crate::ImageError;

/// Where blobs go to and come from; a store with a lease.
pub trait BlobStore: Sync {
    /// Writes one blob.
    type Writer: BlobWrite;

    /// Begins a blob, or goes on with one; waits while somebody else writes it.
    fn ingest(
        &self,
        digest: &Digest,
        expected_size: Option<u64>,
    ) -> Result<Ingest<Self::Writer>, ImageError>;

    /// Keeps a small blob.
    fn put(&self, bytes: &[u8]) -> Result<Digest, ImageError>;

    /// Opens a blob.
    fn blob(&self, digest: &Digest) -> Result<Option<File>, ImageError>;
}

/// What became of the wish to write a blob.
#[derive(Debug)]
pub enum Ingest<W> {
    /// It is there.
    Present,
    /// Write it.
    Writing(W),
}

/// A blob under way. Dropping it keeps what was written, so that a later try goes on from there.
pub trait BlobWrite: Write {
    /// Bytes that are there, from before and written since.
    fn offset(&self) -> u64;

    /// Verifies the blob and makes it visible; answers its size. What fails to verify is gone.
    fn commit(self) -> Result<u64, ImageError>;

    /// Throws away what was written.
    fn discard(self) -> Result<(), ImageError>;
}

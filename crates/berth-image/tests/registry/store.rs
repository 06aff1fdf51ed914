//! A store in a folder: as little as a transfer needs.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use berth_base::Digest;
use berth_image::registry::{BlobStore, BlobWrite};
use berth_image::{Hasher, ImageError};

pub(crate) struct Store {
    folder: tempfile::TempDir,
}

pub(crate) struct Writer {
    file: File,
    part: PathBuf,
    whole: PathBuf,
    digest: Digest,
    hasher: Hasher,
}

impl Store {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.path().join(digest.hex())
    }

    /// The length of what is half there.
    pub(crate) fn part(&self, digest: &Digest) -> Option<u64> {
        let path = part(&self.path(digest));
        std::fs::metadata(path).ok().map(|m| m.len())
    }

    /// Leaves bytes as an earlier process would have.
    pub(crate) fn leave_part(&self, digest: &Digest, bytes: &[u8]) {
        std::fs::write(part(&self.path(digest)), bytes).unwrap();
    }

    pub(crate) fn add(&self, bytes: &[u8]) -> Digest {
        let digest = Hasher::sha256(bytes);
        std::fs::write(self.path(&digest), bytes).unwrap();
        digest
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }
}

fn part(whole: &Path) -> PathBuf {
    whole.with_extension("part")
}

impl BlobStore for Store {
    type Writer = Writer;

    fn ingest(
        &self,
        digest: &Digest,
        _expected_size: Option<u64>,
    ) -> Result<Option<Writer>, ImageError> {
        let whole = self.path(digest);
        if whole.exists() {
            return Ok(None);
        }
        let part = part(&whole);
        let mut hasher = Hasher::new(digest.algorithm());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = options.open(&part).unwrap();
        let mut before = Vec::new();
        file.read_to_end(&mut before).unwrap();
        hasher.update(&before);
        Ok(Some(Writer {
            file,
            part,
            whole,
            digest: digest.clone(),
            hasher,
        }))
    }

    fn put(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        Ok(self.add(bytes))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<File>, ImageError> {
        Ok(File::open(self.path(digest)).ok())
    }
}

impl BlobWrite for Writer {
    fn offset(&self) -> u64 {
        self.hasher.bytes()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.file.write_all(bytes).unwrap();
        self.hasher.update(bytes);
        Ok(())
    }

    fn commit(self) -> Result<u64, ImageError> {
        let bytes = self.hasher.bytes();
        let actual = self.hasher.finish();
        if actual != self.digest {
            std::fs::remove_file(&self.part).unwrap();
            return Err(ImageError::Digest {
                what: "a blob".into(),
                expected: self.digest,
                actual,
            });
        }
        std::fs::rename(self.part, self.whole).unwrap();
        Ok(bytes)
    }

    fn discard(self) {
        std::fs::remove_file(self.part).unwrap();
    }
}

//! Blobs that are whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use berth_base::Digest;

use super::ImageStore;
use crate::manifest::{CONFIG_MAX_BYTES, Descriptor};
use crate::{Hasher, ImageError};

impl ImageStore {
    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let algorithm = digest.algorithm().as_str();
        let folder = self.layout().join("blobs").join(algorithm);
        folder.join(digest.hex())
    }

    /// Whether a blob is there.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Opens a blob; `None` where it is missing. Its content is not verified.
    pub fn blob(&self, digest: &Digest) -> Result<Option<File>, ImageError> {
        let path = self.blob_path(digest);
        match berth_persist::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ImageError::io("open", &path, e)),
        }
    }

    /// Reads a manifest or a configuration, and verifies it: disks rot, and other tools may write.
    pub fn read_small(&self, descriptor: &Descriptor, what: &str) -> Result<Vec<u8>, ImageError> {
        let digest = &descriptor.digest;
        let file = self.blob(digest)?.ok_or_else(|| ImageError::MissingBlob {
            digest: digest.clone(),
            of: what.to_owned(),
        })?;
        let mut bytes = Vec::new();
        file.take(CONFIG_MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| ImageError::io("read", &self.blob_path(digest), e))?;
        if bytes.len() as u64 != descriptor.size {
            return Err(ImageError::Size {
                what: format!("the blob {digest} of {what}"),
                expected: descriptor.size,
                actual: bytes.len() as u64,
            });
        }
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        let actual = hasher.finish();
        if actual != *digest {
            return Err(ImageError::Digest {
                what: format!("the blob {digest} of {what}"),
                expected: digest.clone(),
                actual,
            });
        }
        Ok(bytes)
    }
}

//! How much a layer may be.

use serde::{Deserialize, Serialize};

use super::LayerError;
use super::error::printable;

/// What one layer may hold. The defaults are far above every honest image and below what would
/// take a host down unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the uncompressed tar.
    pub layer_bytes: u64,
    /// Entries of the tar.
    pub layer_entries: u64,
    /// Bytes of one file, holes included.
    pub file_bytes: u64,
    /// Bytes of one path or link target. Linux takes 4095 in one system call.
    pub path_bytes: u64,
    /// Folders within each other.
    pub path_depth: u64,
    /// Bytes of one entry's extended header: names, extended attributes, maps of sparse files.
    pub header_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_bytes: 256 << 30,
            layer_entries: 8 << 20,
            file_bytes: 256 << 30,
            path_bytes: 4095,
            path_depth: 512,
            header_bytes: 4 << 20,
        }
    }
}

impl Limits {
    pub(super) fn check_path(&self, path: &[u8]) -> Result<(), LayerError> {
        let length = path.len() as u64;
        if length > self.path_bytes {
            return Err(LayerError::Limit {
                what: format!("a path of {length} bytes ({}...)", head(path)),
                name: "path-bytes",
                limit: self.path_bytes,
            });
        }
        let depth = path.iter().filter(|b| **b == b'/').count() as u64;
        if depth > self.path_depth {
            return Err(LayerError::Limit {
                what: format!("a path of {depth} folders ({}...)", head(path)),
                name: "path-depth",
                limit: self.path_depth,
            });
        }
        Ok(())
    }

    pub(super) fn check_file(&self, path: &[u8], bytes: u64) -> Result<(), LayerError> {
        if bytes <= self.file_bytes {
            return Ok(());
        }
        Err(LayerError::Limit {
            what: format!("the file {} of {bytes} bytes", printable(path)),
            name: "file-bytes",
            limit: self.file_bytes,
        })
    }

    pub(super) fn check_header(&self, bytes: u64) -> Result<(), LayerError> {
        if bytes <= self.header_bytes {
            return Ok(());
        }
        Err(LayerError::Limit {
            what: format!("an extended header of {bytes} bytes"),
            name: "header-bytes",
            limit: self.header_bytes,
        })
    }

    pub(super) fn check_entries(&self, entries: u64) -> Result<(), LayerError> {
        if entries <= self.layer_entries {
            return Ok(());
        }
        Err(LayerError::Limit {
            what: format!("an archive of {entries} entries"),
            name: "layer-entries",
            limit: self.layer_entries,
        })
    }

    pub(super) fn bytes_error(limit: u64) -> LayerError {
        LayerError::Limit {
            what: "the uncompressed layer".to_owned(),
            name: "layer-bytes",
            limit,
        }
    }
}

fn head(path: &[u8]) -> String {
    printable(path.get(..40).unwrap_or(path))
}

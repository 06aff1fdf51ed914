//! How much an archive may ask for.

use crate::ImageError;

/// What is held in memory until it is known what it is: one entry.
pub(super) const SMALL_ENTRY_BYTES: u64 = 1 << 20;

/// Limits on what an archive, which nobody vouches for, may make of our memory and disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of names and of small entries, which are held in memory.
    pub memory_bytes: u64,
    /// Bytes of one blob, after inflating where it is compressed.
    pub blob_bytes: u64,
    /// Bytes of all blobs together.
    pub total_bytes: u64,
    /// Images.
    pub images: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            entries: 200_000,
            memory_bytes: 64 << 20,
            blob_bytes: 128 << 30,
            total_bytes: 1 << 40,
            images: 1000,
        }
    }
}

/// More came than a limit allows.
pub(crate) fn exceeded(what: &str, limit: &str, value: impl std::fmt::Display) -> ImageError {
    ImageError::Limit {
        what: what.to_owned(),
        why: format!(
            "it goes beyond the limit {limit} ({value}); raise it in config.toml for archives that you trust"
        ),
    }
}

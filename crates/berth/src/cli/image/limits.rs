//! `[image]` of the configuration file: how much images may be.

use std::fmt;

use berth_engine::ImageLimits;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::cli::parse::size::size;

/// A number, or a size such as `"64m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Amount(u64);

impl Amount {
    /// The number.
    pub(in crate::cli) const fn value(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a size such as \"64m\"")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Amount, E> {
        let negative = |_| E::custom("a limit is not negative");
        u64::try_from(value).map(Amount).map_err(negative)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Amount, E> {
        size(value).map(Amount).map_err(E::custom)
    }
}

/// The limits that a file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ImageSection {
    layer_bytes: Option<Amount>,
    layer_entries: Option<Amount>,
    file_bytes: Option<Amount>,
    path_bytes: Option<Amount>,
    path_depth: Option<Amount>,
    header_bytes: Option<Amount>,
    archive_entries: Option<Amount>,
    archive_memory_bytes: Option<Amount>,
    archive_blob_bytes: Option<Amount>,
    archive_total_bytes: Option<Amount>,
    archive_images: Option<Amount>,
}

impl ImageSection {
    /// These settings, completed by those of `other`.
    pub(in crate::cli) fn over(self, other: Self) -> Self {
        Self {
            layer_bytes: self.layer_bytes.or(other.layer_bytes),
            layer_entries: self.layer_entries.or(other.layer_entries),
            file_bytes: self.file_bytes.or(other.file_bytes),
            path_bytes: self.path_bytes.or(other.path_bytes),
            path_depth: self.path_depth.or(other.path_depth),
            header_bytes: self.header_bytes.or(other.header_bytes),
            archive_entries: self.archive_entries.or(other.archive_entries),
            archive_memory_bytes: self.archive_memory_bytes.or(other.archive_memory_bytes),
            archive_blob_bytes: self.archive_blob_bytes.or(other.archive_blob_bytes),
            archive_total_bytes: self.archive_total_bytes.or(other.archive_total_bytes),
            archive_images: self.archive_images.or(other.archive_images),
        }
    }

    /// The limits in force: what is not set has its default.
    pub(in crate::cli) fn limits(&self) -> ImageLimits {
        let mut limits = ImageLimits::default();
        let set = |limit: &mut u64, amount: Option<Amount>| {
            if let Some(Amount(value)) = amount {
                *limit = value;
            }
        };
        let (layer, archive) = (&mut limits.layer, &mut limits.archive);
        set(&mut layer.layer_bytes, self.layer_bytes);
        set(&mut layer.layer_entries, self.layer_entries);
        set(&mut layer.file_bytes, self.file_bytes);
        set(&mut layer.path_bytes, self.path_bytes);
        set(&mut layer.path_depth, self.path_depth);
        set(&mut layer.header_bytes, self.header_bytes);
        set(&mut archive.entries, self.archive_entries);
        set(&mut archive.memory_bytes, self.archive_memory_bytes);
        set(&mut archive.blob_bytes, self.archive_blob_bytes);
        set(&mut archive.total_bytes, self.archive_total_bytes);
        if let Some(Amount(images)) = self.archive_images {
            archive.images = usize::try_from(images).unwrap_or(usize::MAX);
        }
        limits
    }
}

//! An image in listings.

use berth_base::Timestamp;
use berth_image::{Image, ImageRef};
use serde_json::json;

use super::listing::{Column, Row};
use super::row::Width;
use super::{size, span};

/// What `--format` of `images` may name.
pub(crate) const COLUMNS: [Column; 11] = [
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("VirtualSize", "VIRTUAL SIZE"),
];
const NONE: &str = "<none>";

/// What a row shows besides what the image says of itself.
pub(crate) struct Beside {
    /// Containers made from it.
    pub(crate) containers: usize,
    /// Bytes of all its layers.
    pub(crate) bytes: u64,
    /// Bytes of those that other images have too, where they were counted.
    pub(crate) shared: Option<u64>,
}

/// When an image was made; the beginning of time where it does not say.
pub(crate) fn created(image: &Image) -> Timestamp {
    let text = image.config.created.as_deref().unwrap_or_default();
    text.parse().unwrap_or_else(|_| Timestamp::from_nanos(0))
}

/// Makes the row of an image under one of its names.
pub(crate) fn row(
    image: &Image,
    name: Option<&ImageRef>,
    beside: &Beside,
    width: Width,
    now: Timestamp,
) -> Row {
    let digest = image
        .repo_digests
        .iter()
        .find(|d| name.is_none_or(|name| d.name() == name.name()));
    let created = created(image);
    let counted = |bytes: Option<u64>| bytes.map_or_else(|| "N/A".to_owned(), size::decimal);
    let unique = beside.shared.map(|s| beside.bytes.saturating_sub(s));
    Row::plain(json!({
        "Repository": name.map_or_else(
            || digest.map_or_else(|| NONE.to_owned(), ImageRef::familiar_name),
            ImageRef::familiar_name),
        "Tag": name.and_then(ImageRef::tag).unwrap_or(NONE),
        "Digest": digest.and_then(ImageRef::digest).map_or(NONE, |d| d.as_str()),
        "ID": match width {
            Width::Full => image.id.as_str(),
            Width::Short => image.id.short(),
        },
        "CreatedSince": if created == Timestamp::from_nanos(0) {
            "N/A".to_owned()
        } else {
            format!("{} ago", span::words(now.since(created)))
        },
        "CreatedAt": span::date(created),
        "Size": size::decimal(beside.bytes),
        "Containers": beside.containers.to_string(),
        "SharedSize": counted(beside.shared),
        "UniqueSize": counted(unique),
        "VirtualSize": size::decimal(beside.bytes),
    }))
}

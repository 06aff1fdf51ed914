//! A volume in listings, and as `docker volume inspect` shows one.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use berth_engine::Volume;
use serde_json::{Value, json};

use super::listing::{Column, Row};

/// What `volume ls` shows without `--format`.
pub(crate) const TABLE: &str = "{{.Driver}}\t{{.Name}}";

/// What `--format` of `volume ls` may name.
pub(crate) const COLUMNS: [Column; 10] = [
    ("Name", "VOLUME NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("Availability", "AVAILABILITY"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Group", "GROUP"),
    ("Size", "SIZE"),
    ("Status", "STATUS"),
];

/// Makes the row of a volume. As with Docker, what would have to be counted is left to `system df`.
pub(crate) fn row(volume: &Volume) -> Row {
    let file = &volume.file;
    let labels: Vec<String> = file
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Row {
        fields: json!({
            "Availability": "N/A",
            "Driver": file.driver,
            "Group": "N/A",
            "Labels": labels.join(","),
            "Links": "N/A",
            "Mountpoint": volume.mountpoint,
            "Name": file.name,
            "Scope": "local",
            "Size": "N/A",
            "Status": "N/A",
        }),
        beside: json!(file.labels),
    }
}

/// The object of `volume inspect`.
pub(crate) fn inspect(volume: &Volume) -> Value {
    let file = &volume.file;
    let map = |map: &BTreeMap<String, String>| match map.is_empty() {
        true => Value::Null,
        false => json!(map),
    };
    let created = UNIX_EPOCH + Duration::from_nanos(file.created_at.as_nanos());
    json!({
        "CreatedAt": humantime::format_rfc3339_seconds(created).to_string(),
        "Driver": file.driver,
        "Labels": map(&file.labels),
        "Mountpoint": volume.mountpoint,
        "Name": file.name,
        "Options": map(&file.options),
        "Scope": "local",
    })
}

//! Where our own time goes: crates/berth-image/examples/shares.rs takes the layers of an image that
//! is there through each stage.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::super::table::grid;
use crate::exec;
use crate::failure::{Failure, Outcome};

/// The stages as the example calls them, and as a reader does.
const STAGES: [(&str, &str); 5] = [
    ("read", "read the blobs"),
    ("hash_blobs", "hash the blobs"),
    ("inflate", "inflate"),
    ("hash_content", "hash the content"),
    ("write", "make the files"),
];

/// Runs the program on an image of a store; `folder` is for what it unpacks.
pub(super) fn measure(
    program: &Path,
    root: &Path,
    (image, how): (&str, &str),
    folder: &Path,
    markdown: bool,
) -> Outcome<String> {
    let mut command = Command::new(program);
    let text = exec::read(command.arg(root).arg(image).arg(folder))?;
    let result: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("shares printed no JSON: {error}")))?;
    let number = |key: &str| result[key].as_f64().unwrap_or(0.0);
    let total: f64 = STAGES.iter().map(|(key, _)| number(key)).sum();
    let row = |(key, title): &(&str, &str)| {
        vec![
            (*title).to_owned(),
            format!("{:.2}", number(key)),
            format!("{:.0}", 100.0 * number(key) / total),
        ]
    };
    let rows: Vec<Vec<String>> = STAGES.iter().map(row).collect();
    let head = [
        &format!("{how}: stage"),
        "processor s",
        "% of the processor",
    ];
    Ok(format!(
        "\n{}\nunpacking one layer after the other took {:.2} s, copying and syncing the blobs ({:.0} MiB) {:.2} s\n",
        grid(&head, &rows, markdown),
        number("unpack_wall"),
        number("blob_bytes") / f64::from(1 << 20),
        number("sync_wall"),
    ))
}

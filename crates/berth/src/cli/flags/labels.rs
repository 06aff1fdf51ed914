//! `--label` and `--label-file`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::cli::parse::label::label_file;

/// The labels of files, and over them those of the command line.
pub(super) fn labels(
    files: &[PathBuf],
    own: &[(String, String)],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut labels = BTreeMap::new();
    for path in files {
        labels.extend(read(path)?);
    }
    labels.extend(own.iter().cloned());
    Ok(labels)
}

fn read(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let fail = |why: String| {
        let text = format!("cannot use --label-file {}: {why}", path.display());
        Failure::usage(text).on(path.display().to_string())
    };
    let content = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    label_file(&content).map_err(|rejected| fail(rejected.0))
}

//! Where the workspace is, and what cargo knows of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::exec;
use crate::failure::{Failure, Outcome};

/// The target triple that `.cargo/config.toml` names.
pub(crate) const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The workspace's root folder: the one above this crate.
pub(crate) fn root() -> &'static Path {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.parent().unwrap_or(crate_dir)
}

/// What `cargo metadata` says of the workspace and all it depends on.
///
/// # Errors
/// Cargo fails, for one because Cargo.lock is older than the manifests, or prints no JSON.
pub(crate) fn metadata() -> Outcome<Value> {
    let text = exec::read(exec::cargo().args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        TRIPLE,
    ]))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("cargo metadata printed no JSON: {error}")))
}

/// The folder that cargo builds into, wherever configuration and environment put it.
///
/// # Errors
/// As [`metadata`].
pub(crate) fn target_dir() -> Outcome<PathBuf> {
    let text = exec::read(exec::cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|value| value["target_directory"].as_str().map(PathBuf::from))
        .ok_or_else(|| Failure::new("cargo metadata names no target_directory"))
}

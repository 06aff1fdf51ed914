//! Device nodes of the host, by path.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;

use crate::EngineError;
use crate::facts::device_node;
use crate::spec::Grant;

/// How many nodes a directory may come to.
const MOST_NODES: usize = 4096;

/// A node, or all nodes of a directory, those below included. A link is followed: the container
/// gets a node of the name that was asked for.
pub(super) fn find(host: &Path, container: &Path, access: &str) -> Result<Vec<Grant>, EngineError> {
    // by path: a device of the host, which the caller names
    let real = fs::canonicalize(host).map_err(|e| unusable(host, &e))?;
    // by path: the same
    let metadata = fs::metadata(&real).map_err(|e| unusable(host, &e))?;
    let mut grants = Vec::new();
    // by path: the same
    if metadata.is_dir() {
        below(&real, container, access, &mut grants)?;
        if grants.is_empty() {
            let text = format!(
                "the directory {} of --device has no device in it; name one that has, or use -v to mount it",
                host.display()
            );
            return Err(EngineError::new(ErrorClass::Invalid, text).on(host.display().to_string()));
        }
        return Ok(grants);
    }
    grants.push(grant(&real, container, &metadata, access)?);
    Ok(grants)
}

fn below(
    folder: &Path,
    container: &Path,
    access: &str,
    grants: &mut Vec<Grant>,
) -> Result<(), EngineError> {
    // by path: a folder of devices of the host, which the caller names
    let entries = fs::read_dir(folder).map_err(|e| unusable(folder, &e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        // by path: the same; links are not followed, what they lead to may be anywhere
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        let Some(name) = path.file_name() else {
            continue;
        };
        let inside = container.join(name);
        // by path: the same
        if metadata.is_dir() {
            below(&path, &inside, access, grants)?;
        } else if let Ok(found) = grant(&path, &inside, &metadata, access) {
            grants.push(found);
        }
        if grants.len() > MOST_NODES {
            let text = format!(
                "the directory {} has more than {MOST_NODES} devices; name those that are needed",
                folder.display()
            );
            return Err(EngineError::new(ErrorClass::Invalid, text));
        }
    }
    Ok(())
}

fn grant(
    host: &Path,
    container: &Path,
    metadata: &Metadata,
    access: &str,
) -> Result<Grant, EngineError> {
    let inside = container.to_str().filter(|path| path.starts_with('/'));
    let inside = inside.ok_or_else(|| {
        let text = format!(
            "the path {} of a device in the container is not absolute; begin it with a slash",
            container.display()
        );
        EngineError::new(ErrorClass::Invalid, text)
    })?;
    let device = device_node(inside, metadata).ok_or_else(|| {
        let text = format!(
            "{} is no device; use -v to mount a file or directory",
            host.display()
        );
        EngineError::new(ErrorClass::Invalid, text).on(host.display().to_string())
    })?;
    Ok(Grant {
        device,
        host: host.to_owned(),
        access: access.to_owned(),
    })
}

/// The number of a block device.
pub(crate) fn block_number(path: &Path) -> Result<(u32, u32), EngineError> {
    // by path: a device of the host, which the caller names
    let metadata = fs::metadata(path).map_err(|e| unusable(path, &e))?;
    if !metadata.file_type().is_block_device() {
        let text = format!("{} is no block device; lsblk lists them", path.display());
        return Err(EngineError::new(ErrorClass::Invalid, text).on(path.display().to_string()));
    }
    let number = metadata.rdev();
    Ok((rustix::fs::major(number), rustix::fs::minor(number)))
}

fn unusable(path: &Path, error: &io::Error) -> EngineError {
    let (class, why) = match error.kind() {
        io::ErrorKind::NotFound => (
            ErrorClass::NotFound,
            "the host has none of that path".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (ErrorClass::Denied, error.to_string()),
        _ => (ErrorClass::Invalid, error.to_string()),
    };
    let text = format!(
        "cannot use the device {}: {why}; \"ls /dev\" and lsblk list them",
        path.display()
    );
    EngineError::new(class, text).on(path.display().to_string())
}

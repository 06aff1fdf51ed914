//! Mount points that many containers share: `mount-points/NAME+NAME...` below the engine's root.
//!
//! One is made once, whole under a hidden name, and stays until a collection finds that no container
//! names it. Each start makes sure of it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_base::state::RootSource;
use berth_image::store::Access;
use berth_persist::{At, Op, Replace, perform, remove_tree};

use super::points::MountPoints;
use crate::{Engine, EngineError};

/// The folder of all of them.
const SHARED: &str = "mount-points";

impl Engine {
    /// Where a shared folder is.
    pub(crate) fn shared_points(&self, name: &str) -> PathBuf {
        self.store().root().join(SHARED).join(name)
    }

    /// Makes a shared folder, unless it is there.
    pub(crate) fn ensure_shared_points(&self, path: &Path) -> Result<(), EngineError> {
        // by path: a folder of ours
        if path.is_dir() {
            return Ok(());
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
        else {
            return Ok(());
        };
        // One at a time; there are few of them, ever.
        let _names = self.store().lock_names()?;
        make_shared(folder, name).map_err(|e| {
            let text = format!("cannot make {}: {e}", path.display());
            EngineError::new(ErrorClass::Unavailable, text)
        })
    }

    /// Removes what somebody died making.
    pub(crate) fn sweep_shared_points(&self) -> Result<(), EngineError> {
        let half_made = |name: &str| name.starts_with(HIDDEN);
        if self.shared_points_that(half_made).is_empty() {
            return Ok(());
        }
        let _names = self.store().lock_names()?;
        self.remove_shared_points(self.shared_points_that(half_made))
    }

    /// Removes what no container names any more.
    pub(crate) fn collect_shared_points(&self) -> Result<(), EngineError> {
        let whole = |name: &str| !name.starts_with(HIDDEN);
        if self.shared_points_that(whole).is_empty() {
            return Ok(());
        }
        // A container says which one it needs under this lock, and makes sure of it afterwards.
        let _changing = self.images().lock(Access::Change)?;
        // Nobody makes one meanwhile under the hidden name that is about to be used.
        let _names = self.store().lock_names()?;
        let named: HashSet<OsString> = self
            .store()
            .all_creates()?
            .into_iter()
            .filter_map(|create| match create.root {
                RootSource::Layers { lowers, .. } => Some(lowers),
                _ => None,
            })
            .flatten()
            .filter(|lower| is_shared(lower))
            .filter_map(|lower| lower.file_name().map(OsString::from))
            .collect();
        let mut unnamed = self.shared_points_that(whole);
        unnamed.retain(|path| path.file_name().is_some_and(|name| !named.contains(name)));
        let hidden = unnamed.iter().map(|path| hide(path));
        self.remove_shared_points(hidden.collect::<Result<_, _>>()?)
    }

    fn shared_points_that(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let folder = self.store().root().join(SHARED);
        // by path: a folder of ours, which need not be there
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let wanted = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(&wanted)
        };
        entries.map(|entry| entry.path()).filter(wanted).collect()
    }

    fn remove_shared_points(&self, paths: Vec<PathBuf>) -> Result<(), EngineError> {
        for path in paths {
            remove_tree("container.points.sweep", At::path(&path)).map_err(|e| {
                let text = format!("cannot remove {}: {e}", path.display());
                EngineError::new(ErrorClass::Unavailable, text)
            })?;
        }
        Ok(())
    }
}

/// Out of sight first: one is whole or it is not there.
fn hide(path: &Path) -> Result<PathBuf, EngineError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.with_file_name(format!("{HIDDEN}{name}"));
    let rename = Op::Rename {
        from: At::path(path),
        to: At::path(&hidden),
        replace: Replace::No,
    };
    perform("container.points.hide", rename).map_err(|e| {
        let text = format!("cannot rename {}: {e}", path.display());
        EngineError::new(ErrorClass::Unavailable, text)
    })?;
    Ok(hidden)
}

/// How the name of a half made one begins.
const HIDDEN: &str = ".tmp-";

/// Built under a hidden name and renamed; what is renamed survives a loss of power.
fn make_shared(folder: &Path, name: &str) -> io::Result<()> {
    let path = folder.join(name);
    // by path: a folder of ours; somebody may have made it while we waited
    if path.is_dir() {
        return Ok(());
    }
    let make = |path: &Path| {
        let op = Op::MakeDir(At::path(path), 0o755);
        perform("container.points.folder", op)
    };
    match make(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let hidden = folder.join(format!("{HIDDEN}{name}"));
    remove_tree("container.points.clear", At::path(&hidden))?;
    make(&hidden)?;
    let Some(points) = MountPoints::of_shared(name) else {
        let text = "its name does not say what is in it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    points.make(&hidden)?;
    let sync = |path: &Path| {
        // by path: a folder of ours
        let folder = File::open(path)?;
        perform("container.points.sync", Op::SyncDir(folder.as_fd()))
    };
    sync(&hidden)?;
    let rename = Op::Rename {
        from: At::path(&hidden),
        to: At::path(&path),
        replace: Replace::No,
    };
    perform("container.points.publish", rename)?;
    sync(folder)
}

/// Whether a layer is one of mount points, and not of an image.
pub(crate) fn is_points(layer: &Path) -> bool {
    // `layer/empty` is of containers of an older make.
    layer.ends_with(OWN) || layer.ends_with("layer/empty") || is_shared(layer)
}

/// Whether a layer is a shared one of mount points.
pub(crate) fn is_shared(layer: &Path) -> bool {
    layer
        .parent()
        .is_some_and(|folder| folder.ends_with(SHARED))
}

/// The end of the path of a container's own layer of mount points.
const OWN: &str = "layer/init";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_made_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(SHARED);
        make_shared(&folder, "proc+sys").unwrap();
        make_shared(&folder, "proc+sys").unwrap();
        let made = folder.join("proc+sys");
        assert!(made.join("proc").is_dir() && made.join("sys").is_dir());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert!(is_points(&made) && is_shared(&made));
        assert!(is_points(Path::new("/b/containers/x/layer/init")));
        assert!(!is_points(Path::new("/b/layers/x/fs")));
    }
}

//! Mount points that many containers share: `mount-points/NAME+NAME...` below the engine's root.
//!
//! One is made once, whole under a hidden name, and stays for good: it is a few empty folders, and
//! there are few of them, ever.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
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

    /// Makes a shared folder, unless it is there; it stays for good.
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
        let folder = self.store().root().join(SHARED);
        // by path: a folder of ours, which need not be there
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let hidden = |name: &OsString| name.as_bytes().starts_with(HIDDEN.as_bytes());
        let left: Vec<OsString> = entries.map(|e| e.file_name()).filter(hidden).collect();
        if left.is_empty() {
            return Ok(());
        }
        let _names = self.store().lock_names()?;
        for name in left {
            let path = folder.join(name);
            remove_tree("container.points.sweep", At::path(&path)).map_err(|e| {
                let text = format!("cannot remove {}: {e}", path.display());
                EngineError::new(ErrorClass::Unavailable, text)
            })?;
        }
        Ok(())
    }
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
    MountPoints::of_shared(name).make(&hidden)?;
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

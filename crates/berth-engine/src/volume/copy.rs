//! What fills the empty volumes of a container: what its root has in their place.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use berth_base::state::RootSource;

use super::mounts::MadeVolumes;
use crate::EngineError;
use crate::storage::{self, CopyUpTree, HasFolder};

impl MadeVolumes<'_> {
    /// Fills the empty volumes from a root. The built-in host image fills none: its folders are this
    /// host's, secrets and all.
    pub(crate) fn fill_from(&self, root: &RootSource) -> Result<(), EngineError> {
        let (folders, plain): (Vec<PathBuf>, bool) = match root {
            RootSource::Host => return Ok(()),
            RootSource::Directory { path, .. } => (vec![path.clone()], true),
            RootSource::Layers { lowers, .. } => (storage::real(lowers), false),
        };
        let copy_ups = self.copy_ups()?;
        if copy_ups.is_empty() || folders.is_empty() {
            return Ok(());
        }
        for copy_up in copy_ups {
            let target = PathBuf::from(copy_up.target());
            // The image may have nothing there, or a file.
            let look = HasFolder {
                folders: folders.clone(),
                plain,
                path: target.clone(),
                rootless: storage::is_rootless(),
            };
            let found = self.engine().storage_if_need_be(&look);
            if !found.map_err(|e| copy_up.failed(&std::io::Error::other(e.message)))? {
                continue;
            }
            copy_up.begin()?;
            let work = CopyUpTree {
                folders: folders.clone(),
                plain,
                path: target,
                into: path_of(copy_up.data())?,
                rootless: storage::is_rootless(),
                squash: storage::single_id().is_some(),
            };
            self.engine().storage(&work)?;
            copy_up.finish()?;
        }
        Ok(())
    }
}

/// The path of a volume's folder, for a worker that has no descriptor of it.
fn path_of(folder: impl AsFd) -> Result<PathBuf, EngineError> {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
    // by path: procfs, of our own descriptor
    std::fs::read_link(Path::new(&link)).map_err(|e| {
        let text = format!("cannot tell where a volume is: {e}");
        EngineError::new(berth_base::ErrorClass::Internal, text)
    })
}

//! Work on single files of layers, for images whose very root belongs to another user.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_image::layer::merged::{Found, Last};
use rustix::fs::{Gid, Mode, Uid};
use serde::{Deserialize, Serialize};

use super::work::{Work, open, root_stack, stack};
use crate::EngineError;
use crate::user::Accounts;

/// Reads who is who in an image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadAccounts {
    /// Its layers, the topmost first.
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) rootless: bool,
}

impl Work for ReadAccounts {
    const NAME: &'static str = "accounts";
    type Done = Accounts;

    fn perform_to(&self, _out: &File) -> Result<Accounts, EngineError> {
        let stack = stack(&self.folders, self.rootless)?;
        Ok(Accounts::read_from(|path| stack.open_file(path))?)
    }
}

/// Gives the folder of a container's own layer, which the kernel takes for its `/`, the owner and
/// mode of the topmost layer's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DressUpper {
    /// The topmost layer.
    pub(crate) from: PathBuf,
    /// The upper folder.
    pub(crate) upper: PathBuf,
}

impl Work for DressUpper {
    const NAME: &'static str = "dress-upper";
    type Done = ();

    fn perform_to(&self, _out: &File) -> Result<(), EngineError> {
        let failed = |path: &Path, e: std::io::Error| {
            let text = format!("cannot give {} its owner and mode: {e}", path.display());
            EngineError::new(ErrorClass::Unavailable, text)
        };
        // by path: folders of our own
        let wanted = std::fs::metadata(&self.from).map_err(|e| failed(&self.from, e))?;
        let upper = open(&self.upper)?;
        let owner = (Uid::from_raw(wanted.uid()), Gid::from_raw(wanted.gid()));
        let has = rustix::fs::fstat(&upper).map_err(|e| failed(&self.upper, e.into()))?;
        let is_owned = (has.st_uid, has.st_gid) == (wanted.uid(), wanted.gid());
        if !is_owned {
            rustix::fs::fchown(&upper, Some(owner.0), Some(owner.1))
                .map_err(|e| failed(&self.upper, e.into()))?;
        }
        // After the owner: a change of that takes bits away.
        rustix::fs::fchmod(&upper, Mode::from_raw_mode(wanted.mode() & 0o7777))
            .map_err(|e| failed(&self.upper, e.into()))
    }
}

/// Whether a root has a folder at a place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HasFolder {
    /// The folders that make up the root, the topmost first.
    pub(crate) folders: Vec<PathBuf>,
    /// It is one folder as it is, not layers.
    pub(crate) plain: bool,
    /// The place.
    pub(crate) path: PathBuf,
    pub(crate) rootless: bool,
}

impl Work for HasFolder {
    const NAME: &'static str = "has-folder";
    type Done = bool;

    fn perform_to(&self, _out: &File) -> Result<bool, EngineError> {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        let stack = root_stack(&self.folders, self.plain, self.rootless)?;
        match stack.find(&self.path, Last::Follow) {
            Ok(Found::Folder(_)) => Ok(true),
            Ok(Found::Other(_)) => Ok(false),
            Err(e) if matches!(e.kind(), NotFound | NotADirectory) => Ok(false),
            Err(e) => {
                let text = format!("cannot look at {} of the image: {e}", self.path.display());
                Err(EngineError::new(ErrorClass::Unavailable, text))
            }
        }
    }
}

//! One cgroup directory of a container in one hierarchy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::io::Errno;

use super::error::CgroupError;
use super::files;

/// A cgroup directory: its path, and its descriptor once somebody needs it.
#[derive(Debug)]
pub(super) struct Branch {
    /// v1: the hierarchy's controllers. v2: empty.
    pub(super) controllers: Vec<String>,
    /// The absolute path.
    pub(super) path: PathBuf,
    /// Whether it was there before us: a failed creation leaves it alone.
    pub(super) adopted: bool,
    dir: OnceLock<OwnedFd>,
}

impl Branch {
    /// A directory that was just made and opened.
    pub(super) fn opened(controllers: Vec<String>, path: PathBuf, dir: OwnedFd) -> Self {
        Self {
            controllers,
            path,
            adopted: false,
            dir: OnceLock::from(dir),
        }
    }

    /// A directory that is opened when it is first needed.
    pub(super) fn named(controllers: Vec<String>, path: PathBuf) -> Self {
        Self {
            controllers,
            path,
            adopted: false,
            dir: OnceLock::new(),
        }
    }

    /// The directory's descriptor; ENOENT when the cgroup is gone.
    pub(super) fn dir(&self) -> Result<BorrowedFd<'_>, Errno> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir.as_fd());
        }
        let dir = files::open_directory(&self.path)?;
        // Another thread may have been faster; either descriptor serves.
        Ok(self.dir.get_or_init(|| dir).as_fd())
    }

    /// The directory's descriptor, with an error that names it.
    pub(super) fn open(&self) -> Result<BorrowedFd<'_>, CgroupError> {
        self.dir().map_err(files::access("open", &self.path, ""))
    }

    /// Reads one file, `None` when the file or the whole cgroup is not there.
    pub(super) fn read_if_present(&self, file: &str) -> Result<Option<String>, CgroupError> {
        match self.dir().and_then(|dir| files::read_at(dir, file)) {
            Ok(text) => Ok(Some(text)),
            // ENODEV: the cgroup was removed while its directory was still open.
            Err(Errno::NOENT | Errno::NODEV) => Ok(None),
            Err(errno) => Err(files::access("read", &self.path, file)(errno)),
        }
    }

    /// Whether this is the hierarchy of a v1 controller.
    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// The path as text for the state file.
    pub(super) fn path_text(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        Path::join(&self.path, name)
    }
}

//! A folder for the time of one command.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// A folder of our own, below /tmp as a rule, removed with all that is in it when dropped. Its path is short,
/// since unix sockets below it may have paths of at most 108 bytes.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder for a purpose named in its name.
    ///
    /// # Errors
    /// It cannot be made, for one because it exists.
    pub(crate) fn make(purpose: &str) -> Outcome<Self> {
        Self::make_in(&std::env::temp_dir(), purpose)
    }

    /// Makes the folder below another than /tmp.
    ///
    /// # Errors
    /// As [`Scratch::make`].
    pub(crate) fn make_in(parent: &Path, purpose: &str) -> Outcome<Self> {
        let path = parent.join(format!("berth-{purpose}-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| Failure::file("create", &path, &error))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(|error| Failure::file("create", &path, &error))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("xtask: {}", Failure::file("remove", &self.path, &error));
        }
    }
}

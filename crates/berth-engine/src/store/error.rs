//! What can go wrong with the files of a container.

use std::io;
use std::path::{Path, PathBuf};

use berth_base::{ContainerId, ErrorClass};
use berth_persist::PersistError;

use crate::EngineError;

/// A state file or folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "cannot read {path}: it has version {version}, this berth reads up to {newest}; use the newer berth that wrote it",
        path = path.display()
    )]
    Newer {
        path: PathBuf,
        version: u32,
        newest: u32,
    },
    #[error(
        "cannot read {path}: {source}; the file is damaged, remove the container with \"berth rm -f{}\"",
        owner(path),
        path = path.display()
    )]
    Damaged { path: PathBuf, source: io::Error },
    #[error("no such container: {0}; \"berth ps -a\" lists all containers")]
    NoContainer(String),
    #[error("the reference {reference:?} is ambiguous: it matches {matches}; give more digits of the id", matches = matches.join(", "))]
    Ambiguous {
        reference: String,
        matches: Vec<String>,
    },
    #[error(
        "the name {name:?} is taken by container {holder}; remove it with \"berth rm {name}\" or choose another name"
    )]
    NameTaken { name: String, holder: String },
    #[error("no free name was found in {0} tries; give one with --name")]
    NamesExhausted(u32),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, why: impl Into<io::Error>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            source: why.into(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => class_of(source),
            Self::Newer { .. } => ErrorClass::Unsupported,
            Self::Damaged { .. } => ErrorClass::Internal,
            Self::NoContainer(_) => ErrorClass::NotFound,
            Self::Ambiguous { .. } => ErrorClass::Invalid,
            Self::NameTaken { .. } => ErrorClass::Conflict,
            Self::NamesExhausted(_) => ErrorClass::Unavailable,
        }
    }

    fn object(&self) -> Option<String> {
        match self {
            Self::Io { path, .. } | Self::Newer { path, .. } | Self::Damaged { path, .. } => {
                Some(path.display().to_string())
            }
            Self::NoContainer(reference) | Self::Ambiguous { reference, .. } => {
                Some(reference.clone())
            }
            Self::NameTaken { name, .. } => Some(name.clone()),
            Self::NamesExhausted(_) => None,
        }
    }
}

/// Whose file it is, by the folder that it lies in.
fn owner(path: &Path) -> String {
    let folders = path.ancestors().filter_map(Path::file_name);
    let mut ids = folders.filter_map(|name| name.to_str()?.parse::<ContainerId>().ok());
    ids.next()
        .map_or_else(String::new, |id| format!(" {}", id.short()))
}

/// The class of an I/O error on one of our own files.
fn class_of(error: &io::Error) -> ErrorClass {
    match error.raw_os_error() {
        // EPERM, EACCES, EROFS.
        Some(1 | 13 | 30) => ErrorClass::Denied,
        // EMFILE, ENFILE, ENOSPC, EDQUOT.
        Some(23 | 24 | 28 | 122) => ErrorClass::Unavailable,
        _ => ErrorClass::Internal,
    }
}

impl From<PersistError> for StoreError {
    fn from(error: PersistError) -> Self {
        Self::Io {
            action: error.action,
            path: error.path,
            source: error.source,
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        let mut engine = Self::new(error.class(), error.to_string());
        engine.object = error.object();
        match &error {
            StoreError::Io { source, .. } => engine.caused_by(source),
            _ => engine,
        }
    }
}

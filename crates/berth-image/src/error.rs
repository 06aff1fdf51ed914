//! What can go wrong with images.

use std::io;
use std::path::{Path, PathBuf};

use berth_base::{Digest, ErrorClass};
use berth_persist::PersistError;

use crate::InvalidReference;

/// An operation on images failed: what, on which object, why, what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The text names no image.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// There is no such image here.
    #[error("no such image: {0}; \"berth images\" lists all, \"berth pull\" fetches one")]
    NoImage(String),
    /// A short id that several images begin with.
    #[error("the id {id:?} is ambiguous: it matches {}; give more digits", .matches.join(", "))]
    Ambiguous {
        /// As typed.
        id: String,
        /// Short ids.
        matches: Vec<String>,
    },
    /// Something still needs the image.
    #[error("cannot remove image {image}: {why}")]
    InUse {
        /// The image.
        image: String,
        /// By whom, and what to do.
        why: String,
    },
    /// A blob of the store is not there.
    #[error("the blob {digest} of {of} is missing; pull or load the image again")]
    MissingBlob {
        /// The blob.
        digest: Digest,
        /// What it belongs to.
        of: String,
    },
    /// Content is not what its digest says.
    #[error(
        "{what} has the digest {actual}, {expected} was expected; nothing of it was kept, try again or ask its publisher"
    )]
    Digest {
        /// Which content.
        what: String,
        /// What was promised.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// Content is not as long as its descriptor says.
    #[error(
        "{what} has {actual} bytes, {expected} were expected; nothing of it was kept, try again or ask its publisher"
    )]
    Size {
        /// Which content.
        what: String,
        /// What was promised.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// Content that has the right digest and still makes no sense.
    #[error("cannot use {what}: {why}")]
    Malformed {
        /// Which content.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A media type, algorithm or feature that this build does not know.
    #[error("cannot use {what}: {why}")]
    Unsupported {
        /// Which content.
        what: String,
        /// What is not known, and what to do.
        why: String,
    },
    /// More than the limits allow.
    #[error("refused {what}: {why}")]
    Limit {
        /// Which content.
        what: String,
        /// Which limit, and how to raise it.
        why: String,
    },
    /// The store was written by a newer program.
    #[error("cannot use {}: it has version {version}, this berth knows up to {newest}; use the newer berth that wrote it", .path.display())]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// What this build knows.
        newest: u32,
    },
    /// The file system said no.
    #[error("cannot {action} {}: {source}{}", .path.display(), hint(.action, .source))]
    Io {
        /// A verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// Another process could not do it.
    #[error("cannot unpack {what}: {message}")]
    Worker {
        /// What kind of failure.
        class: ErrorClass,
        /// Which content.
        what: String,
        /// Its words.
        message: String,
    },
    /// A registry said no, or nothing at all.
    #[error("{message}")]
    Registry {
        /// What kind of failure.
        class: ErrorClass,
        /// The whole line.
        message: String,
    },
}

impl ImageError {
    /// Wraps an answer of the file system.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Says that content makes no sense.
    pub fn malformed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Malformed {
            what: what.into(),
            why: why.into(),
        }
    }

    /// Says more exactly which content it is about, where it is about content.
    #[must_use]
    pub(crate) fn renamed(mut self, rename: impl FnOnce(&str) -> String) -> Self {
        if let Self::Digest { what, .. }
        | Self::Size { what, .. }
        | Self::Malformed { what, .. }
        | Self::Unsupported { what, .. }
        | Self::Limit { what, .. } = &mut self
        {
            *what = rename(what);
        }
        self
    }

    /// Says that content is of a kind that is not known.
    pub fn unsupported(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            why: why.into(),
        }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Reference(_)
            | Self::Ambiguous { .. }
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::Malformed { .. }
            | Self::Limit { .. } => ErrorClass::Invalid,
            Self::NoImage(_) | Self::MissingBlob { .. } => ErrorClass::NotFound,
            Self::InUse { .. } => ErrorClass::Conflict,
            Self::Unsupported { .. } | Self::Newer { .. } => ErrorClass::Unsupported,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => ErrorClass::Denied,
                io::ErrorKind::NotFound => ErrorClass::NotFound,
                _ => ErrorClass::Unavailable,
            },
            Self::Worker { class, .. } | Self::Registry { class, .. } => *class,
        }
    }
}

impl From<PersistError> for ImageError {
    fn from(error: PersistError) -> Self {
        Self::Io {
            action: error.action,
            path: error.path,
            source: error.source,
        }
    }
}

/// What to do about the errors of disks; of a full one the engine says it, for all stores alike.
fn hint(action: &str, source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
            if action == "set the owner of" =>
        {
            "; the id is not one of yours, see /etc/subuid and /etc/subgid"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; remount it writable or give another --root",
        _ => "",
    }
}

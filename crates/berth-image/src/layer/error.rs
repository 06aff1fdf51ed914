//! What can go wrong with a layer.

use std::io;
use std::path::PathBuf;

use berth_base::{ErrorClass, escape_untrusted};

use crate::ImageError;

/// A layer cannot be unpacked, read or packed. Whatever was written of it is worth nothing.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The archive makes no sense.
    #[error("malformed tar at byte {offset}{}: {why}", about(.entry))]
    Malformed {
        /// Where in the uncompressed stream the entry ends, about.
        offset: u64,
        /// Its name, empty where there is none.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// The compressed stream is damaged.
    #[error("its {format} data is damaged: {source}")]
    Damaged {
        /// How it is compressed.
        format: &'static str,
        /// What the decoder says.
        source: io::Error,
    },
    /// It is compressed in a way that is not read.
    #[error("it is compressed by {0}; pack it anew with gzip or zstd")]
    Compressed(&'static str),
    /// A kind of archive or folder that is not known.
    #[error("{0}")]
    Unsupported(String),
    /// What is there and what is to come do not go together.
    #[error("{0}")]
    Conflict(String),
    /// More than a limit allows.
    #[error(
        "{what} is more than the limit {name} ({limit}); raise it in config.toml for images that you trust"
    )]
    Limit {
        /// What is too much.
        what: String,
        /// The limit's name in the configuration.
        name: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The source of the stream failed.
    #[error("cannot read it: {0}")]
    Read(#[source] io::Error),
    /// The destination of a packed stream failed.
    #[error("cannot write it: {0}")]
    Write(#[source] io::Error),
    /// The file system said no.
    #[error("cannot {action} {}: {source}{}", display(.path), hint(.action, .source))]
    Io {
        /// A verb.
        action: &'static str,
        /// On which path of the layer.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

impl LayerError {
    /// Wraps an answer of the file system about a path of a layer.
    pub(super) fn io(action: &'static str, path: &[u8], source: impl Into<io::Error>) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let path = if path.is_empty() { b"/" } else { path };
        Self::Io {
            action,
            path: PathBuf::from(std::ffi::OsStr::from_bytes(path)),
            source: source.into(),
        }
    }

    /// Wraps an answer of a reader, which may itself hand a [`LayerError`] through.
    pub(crate) fn read(source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(own) => own,
            Err(source) => Self::Read(source),
        }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Malformed { .. } | Self::Damaged { .. } | Self::Limit { .. } => {
                ErrorClass::Invalid
            }
            Self::Unsupported(_) | Self::Compressed(_) => ErrorClass::Unsupported,
            Self::Conflict(_) => ErrorClass::Conflict,
            Self::Read(_) | Self::Write(_) => ErrorClass::Unavailable,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => ErrorClass::Denied,
                io::ErrorKind::NotFound => ErrorClass::NotFound,
                _ => ErrorClass::Unavailable,
            },
        }
    }

    /// The same failure as one of images; `what` names the layer: `layer sha256:...`.
    pub fn of(self, what: impl Into<String>) -> ImageError {
        let what = what.into();
        let why = self.to_string();
        match self {
            Self::Malformed { .. } | Self::Damaged { .. } => ImageError::malformed(what, why),
            Self::Unsupported(_) | Self::Compressed(_) | Self::Conflict(_) => {
                ImageError::unsupported(what, why)
            }
            Self::Limit { .. } => ImageError::Limit { what, why },
            Self::Read(source) => ImageError::io("read", what.as_ref(), source),
            Self::Write(source) => ImageError::io("write", what.as_ref(), source),
            Self::Io {
                action,
                path,
                source,
            } => {
                let of = format!("{} of {what}", display(&path));
                ImageError::io(action, of.as_ref(), source)
            }
        }
    }
}

/// A path of an archive, safe to print.
pub(super) fn printable(path: &[u8]) -> String {
    escape_untrusted(&String::from_utf8_lossy(path)).into_owned()
}

fn display(path: &std::path::Path) -> String {
    escape_untrusted(&path.to_string_lossy()).into_owned()
}

fn about(entry: &str) -> String {
    if entry.is_empty() {
        String::new()
    } else {
        format!(", entry {entry}")
    }
}

/// What to do about the answers that users can do something about.
fn hint(action: &str, source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => "; free some space, \"berth system prune\" does",
        io::ErrorKind::PermissionDenied if action == "make device" => {
            "; only root may make devices"
        }
        io::ErrorKind::PermissionDenied if action == "set the owner of" => {
            "; the id is not one of the caller's, see /etc/subuid and /etc/subgid"
        }
        io::ErrorKind::InvalidInput if action == "set the owner of" => {
            "; the id is not mapped into this user namespace, see /etc/subuid and /etc/subgid"
        }
        _ => "",
    }
}

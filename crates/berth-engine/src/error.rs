//! What can go wrong in a use-case.

use std::io;

use berth_base::ErrorClass;

/// What to do where there is no room.
const ROOM: &str = "\"berth system df\" says what takes room; \"berth rm\" and \"berth system prune\" give some back without needing any";

/// What to do where a file system became read-only.
const MENDED: &str = "a disk that failed is made read-only by the kernel, \"dmesg\" says why; once it is mended, \"mount -o remount,rw\" with its mount point gives it back";

/// A failed use-case: one line that says what failed, on which object, why, what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// What kind of failure.
    pub class: ErrorClass,
    /// The line.
    pub message: String,
    /// The object it is about, for `--error-format json`.
    pub object: Option<String>,
    /// The next step, when it is not part of the line.
    pub hint: Option<String>,
    /// An exit code that the class alone does not give (126, 127, 125 of `run`).
    pub exit_code: Option<u8>,
    /// Whether a disk is full, or a quota used up: what frees room has to go on without a record.
    pub(crate) no_space: bool,
    /// Whether a file system is read-only: what ends a process has to go on without a record.
    pub(crate) read_only: bool,
}

/// Drops the failure to record something where there is no room for it.
pub(crate) fn unless_full(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if error.no_space => Ok(()),
        other => other,
    }
}

/// Drops the failure to record something where nothing can be written.
pub(crate) fn unless_unwritable(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if error.is_unwritable() => Ok(()),
        other => other,
    }
}

impl EngineError {
    /// Makes an error of a class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            object: None,
            hint: None,
            exit_code: None,
            no_space: false,
            read_only: false,
        }
    }

    /// Names the object.
    #[must_use]
    pub fn on(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do, where `cause` is a disk that is full or read-only, or a quota that is used up.
    #[must_use]
    pub(crate) fn caused_by(mut self, cause: &io::Error) -> Self {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match cause.kind() {
            StorageFull | QuotaExceeded => {
                self.no_space = true;
                self.hint = Some(ROOM.to_owned());
            }
            ReadOnlyFilesystem => {
                self.read_only = true;
                self.hint = Some(MENDED.to_owned());
            }
            _ => {}
        }
        self
    }

    /// Whether a file could not be written since its file system takes nothing.
    pub(crate) const fn is_unwritable(&self) -> bool {
        self.no_space || self.read_only
    }

    /// Fixes the exit code.
    #[must_use]
    pub const fn exit_code(mut self, code: u8) -> Self {
        self.exit_code = Some(code);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use berth_image::ImageError;
    use berth_net::NetError;

    use super::*;
    use crate::store::StoreError;

    /// Of every store, and by the same hint.
    #[test]
    fn no_room_is_told_alike() {
        let path = PathBuf::from("/x");
        let action = "write";
        // ENOSPC, EDQUOT, EROFS, EIO.
        for (errno, hint) in [
            (28, Some(ROOM)),
            (122, Some(ROOM)),
            (30, Some(MENDED)),
            (5, None),
        ] {
            let source = || io::Error::from_raw_os_error(errno);
            for error in [
                EngineError::from(StoreError::io(action, &path, source())),
                ImageError::io(action, &path, source()).into(),
                NetError::File {
                    action,
                    path: path.clone(),
                    source: source(),
                }
                .into(),
            ] {
                assert_eq!(error.hint.as_deref(), hint, "{error}");
                assert_eq!(error.no_space, hint == Some(ROOM), "{error}");
                assert_eq!(error.read_only, hint == Some(MENDED), "{error}");
            }
        }
    }
}

//! What can go wrong in a use-case.

use berth_base::ErrorClass;

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
}

/// Drops the failure to record something where there is no room for it.
pub(crate) fn unless_full(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if error.no_space => Ok(()),
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

    /// Fixes the exit code.
    #[must_use]
    pub const fn exit_code(mut self, code: u8) -> Self {
        self.exit_code = Some(code);
        self
    }
}

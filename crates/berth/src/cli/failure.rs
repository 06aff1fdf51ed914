//! The one place that turns errors into exit codes and into text for the user.
//!
//! | Command | Exit code of a failure |
//! |---|---|
//! | any, bad usage | 125 |
//! | run, create, exec | 125 of the engine, 126 not executable, 127 not found |
//! | others | 1 |

use std::io::{self, Write};

use berth_base::{ErrorClass, escape_untrusted};
use berth_engine::{EngineError, SessionError};
use berth_image::ImageError;
use clap::ValueEnum;
use serde::Serialize;

/// Exit code of bad usage, and of the engine's own failures in run, create and exec.
pub(crate) const EXIT_ENGINE: u8 = 125;
/// Exit code of a failure in any other command.
pub(crate) const EXIT_FAILURE: u8 = 1;

/// How errors are written to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorFormat {
    /// `berth: MESSAGE`, and a hint where there is one.
    #[default]
    Text,
    /// One JSON object a line: class, object, message, hint.
    Json,
}

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) class: ErrorClass,
    pub(crate) object: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// An exit code other than the command's usual one.
    #[serde(skip)]
    pub(crate) exit_code: Option<u8>,
}

impl Failure {
    /// A failure of a class.
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            object: None,
            message: message.into(),
            hint: None,
            exit_code: None,
        }
    }

    /// A request that makes no sense, found before anything was done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit_code: Some(EXIT_ENGINE),
            ..Self::new(ErrorClass::Invalid, message)
        }
    }

    /// Names the object.
    pub(crate) fn on(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Adds a next step to those that it has.
    pub(crate) fn hinted(mut self, hint: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(first) => format!("{first}; {hint}"),
            None => hint.to_owned(),
        });
        self
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::from(EngineError::from(error))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self {
            class: error.class,
            object: error.object,
            message: error.message,
            hint: error.hint,
            exit_code: error.exit_code,
        }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let class = match error {
            SessionError::Version(_) => ErrorClass::Conflict,
            SessionError::Unknown(_) => ErrorClass::Internal,
            SessionError::Connect(_)
            | SessionError::Broken(_)
            | SessionError::Silent
            | SessionError::Refused(_) => ErrorClass::Unavailable,
        };
        Self::new(class, error.to_string())
    }
}

/// Writes failures and warnings to standard error, never anything else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    format: ErrorFormat,
}

impl Console {
    /// Makes a console that writes in a format.
    pub(crate) const fn new(format: ErrorFormat) -> Self {
        Self { format }
    }

    /// Reports a failure. Where standard error is closed there is nobody to tell.
    pub(crate) fn fail(&self, failure: &Failure) {
        write_quietly(&match self.format {
            ErrorFormat::Text => text(failure),
            ErrorFormat::Json => crate::view::json::line(failure) + "\n",
        });
    }

    /// Tells a person at a terminal what is being done.
    pub(crate) fn say(&self, text: &str) {
        write_quietly(&format!("berth: {}\n", escape_untrusted(text)));
    }

    /// Tells the user something that does not change the outcome.
    pub(crate) fn warn(&self, warning: &str) {
        write_quietly(&match self.format {
            ErrorFormat::Text => format!("berth: warning: {}\n", escape_untrusted(warning)),
            ErrorFormat::Json => {
                crate::view::json::line(&serde_json::json!({ "warning": warning })) + "\n"
            }
        });
    }
}

/// A failure as lines of text. The lines of a message (a list of survivors) are kept; anything
/// else in it that could steer a terminal is escaped.
fn text(failure: &Failure) -> String {
    let mut text = String::from("berth: ");
    for (index, line) in failure.message.lines().enumerate() {
        if index > 0 {
            text.push_str("\n  ");
        }
        text.push_str(&escape_untrusted(line));
    }
    text.push('\n');
    if let Some(hint) = &failure.hint {
        text.push_str("hint: ");
        text.push_str(&escape_untrusted(hint));
        text.push('\n');
    }
    text
}

/// Writes in one call; a standard error that does not take it cannot be told of that either.
fn write_quietly(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_hint_follows_the_first() {
        let failure = Failure::new(ErrorClass::Unavailable, "no room").hinted("make some");
        let failure = failure.hinted("try again");
        assert_eq!(failure.hint.as_deref(), Some("make some; try again"));
    }

    #[test]
    fn lines_are_kept_and_escapes_are_not() {
        let failure = Failure {
            hint: Some("kill them".to_owned()),
            ..Failure::new(ErrorClass::Conflict, "web is not empty:\n31995 \x1b[2Jsh").on("web")
        };
        insta::assert_snapshot!(text(&failure), @r"
        berth: web is not empty:
          31995 \x1b[2Jsh
        hint: kill them
        ");
        insta::assert_snapshot!(crate::view::json::line(&failure), @r#"{"class":"conflict","object":"web","message":"web is not empty:\n31995 \u001b[2Jsh","hint":"kill them"}"#);
    }
}

//! What is wrong with a template, and where.

/// A template does not parse, or does not fit the object it is rendered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template:{line}:{column}: {message}")]
pub(crate) struct TemplateError {
    /// Line, from 1.
    line: usize,
    /// Column in characters, from 1.
    column: usize,
    /// What is wrong.
    message: String,
}

/// The same before its offset is turned into line and column.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }

    /// Finds line and column of the offset in `source`.
    pub(super) fn at(self, source: &str) -> TemplateError {
        let before = source.get(..self.offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        TemplateError {
            line: before.matches('\n').count() + 1,
            column: before.chars().count() - source.get(..line_start).unwrap_or("").chars().count()
                + 1,
            message: self.message,
        }
    }
}

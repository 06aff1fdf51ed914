//! The commands.

pub(crate) mod parse;

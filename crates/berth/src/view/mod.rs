//! How things are shown: JSON, tables, durations and sizes in words.
//!
//! Pure: takes values, gives text. Text that a container controls is escaped here.

pub(crate) mod json;

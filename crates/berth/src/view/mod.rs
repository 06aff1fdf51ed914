//! How things are shown: JSON, tables, durations and sizes in words.
//!
//! Pure: takes values, gives text. Text that a container controls is escaped here.

pub(crate) mod columns;
pub(crate) mod exec_session;
pub(crate) mod image;
pub(crate) mod inspect;
pub(crate) mod json;
pub(crate) mod listing;
pub(crate) mod log;
pub(crate) mod mounts;
pub(crate) mod network;
pub(crate) mod ports;
pub(crate) mod row;
pub(crate) mod size;
pub(crate) mod span;
pub(crate) mod table;
pub(crate) mod volume;
pub(crate) mod wires;

//! The caller's terminal and streams, joined to a container's.
//!
//! [`attach`] moves bytes, sizes and signals between this process and a monitor until the
//! container's process ends, the user detaches, or the reader of our output leaves. One thread,
//! one poll(2) loop: whatever cannot be written now stops its source from being read.

mod attach;
mod detach;
mod input;
mod output;
mod pump;
mod raw;
mod secret;
mod signals;

pub(crate) use attach::{Attachment, End, Shown, attach};
pub(crate) use raw::{RawMode, check_terminal, terminal_size};
pub(crate) use secret::read_secret;
pub(crate) use signals::{SignalPolicy, Signals};

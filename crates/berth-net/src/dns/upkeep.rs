//! What the process does besides answering questions.
//!
//! It is the one process that is there as long as containers need something of the host, so it also
//! sees to what they need and somebody may take away. What that is, its maker knows.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

/// Work that the process waits for, too. Nothing of it may wait for anything.
pub trait Upkeep {
    /// What can be read when there is something to hear.
    fn source(&self) -> BorrowedFd<'_>;

    /// There is something to hear.
    fn hear(&mut self, now: Instant);

    /// When there is something to do next.
    fn due(&self) -> Option<Instant>;

    /// Does what is due.
    fn act(&mut self, now: Instant);

    /// Who needs this work; asked when the process would end because it serves nobody.
    fn needs(&mut self) -> Needs;
}

/// For whose sake a process stays.
#[derive(Debug, Default)]
pub struct Needs {
    /// The pidfds of those that run: asked again when the last one has ended.
    pub running: Vec<OwnedFd>,
    /// Somebody is about to run: asked again after a while.
    pub starting: bool,
}

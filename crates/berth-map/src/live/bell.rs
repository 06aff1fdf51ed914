//! Wakes a thread that waits for a descriptor (eventfd(2)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// Readable from [`Self::ring`] to [`Self::hush`].
#[derive(Debug)]
pub(super) struct Bell(OwnedFd);

impl Bell {
    /// A bell that is silent.
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(eventfd(0, flags)?))
    }

    /// Wakes whoever waits, now or next time.
    pub(super) fn ring(&self) {
        // Full means that it rings already; nothing else can go wrong with an open eventfd.
        rustix::io::write(&self.0, &1u64.to_ne_bytes()).ok();
    }

    /// Silences it; whether it rang.
    pub(super) fn hush(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_until_hushed() {
        let bell = Bell::new().unwrap();
        assert!(!bell.hush());
        bell.ring();
        bell.ring();
        assert!(bell.hush());
        assert!(!bell.hush());
    }
}

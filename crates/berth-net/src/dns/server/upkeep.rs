//! The work besides, and for whose sake the process stays where nobody asks for names.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::epoll::EventFlags;

use super::slots::Token;
use super::{Door, Server, Source};
use crate::dns::error::DnsError;
use crate::dns::upkeep::Upkeep;

impl Server {
    /// Has the process do this, too.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn with_upkeep(mut self, upkeep: Box<dyn Upkeep>) -> Result<Self, DnsError> {
        let watched = self.watch(upkeep.source(), Source::Upkeep, EventFlags::IN);
        watched.map_err(|source| DnsError::System {
            what: "wait for clients of",
            path: self.door.path().to_owned(),
            source,
        })?;
        self.upkeep = Some(upkeep);
        Ok(self)
    }

    pub(super) fn hear_upkeep(&mut self) {
        if let Some(upkeep) = &mut self.upkeep {
            upkeep.hear(self.now);
        }
    }

    pub(super) fn upkeep_due(&self) -> Option<Instant> {
        self.upkeep.as_ref()?.due()
    }

    pub(super) fn keep_up(&mut self) {
        if let Some(upkeep) = &mut self.upkeep
            && upkeep.due().is_some_and(|due| due <= self.now)
        {
            upkeep.act(self.now);
        }
    }

    /// Ends the service where nobody needs it any more; says whether it has ended.
    pub(super) fn has_ended(&mut self) -> Result<bool, DnsError> {
        if !self.is_unused() || self.is_needed() {
            return Ok(false);
        }
        self.door.hide()?;
        // Who found the name before counts on us.
        self.accept_control();
        if self.controls.is_empty() {
            return Ok(true);
        }
        self.door = Door::open(&self.config.state)?;
        self.watch_door()?;
        Ok(false)
    }

    /// Whether the work besides is needed by somebody, for whom the process then stays.
    fn is_needed(&mut self) -> bool {
        let Some(upkeep) = &mut self.upkeep else {
            return false;
        };
        let needs = upkeep.needs();
        let mut again = needs.starting;
        for process in needs.running {
            again |= !self.hold(process);
        }
        let held = !self.held.is_empty();
        if held || again {
            self.unused_since = Some(self.now).filter(|_| !held);
        }
        held || again
    }

    /// Stays until a process has ended; answers whether that can be waited for.
    fn hold(&mut self, process: OwnedFd) -> bool {
        let token = self.held.insert(process);
        let watched = self.held.get(token).is_some_and(|process| {
            let watched = self.watch(process.as_fd(), Source::Held(token), EventFlags::IN);
            watched.is_ok()
        });
        if !watched {
            self.held.remove(token);
        }
        watched
    }

    pub(super) fn let_go(&mut self, token: Token) {
        if let Some(process) = self.held.remove(token) {
            self.unwatch(process.as_fd());
        }
        self.note_if_unused();
    }

    /// Remembers since when nobody is served.
    pub(super) fn note_if_unused(&mut self) {
        if self.containers.is_empty() && self.held.is_empty() {
            self.unused_since = Some(self.now);
        }
    }
}

//! What waits for one view, within bounds.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::{Event, Frame, Update};

/// Events that wait for a view at most: a second of a storm.
const MAX_EVENTS: usize = 16 * 1024;

/// Everything that is subscribed to a feed, as the feed holds it.
pub(super) struct Audience {
    members: Mutex<Members>,
    /// Rings for [`Self::called`]. `None` where no descriptor is left.
    bell: Option<Bell>,
}

/// What the thread that publishes is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Nothing.
    None,
    /// Somebody has subscribed.
    Subscribed,
    /// The feed is over.
    Dismissed,
}

#[derive(Default)]
struct Members {
    all: Vec<Weak<Mailbox>>,
    /// For those who come later.
    latest: Option<Arc<Frame>>,
    end: Option<Option<String>>,
    has_newcomer: bool,
    is_dismissed: bool,
}

/// What waits for one view.
#[derive(Default)]
struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    updates: VecDeque<Update>,
    events: usize,
    missed: u64,
    /// Nobody waits for this view.
    is_hopeless: bool,
}

/// One view's end of a feed. Dropping it unsubscribes.
pub struct Subscription {
    mailbox: Arc<Mailbox>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Audience {
    fn default() -> Self {
        Self {
            members: Mutex::default(),
            bell: Bell::new().ok(),
        }
    }
}

impl Audience {
    /// Readable when there is a call.
    pub(super) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.bell.as_ref().map(AsFd::as_fd)
    }

    /// What the thread that publishes is called for since the last time.
    pub(super) fn called(&self) -> Call {
        if let Some(bell) = &self.bell {
            bell.hush();
        }
        let mut members = lock(&self.members);
        let has_newcomer = std::mem::take(&mut members.has_newcomer);
        match (members.is_dismissed, has_newcomer) {
            (true, _) => Call::Dismissed,
            (false, true) => Call::Subscribed,
            (false, false) => Call::None,
        }
    }

    /// Ends the feed.
    pub(super) fn dismiss(&self) {
        lock(&self.members).is_dismissed = true;
        self.ring();
    }

    /// Whether a view that has everything so far is about to miss something.
    pub(super) fn is_behind(&self) -> bool {
        self.members_waiting(|waiting| waiting.is_behind())
    }

    /// Waits no longer for those who are behind, until they have read everything.
    pub(super) fn give_up(&self) {
        self.members_waiting(|waiting| {
            waiting.is_hopeless |= waiting.is_behind();
            false
        });
    }

    /// Whether something is so of any view.
    fn members_waiting(&self, mut look: impl FnMut(&mut Waiting) -> bool) -> bool {
        let members = lock(&self.members);
        let mut views = members.all.iter().filter_map(Weak::upgrade);
        views.any(|mailbox| look(&mut lock(&mailbox.waiting)))
    }

    /// Takes back the end.
    pub(super) fn revive(&self) {
        lock(&self.members).end = None;
    }

    /// Wakes the thread that publishes.
    pub(super) fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }

    /// Whether nobody listens.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.members)
            .all
            .iter()
            .all(|member| member.strong_count() == 0)
    }

    /// A new member, for which the latest frame waits.
    pub(super) fn subscribe(&self) -> Subscription {
        let mut members = lock(&self.members);
        let mailbox = Arc::new(Mailbox::default());
        let mut waiting = lock(&mailbox.waiting);
        waiting
            .updates
            .extend(members.latest.clone().map(Update::Frame));
        waiting.updates.extend(members.end.clone().map(Update::End));
        drop(waiting);
        members.all.retain(|member| member.strong_count() > 0);
        members.all.push(Arc::downgrade(&mailbox));
        members.has_newcomer = true;
        drop(members);
        self.ring();
        Subscription { mailbox }
    }

    /// Hands an update to everybody.
    pub(super) fn publish(&self, update: &Update) {
        let mut members = lock(&self.members);
        match update {
            Update::Frame(frame) => members.latest = Some(Arc::clone(frame)),
            Update::End(why) => members.end = Some(why.clone()),
            Update::Events(_) => {}
        }
        for mailbox in members.all.iter().filter_map(Weak::upgrade) {
            lock(&mailbox.waiting).add(update);
            mailbox.arrived.notify_one();
        }
    }
}

impl Waiting {
    fn add(&mut self, update: &Update) {
        match update {
            // A newer frame replaces one that nobody has looked at.
            Update::Frame(_) => self
                .updates
                .retain(|waiting| !matches!(waiting, Update::Frame(_))),
            Update::Events(events) => self.make_room(events),
            Update::End(_) => {}
        }
        self.updates.push_back(update.clone());
    }

    /// Drops the oldest events where there are too many.
    fn make_room(&mut self, new: &Arc<[Event]>) {
        self.events += new.len();
        while self.events > MAX_EVENTS {
            let is_events = |update: &Update| matches!(update, Update::Events(_));
            let Some(place) = self.updates.iter().position(is_events) else {
                return;
            };
            if let Some(Update::Events(old)) = self.updates.remove(place) {
                self.events -= old.len();
                self.missed += u64::try_from(old.len()).unwrap_or(u64::MAX);
            }
        }
    }

    fn take(&mut self) -> Option<Update> {
        let update = self.updates.pop_front()?;
        if let Update::Events(events) = &update {
            self.events -= events.len();
        }
        self.is_hopeless &= self.events > 0;
        Some(update)
    }

    fn is_behind(&self) -> bool {
        self.missed == 0 && !self.is_hopeless && self.events > MAX_EVENTS / 2
    }
}

impl Subscription {
    /// The next update, if one waits.
    pub fn try_next(&self) -> Option<Update> {
        lock(&self.mailbox.waiting).take()
    }

    /// The next update; `None` when there was none for so long.
    pub fn next(&self, patience: Duration) -> Option<Update> {
        let deadline = Instant::now() + patience;
        let mut waiting = lock(&self.mailbox.waiting);
        loop {
            if let Some(update) = waiting.take() {
                return Some(update);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let woken = self.mailbox.arrived.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Events that this view was too slow for.
    pub fn missed(&self) -> u64 {
        lock(&self.mailbox.waiting).missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{BootTime, EventKind, Exit};
    use berth_base::HostPid;

    fn events(count: usize) -> Update {
        let event = Event {
            at: BootTime(1),
            pid: HostPid::new(1).unwrap(),
            kind: EventKind::Exited(Exit::Unknown),
        };
        Update::Events(vec![event; count].into())
    }

    #[test]
    fn who_does_not_read_loses_the_oldest_events_and_knows_how_many() {
        let audience = Audience::default();
        let slow = audience.subscribe();
        for _ in 0..10 {
            audience.publish(&events(MAX_EVENTS / 4));
        }
        let kept = std::iter::from_fn(|| slow.try_next()).count();
        assert_eq!(kept, 4);
        assert_eq!(slow.missed(), 6 * MAX_EVENTS as u64 / 4);
    }

    #[test]
    fn who_left_is_forgotten() {
        let audience = Audience::default();
        let view = audience.subscribe();
        assert!(!audience.is_empty());
        drop(view);
        assert!(audience.is_empty());
        audience.publish(&events(1));
    }

    #[test]
    fn who_comes_late_learns_of_the_end() {
        let audience = Audience::default();
        audience.publish(&Update::End(None));
        let late = audience.subscribe();
        assert!(matches!(late.try_next(), Some(Update::End(None))));
        assert!(late.next(Duration::from_millis(1)).is_none());
    }
}

//! When to put back what somebody took away: soon, and not again and again.
//!
//! Whoever takes the rules away mostly has more to do, so it waits for a moment of quiet. A program
//! that takes them each time they come back is met ever later; it is left alone for a minute in the
//! end. Pure: the clock is the caller's.

use std::time::{Duration, Instant};

/// How long nothing may have happened. A restart of a firewall is several transactions.
const QUIET: Duration = Duration::from_millis(50);
/// How long that is waited for at most.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first pause after something was put back, which doubles with each time in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The peace after which it all begins anew, beyond the pauses.
const CALM: Duration = Duration::from_secs(10);

/// The times of one thing that is looked after.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    due: Option<Instant>,
    /// The first of what was heard since the last look.
    since: Option<Instant>,
    /// The last look, and how long to leave things alone after it.
    last: Option<Instant>,
    pause: Duration,
    /// When something was put back last.
    mended: Option<Instant>,
}

impl Pace {
    /// When to look.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// How long things are left alone from the last look on.
    pub(super) const fn pause(&self) -> Duration {
        self.pause
    }

    /// Something may be missing.
    pub(super) fn hear(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let quiet = (now + QUIET).min(since + PATIENCE);
        let allowed = self.last.map_or(quiet, |last| last + self.pause);
        self.due = Some(quiet.max(allowed));
    }

    /// Somebody else is at it just now.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.due = Some(now + QUIET);
    }

    /// Nothing was missing.
    pub(super) fn saw(&mut self, now: Instant) {
        self.looked(now);
        self.pause = self.pause.max(FIRST_PAUSE);
    }

    /// Something was, and is there again.
    pub(super) fn mend(&mut self, now: Instant) {
        let calm = CALM + self.pause * 4;
        let peace = self.mended.is_none_or(|last| now >= last + calm);
        self.pause = match peace {
            true => FIRST_PAUSE,
            false => (self.pause * 2).min(LONGEST_PAUSE),
        };
        self.looked(now);
        self.mended = Some(now);
    }

    /// It could not be put back: tried again after the pause.
    pub(super) fn fail(&mut self, now: Instant) {
        self.mend(now);
        self.since = Some(now);
        self.due = Some(now + self.pause);
    }

    fn looked(&mut self, now: Instant) {
        (self.due, self.since, self.last) = (None, None, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn it_waits_for_quiet_but_not_for_ever() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.due(), None);
        pace.hear(start);
        assert_eq!(pace.due(), Some(start + ms(50)));
        pace.hear(start + ms(40));
        assert_eq!(pace.due(), Some(start + ms(90)));
        for at in 0..30 {
            pace.hear(start + ms(at * 40));
        }
        assert_eq!(pace.due(), Some(start + ms(1000)));
        pace.put_off(start + ms(1000));
        assert_eq!(pace.due(), Some(start + ms(1050)));
        pace.saw(start + ms(1050));
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn who_takes_it_each_time_is_met_ever_later() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            pace.hear(now);
            now = pace.due().unwrap();
            pace.mend(now);
            pauses.push(pace.pause());
        }
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!((pauses[0], pauses[11]), (ms(100), LONGEST_PAUSE));
        // After a long peace it is as in the beginning.
        now += LONGEST_PAUSE * 4 + CALM;
        pace.hear(now);
        assert_eq!(pace.due(), Some(now + QUIET));
        pace.mend(now);
        assert_eq!(pace.pause(), FIRST_PAUSE);
    }

    #[test]
    fn what_failed_is_tried_again() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.hear(now);
        pace.fail(now);
        assert_eq!(pace.due(), Some(now + FIRST_PAUSE));
        pace.fail(now);
        assert_eq!(pace.due(), Some(now + FIRST_PAUSE * 2));
    }
}

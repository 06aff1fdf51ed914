//! Which moment is shown, and the stretch of time that can be gone back to.

use std::time::{Duration, SystemTime};

use berth_base::HostPid;
use berth_map::live::{BootTime, Density, History, Life, Update};

use super::marks::before;

/// Stretches that the timeline can show; the shortest one that holds all that is known.
const SPANS: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
    Duration::from_secs(600),
];

/// What has happened, and where in it we are.
#[derive(Default)]
pub(crate) struct Clock {
    pub(super) history: History,
    /// When, by the view's clock, something was heard last.
    heard: Duration,
    /// The view's clock.
    now: Duration,
    /// The moment that is looked at; `None` is now.
    position: Option<BootTime>,
    /// Where the recording is, if this is one.
    played: Option<BootTime>,
    has_ended: bool,
}

/// The timeline: how many started and ended in each column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// The time at its left end.
    pub(crate) from: BootTime,
    /// The time at its right end.
    pub(crate) to: BootTime,
    /// One for each column.
    pub(crate) columns: Vec<Density>,
    /// The column of the moment that is shown.
    pub(crate) cursor: usize,
    /// How much time it shows.
    pub(crate) span: Duration,
}

impl Clock {
    pub(super) fn hear(&mut self, update: &Update) {
        self.history.apply(update);
        self.heard = self.now;
        match update {
            Update::End(_) => self.has_ended = true,
            Update::Frame(_) => self.has_ended = false,
            Update::Events(_) => {}
        }
    }

    pub(super) fn set_now(&mut self, now: Duration) {
        self.now = now;
    }

    /// Hears where the recording is.
    pub(super) fn set_played(&mut self, played: Option<BootTime>) {
        self.played = played;
    }

    /// Now, on the clock of events. Time goes on though nothing is heard.
    pub(super) fn present(&self) -> BootTime {
        if let Some(played) = self.played {
            return played.max(self.history.now());
        }
        let since = match self.has_ended {
            true => Duration::ZERO,
            false => self.now.saturating_sub(self.heard),
        };
        after(self.history.now(), since)
    }

    /// The moment that is shown.
    pub(crate) fn moment(&self) -> BootTime {
        self.position.unwrap_or_else(|| self.present())
    }

    /// How long ago that is; `None` for now.
    pub(crate) fn ago(&self) -> Option<Duration> {
        Some(self.position?.until(self.present()))
    }

    /// The time of day at a moment, by the latest frame's.
    pub(crate) fn wall(&self, at: BootTime) -> Option<SystemTime> {
        let frame = self.history.latest()?;
        match at >= frame.at {
            true => frame.wall.checked_add(frame.at.until(at)),
            false => frame.wall.checked_sub(at.until(frame.at)),
        }
    }

    /// Goes to a moment; to now where that is not in the past.
    pub(super) fn go(&mut self, to: BootTime) {
        let to = to.max(self.history.earliest());
        self.position = (to < self.present()).then_some(to);
    }

    /// Goes to now.
    pub(super) fn go_live(&mut self) {
        self.position = None;
    }

    /// Goes as far back as anything is known.
    pub(super) fn go_back(&mut self) {
        self.go(self.history.earliest());
    }

    /// Moves by columns of a timeline so wide.
    pub(super) fn step(&mut self, columns: isize, width: u16) {
        let slot = self.slot(width);
        let by = Duration::from_nanos(slot.saturating_mul(columns.unsigned_abs() as u64));
        let moment = self.moment();
        self.go(match columns < 0 {
            true => before(moment, by),
            false => after(moment, by),
        });
    }

    /// Goes to the last start or exit before the moment that is shown, or to the next one after.
    pub(super) fn step_event(&mut self, forward: bool) {
        // Near ones first: ten minutes of a storm are hundreds of thousands.
        let reaches = [1, 10, 60, 600].map(Duration::from_secs);
        let found = reaches
            .into_iter()
            .find_map(|reach| self.next_event(forward, reach));
        match found {
            Some(time) => self.go(time),
            None if forward => self.go_live(),
            None => {}
        }
    }

    /// The nearest start or exit within reach.
    fn next_event(&self, forward: bool, reach: Duration) -> Option<BootTime> {
        let moment = self.moment();
        let (from, to) = match forward {
            true => {
                let to = after(moment, reach).min(self.present());
                (BootTime(moment.0.saturating_add(1)), to)
            }
            false => {
                let from = before(moment, reach).max(self.history.earliest());
                (from, BootTime(moment.0.saturating_sub(1)))
            }
        };
        let lives = self.history.lives(from, to);
        let times = lives.flat_map(|life| [Some(life.born), life.ended]);
        let times = times.flatten();
        let times = times.filter(|time| from <= *time && *time <= to);
        if forward { times.min() } else { times.max() }
    }

    /// The life of a process as far as it is known at any time, of one that is over or looked
    /// back at.
    pub(crate) fn life(&self, pid: HostPid) -> Option<Life> {
        self.history.life(pid)
    }

    /// How much time a timeline shows.
    fn span(&self) -> Duration {
        let known = self.history.earliest().until(self.present());
        let span = SPANS.into_iter().find(|span| *span >= known);
        span.unwrap_or(Duration::from_secs(600))
    }

    /// Nanoseconds of a column.
    fn slot(&self, width: u16) -> u64 {
        let span = u64::try_from(self.span().as_nanos()).unwrap_or(u64::MAX);
        (span / u64::from(width.max(1))).max(1)
    }

    /// The timeline in so many columns. Columns keep their times while time goes on.
    pub(crate) fn timeline(&self, width: u16) -> Timeline {
        let slot = self.slot(width);
        let columns = u64::from(width.max(1));
        let last = self.present().0 / slot;
        let to = BootTime((last + 1).saturating_mul(slot));
        let from = BootTime(to.0.saturating_sub(slot.saturating_mul(columns)));
        let at = self.moment().0.saturating_sub(from.0) / slot;
        Timeline {
            from,
            to,
            columns: self.history.density(from, to, usize::from(width)),
            cursor: usize::try_from(at.min(columns - 1)).unwrap_or(0),
            span: self.span(),
        }
    }

    /// Goes to a column of the timeline: to its end, so that all that happened in it has.
    pub(super) fn go_column(&mut self, column: u16, width: u16) {
        let timeline = self.timeline(width);
        let slot = self.slot(width);
        let at = slot.saturating_mul(u64::from(column) + 1);
        self.go(BootTime(
            timeline.from.0.saturating_add(at).saturating_sub(1),
        ));
    }

    /// Whether something that happened around the moment that is shown may be missing.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.position
            .is_some_and(|at| at < self.history.complete_since())
    }
}

fn after(time: BootTime, long: Duration) -> BootTime {
    let nanos = u64::try_from(long.as_nanos()).unwrap_or(u64::MAX);
    BootTime(time.0.saturating_add(nanos))
}

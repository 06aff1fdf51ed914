//! When the next frame is due. Pure.

use std::time::{Duration, Instant};

use super::{EventSource, WatchOptions};

/// Between two frames while nothing happens: what no event tells of, such as states, is that late.
const IDLE: Duration = Duration::from_secs(3);

/// Frames that cost much (by procfs, thousands of processes) may take more than their part, lest
/// they be older than this while something is different.
const LATE: Duration = Duration::from_secs(5);

/// The part of one processor that frames may take then, and while events get lost.
const SHARE_IN_NEED: f64 = 0.1;

/// How many times the normal part, where containers come and go: a view shows processes by events,
/// but boxes by frames.
const TIMES_RESHAPED: f64 = 3.0;

/// Why a frame is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// Nothing happened that is known of.
    Idle,
    /// Something happened.
    Happened,
    /// Namespaces or cgroups are not as they were.
    Reshaped,
    /// Something was missed, or somebody new looks.
    Urgent,
}

/// Paces frames by what they cost.
pub(super) struct Pace {
    options: WatchOptions,
    source: EventSource,
    is_urgent: bool,
    last: Instant,
    cost: Duration,
}

impl Pace {
    /// After a first frame of this cost.
    pub(super) fn new(
        options: WatchOptions,
        source: EventSource,
        now: Instant,
        cost: Duration,
    ) -> Self {
        Self {
            options,
            source,
            is_urgent: false,
            last: now,
            cost,
        }
    }

    /// Notes that something was missed, or that somebody new looks.
    pub(super) fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// Notes a frame that was taken until now.
    pub(super) fn taken(&mut self, now: Instant, cost: Duration) {
        self.is_urgent = false;
        self.last = now;
        // One that was disturbed must not slow the next ones for long.
        self.cost = (self.cost + cost) / 2;
    }

    /// How long until the next frame is due, where one is wanted for this reason.
    pub(super) fn due_in(&self, now: Instant, want: Want) -> Duration {
        let at_share = |share: f64| {
            let distance = self.cost.div_f64(share.clamp(0.001, 1.0));
            let most = LATE.max(self.cost.div_f64(SHARE_IN_NEED));
            self.options.pace.max(distance.min(most))
        };
        let share = self.options.share;
        let normal = at_share(share);
        let want = match self.is_urgent {
            true => Want::Urgent,
            false => want,
        };
        let distance = match want {
            Want::Urgent => at_share(share.max(SHARE_IN_NEED)),
            Want::Reshaped => at_share(share * TIMES_RESHAPED),
            Want::Happened => normal,
            Want::Idle if self.source == EventSource::Snapshots => normal,
            Want::Idle => normal.max(IDLE),
        };
        distance.saturating_sub(now.saturating_duration_since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace(source: EventSource, cost: Duration) -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(WatchOptions::default(), source, now, cost), now)
    }

    #[test]
    fn cost_spreads_frames() {
        let (cheap, now) = pace(EventSource::Bpf, MS / 10);
        assert_eq!(cheap.due_in(now, Want::Idle), IDLE);
        let least = WatchOptions::default().pace;
        assert_eq!(cheap.due_in(now, Want::Happened), least);
        let (mut dear, now) = pace(EventSource::Bpf, 40 * MS);
        assert_eq!(dear.due_in(now, Want::Happened), 4_000 * MS);
        assert_eq!(dear.due_in(now, Want::Idle), 4_000 * MS);
        let reshaped = dear.due_in(now, Want::Reshaped);
        assert!((1_300 * MS..1_350 * MS).contains(&reshaped));
        dear.hurry();
        assert_eq!(dear.due_in(now, Want::Idle), 400 * MS);
        assert_eq!(dear.due_in(now + 400 * MS, Want::Idle), Duration::ZERO);
        dear.taken(now, 20 * MS);
        assert_eq!(dear.due_in(now, Want::Happened), 3_000 * MS);
    }

    #[test]
    fn dear_frames_come_at_least_every_five_seconds_or_take_a_tenth() {
        let (procfs, now) = pace(EventSource::Connector, 300 * MS);
        assert_eq!(procfs.due_in(now, Want::Happened), LATE);
        let (large, now) = pace(EventSource::Connector, 4_000 * MS);
        assert_eq!(large.due_in(now, Want::Happened), 40_000 * MS);
    }

    #[test]
    fn without_events_frames_come_all_the_same() {
        let (blind, now) = pace(EventSource::Snapshots, MS);
        assert_eq!(blind.due_in(now, Want::Idle), 100 * MS);
    }
}

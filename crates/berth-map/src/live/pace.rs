//! When the next frame is due. Pure.

use std::time::{Duration, Instant};

use super::{EventSource, WatchOptions};

/// Between two frames while nothing happens: what no event tells of, such as states, is that late.
const IDLE: Duration = Duration::from_secs(3);

/// The part of one processor that frames may take while events get lost.
const SHARE_IN_NEED: f64 = 0.1;

/// Why a frame is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// Nothing happened that is known of.
    Idle,
    /// Something happened.
    Happened,
    /// Something was missed, or somebody new looks.
    Urgent,
}

/// Paces frames by what they cost.
pub(super) struct Pace {
    options: WatchOptions,
    source: EventSource,
    want: Want,
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
            want: Want::Idle,
            last: now,
            cost,
        }
    }

    /// Notes that a frame is wanted.
    pub(super) fn want(&mut self, want: Want) {
        self.want = self.want.max(want);
    }

    /// Notes a frame that was taken until now.
    pub(super) fn taken(&mut self, now: Instant, cost: Duration) {
        self.want = Want::Idle;
        self.last = now;
        // One that was disturbed must not slow the next ones for long.
        self.cost = (self.cost + cost) / 2;
    }

    /// How long until the next frame is due.
    pub(super) fn due_in(&self, now: Instant) -> Duration {
        let at_share = |share: f64| {
            let distance = self.cost.div_f64(share.clamp(0.001, 1.0));
            self.options.pace.max(distance)
        };
        let normal = at_share(self.options.share);
        let distance = match self.want {
            Want::Urgent => at_share(self.options.share.max(SHARE_IN_NEED)),
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
        let (mut cheap, now) = pace(EventSource::Bpf, MS / 10);
        assert_eq!(cheap.due_in(now), IDLE);
        cheap.want(Want::Happened);
        assert_eq!(cheap.due_in(now), WatchOptions::default().pace);
        let (mut dear, now) = pace(EventSource::Bpf, 200 * MS);
        assert_eq!(dear.due_in(now), 20_000 * MS);
        dear.want(Want::Urgent);
        assert_eq!(dear.due_in(now), 2_000 * MS);
        assert_eq!(dear.due_in(now + 3_000 * MS), Duration::ZERO);
        dear.taken(now, 100 * MS);
        assert_eq!(dear.due_in(now), 15_000 * MS);
    }

    #[test]
    fn without_events_frames_come_all_the_same() {
        let (blind, now) = pace(EventSource::Snapshots, MS);
        assert_eq!(blind.due_in(now), 100 * MS);
    }
}

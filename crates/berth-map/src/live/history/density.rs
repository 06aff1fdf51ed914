//! How many processes started and ended when. Pure.

use std::collections::VecDeque;

use super::{BootTime, MEMORY};

/// Length of a slot that is counted.
const GRAIN_NANOS: u64 = 100_000_000;

/// Starts and ends within a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Density {
    /// Processes that were born.
    pub started: u32,
    /// Processes that ended.
    pub ended: u32,
}

impl Density {
    fn add(&mut self, other: Self) {
        self.started = self.started.saturating_add(other.started);
        self.ended = self.ended.saturating_add(other.ended);
    }
}

/// Counts of the last ten minutes, in grains of 100 ms: 48 KB, however much happens.
#[derive(Default)]
pub(super) struct Counts {
    /// The number of the first grain.
    first: u64,
    grains: VecDeque<Density>,
}

impl Counts {
    /// Counts something.
    pub(super) fn add(&mut self, at: BootTime, what: Density) {
        let most = usize::try_from(MEMORY.as_nanos() / u128::from(GRAIN_NANOS)).unwrap_or(0) + 1;
        let grain = at.0 / GRAIN_NANOS;
        if self.grains.is_empty() {
            self.first = grain;
        }
        let Some(ahead) = grain.checked_sub(self.first) else {
            return self.add_before(grain, what, most);
        };
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        if ahead >= most.saturating_mul(2) {
            // Nothing that is kept is within ten minutes of it.
            self.grains.clear();
            self.first = grain;
            self.grains.push_back(what);
            return;
        }
        while self.grains.len() <= ahead {
            self.grains.push_back(Density::default());
        }
        if let Some(slot) = self.grains.get_mut(ahead) {
            slot.add(what);
        }
        while self.grains.len() > most {
            self.grains.pop_front();
            self.first += 1;
        }
    }

    /// Counts something older than all the rest, if it is not too old.
    fn add_before(&mut self, grain: u64, what: Density, most: usize) {
        let missing = usize::try_from(self.first - grain).unwrap_or(usize::MAX);
        if missing.saturating_add(self.grains.len()) > most {
            return;
        }
        for _ in 0..missing {
            self.grains.push_front(Density::default());
        }
        self.first = grain;
        if let Some(slot) = self.grains.front_mut() {
            slot.add(what);
        }
    }

    /// The counts between two times, in so many slots of equal length.
    pub(super) fn slots(&self, from: BootTime, to: BootTime, slots: usize) -> Vec<Density> {
        let mut counted = vec![Density::default(); slots];
        let span = u128::from(to.0.saturating_sub(from.0));
        if span == 0 {
            return counted;
        }
        for (grain, what) in (self.first..).zip(&self.grains) {
            // A grain belongs where its middle is.
            let middle = grain.saturating_mul(GRAIN_NANOS) + GRAIN_NANOS / 2;
            if middle < from.0 || middle >= to.0 {
                continue;
            }
            let place = u128::from(middle - from.0) * slots as u128 / span;
            let slot = usize::try_from(place)
                .ok()
                .and_then(|at| counted.get_mut(at));
            if let Some(slot) = slot {
                slot.add(*what);
            }
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIRTH: Density = Density {
        started: 1,
        ended: 0,
    };

    fn seconds(count: u64) -> BootTime {
        BootTime(count * 1_000_000_000)
    }

    #[test]
    fn every_event_lands_in_one_slot() {
        let mut counts = Counts::default();
        for second in [100, 105, 103, 95, 103] {
            counts.add(seconds(second), BIRTH);
        }
        let slots = counts.slots(seconds(95), seconds(110), 15);
        let places: Vec<u32> = slots.iter().map(|slot| slot.started).collect();
        assert_eq!(places, [1, 0, 0, 0, 0, 1, 0, 0, 2, 0, 1, 0, 0, 0, 0]);
        assert!(
            counts
                .slots(seconds(95), seconds(95), 3)
                .iter()
                .all(|s| s.started == 0)
        );
    }

    #[test]
    fn wild_times_take_no_memory() {
        let mut counts = Counts::default();
        for at in [5, u64::MAX, 0, u64::MAX / 2, u64::MAX] {
            counts.add(BootTime(at), BIRTH);
            assert!(counts.grains.len() <= 6_001);
        }
    }
}

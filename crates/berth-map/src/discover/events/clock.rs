//! From the kernel's clocks to the reader's CLOCK_BOOTTIME.

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::super::ProcRoot;
use crate::live::BootTime;

/// What the reader's time namespace adds to the kernel's clocks, in nanoseconds
/// (time_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    boot: i128,
    monotonic: i128,
}

impl Clock {
    /// That of the caller.
    pub(super) fn read(proc: &ProcRoot) -> Self {
        Self::parse(&proc.read_text("self/timens_offsets").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let mut clock = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let name = words.next();
            let mut number = || words.next()?.parse::<i128>().ok();
            let (Some(seconds), Some(nanos)) = (number(), number()) else {
                continue;
            };
            let offset = seconds * 1_000_000_000 + nanos;
            // Kernels before 5.7 wrote the numbers of the clocks.
            match name {
                Some("boottime" | "7") => clock.boot = offset,
                Some("monotonic" | "1") => clock.monotonic = offset,
                _ => {}
            }
        }
        clock
    }

    /// From what the kernel calls nanoseconds since boot.
    pub(super) fn of_boot(&self, nanos: u64) -> BootTime {
        boot_time(i128::from(nanos) + self.boot)
    }

    /// From the kernel's CLOCK_MONOTONIC, which stands still while the machine sleeps: right for
    /// what happened since it last slept.
    pub(super) fn of_monotonic(&self, nanos: u64) -> BootTime {
        let asleep = now(ClockId::Boottime) - now(ClockId::Monotonic);
        boot_time(i128::from(nanos) + self.monotonic + asleep)
    }
}

fn now(clock: ClockId) -> i128 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    i128::from(tv_sec) * 1_000_000_000 + i128::from(tv_nsec)
}

fn boot_time(nanos: i128) -> BootTime {
    BootTime(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offsets_of_a_time_namespace_are_added() {
        let clock =
            Clock::parse("monotonic          10         5\nboottime           -2         0\n");
        assert_eq!(clock.of_boot(3_000_000_000), BootTime(1_000_000_000));
        assert_eq!(clock.of_boot(0), BootTime(0));
        assert_eq!(clock.monotonic, 10_000_000_005);
        assert_eq!(Clock::parse(""), Clock::default());
    }
}

//! The time of records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads the clock once for many records.
#[derive(Default)]
pub(super) struct Clock {
    nanos: u64,
    text: String,
}

impl Clock {
    /// Takes a new time, never the same twice: readers know a file by the time of its first record.
    pub(super) fn tick(&mut self) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.nanos = now + u64::from(now == self.nanos);
        self.text.clear();
    }

    /// Nanoseconds since the epoch.
    pub(super) const fn nanos(&self) -> u64 {
        self.nanos
    }

    /// RFC 3339 in UTC, without zeros at the end, as Go's RFC3339Nano.
    pub(super) fn text(&mut self) -> &str {
        if self.text.is_empty() {
            let time = UNIX_EPOCH + Duration::from_nanos(self.nanos);
            self.text
                .push_str(&humantime::format_rfc3339_nanos(time).to_string());
            let digits = self.text.trim_end_matches('Z');
            let digits = digits.trim_end_matches('0').trim_end_matches('.').len();
            // A whole second's own zeros are not the fraction's.
            self.text.truncate(digits.max("2026-01-02T03:04:05".len()));
            self.text.push('Z');
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_end_without_zeros() {
        for (nanos, text) in [
            (1_500_000_000, "1970-01-01T00:00:01.5Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (20_000_000_000, "1970-01-01T00:00:20Z"),
        ] {
            let mut clock = Clock {
                nanos,
                text: String::new(),
            };
            assert_eq!(clock.text(), text);
        }
    }

    #[test]
    fn no_two_ticks_are_the_same() {
        let mut clock = Clock::default();
        let mut before = 0;
        for _ in 0..1000 {
            clock.tick();
            assert_ne!(clock.nanos(), before);
            before = clock.nanos();
        }
    }
}

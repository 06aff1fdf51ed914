//! What is known of the probes of one run, and when the next is due. Does nothing itself.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use berth_base::Timestamp;
use berth_base::state::{
    HEALTH_RESULTS, HealthFile, HealthProbe, HealthResult, HealthStatus, STATE_VERSION,
};

/// What is kept of the output of a probe, Docker's limit.
const OUTPUT_MAX: usize = 4096;

/// The probes of one run.
pub(crate) struct Health {
    pub(super) file: HealthFile,
    /// When the container started.
    pub(super) started: Instant,
    pub(super) phase: Phase,
    /// What the present probe wrote.
    pub(super) output: Vec<u8>,
}

/// What is going on.
pub(super) enum Phase {
    /// The container does not run yet.
    Idle,
    /// The next probe is due then.
    Sleeping(Instant),
    /// One runs, and may until the deadline.
    Probing {
        unit: u32,
        stage: OwnedFd,
        began: Timestamp,
        deadline: Instant,
    },
    /// It is over, and has its result; what is left of it is killed then.
    Ending { unit: u32, at: Instant },
}

impl Health {
    /// Nothing is known yet.
    pub(crate) fn new(run: u32) -> Self {
        Self {
            file: HealthFile {
                version: STATE_VERSION,
                run,
                status: HealthStatus::Starting,
                failing_streak: 0,
                log: Vec::new(),
            },
            started: Instant::now(),
            phase: Phase::Idle,
            output: Vec::new(),
        }
    }

    /// How long until there is something to do.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let at = match &self.phase {
            Phase::Idle => return None,
            Phase::Sleeping(at) | Phase::Ending { at, .. } => *at,
            Phase::Probing { deadline, .. } => *deadline,
        };
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Whether a unit is the present probe.
    pub(crate) const fn is_probe(&self, number: u32) -> bool {
        match &self.phase {
            Phase::Probing { unit, .. } | Phase::Ending { unit, .. } => *unit == number,
            Phase::Idle | Phase::Sleeping(_) => false,
        }
    }

    /// Keeps the beginning of what a probe writes.
    pub(crate) fn keep(&mut self, chunk: &[u8]) {
        let room = OUTPUT_MAX.saturating_sub(self.output.len());
        self.output
            .extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
    }

    /// The container runs: the first probe comes after an interval.
    pub(crate) fn begin(&mut self, probe: &HealthProbe) {
        self.started = Instant::now();
        self.sleep(probe);
    }

    pub(super) fn sleep(&mut self, probe: &HealthProbe) {
        self.phase = Phase::Sleeping(Instant::now() + self.pause(probe));
    }

    /// Until the next probe. Short ones only while it has not been well in its start period.
    fn pause(&self, probe: &HealthProbe) -> Duration {
        let is_starting = self.file.status == HealthStatus::Starting
            && self.in_start_period(probe, Instant::now());
        Duration::from_millis(match is_starting {
            true => probe.start_interval_ms,
            false => probe.interval_ms,
        })
    }

    fn in_start_period(&self, probe: &HealthProbe, at: Instant) -> bool {
        at.saturating_duration_since(self.started) < Duration::from_millis(probe.start_period_ms)
    }

    /// Takes a result; whether the container has become unhealthy by it.
    pub(super) fn take(&mut self, result: HealthResult, probe: &HealthProbe) -> bool {
        let has_succeeded = result.exit_code == 0;
        let took = result.end.since(result.start);
        let began = Instant::now().checked_sub(took).unwrap_or(self.started);
        let excess = (self.file.log.len() + 1).saturating_sub(HEALTH_RESULTS);
        self.file.log.drain(..excess);
        self.file.log.push(result);
        if has_succeeded {
            self.file.failing_streak = 0;
            self.file.status = HealthStatus::Healthy;
            return false;
        }
        let is_starting = self.file.status == HealthStatus::Starting;
        if is_starting && self.in_start_period(probe, began) {
            return false;
        }
        self.file.failing_streak = self.file.failing_streak.saturating_add(1);
        let has_become = self.file.failing_streak >= probe.retries
            && self.file.status != HealthStatus::Unhealthy;
        if has_become {
            self.file.status = HealthStatus::Unhealthy;
        }
        has_become
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn probe() -> HealthProbe {
        HealthProbe {
            request: String::new(),
            interval_ms: 30_000,
            timeout_ms: 30_000,
            start_period_ms: 60_000,
            start_interval_ms: 5_000,
            retries: 3,
            on_unhealthy: Vec::new(),
        }
    }

    fn result(exit_code: i32) -> HealthResult {
        let now = Timestamp::from(SystemTime::now());
        HealthResult {
            start: now,
            end: now,
            exit_code,
            output: String::new(),
        }
    }

    #[test]
    fn it_is_unhealthy_after_so_many_failures_and_well_after_one_success() {
        let probe = HealthProbe {
            start_period_ms: 0,
            ..probe()
        };
        let mut health = Health::new(1);
        let became: Vec<bool> = (0..4).map(|_| health.take(result(1), &probe)).collect();
        assert_eq!(became, [false, false, true, false]);
        assert_eq!(health.file.status, HealthStatus::Unhealthy);
        assert_eq!(health.file.failing_streak, 4);
        health.take(result(0), &probe);
        assert_eq!(health.file.status, HealthStatus::Healthy);
        assert_eq!(health.file.failing_streak, 0);
        for _ in 0..4 {
            health.take(result(2), &probe);
        }
        let codes: Vec<i32> = health.file.log.iter().map(|r| r.exit_code).collect();
        assert_eq!(codes, [0, 2, 2, 2, 2], "the last five");
    }

    #[test]
    fn failures_in_the_start_period_do_not_count_until_it_was_well() {
        let probe = probe();
        let mut health = Health::new(1);
        for _ in 0..10 {
            assert!(!health.take(result(1), &probe));
        }
        assert_eq!(health.file.status, HealthStatus::Starting);
        assert_eq!(health.pause(&probe), Duration::from_millis(5_000));
        health.take(result(0), &probe);
        assert_eq!(health.pause(&probe), Duration::from_millis(30_000));
        health.take(result(1), &probe);
        assert_eq!(health.file.failing_streak, 1);
    }

    #[test]
    fn output_is_kept_up_to_the_limit() {
        let mut health = Health::new(1);
        for _ in 0..100 {
            health.keep(&[b'x'; 100]);
        }
        assert_eq!(health.output.len(), OUTPUT_MAX);
    }
}

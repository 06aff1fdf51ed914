//! Probes of the container's health: when the next is due, what they came to.
//!
//! A probe is an exec session without a client. One runs at a time; what it writes is kept up to
//! Docker's limit, and when it is over, or has taken too long, every process of it is killed. Between
//! two probes we sleep. The results are in `health.json`, which the engine reads; it decides nothing
//! here, save that what [`HealthProbe::on_unhealthy`] says is executed as a child of ours.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use berth_base::Timestamp;
use berth_base::protocol;
use berth_base::state::{
    ExitOutcome, HEALTH_RESULTS, HealthFile, HealthProbe, HealthResult, HealthStatus,
    MonitorConfig, STATE_VERSION,
};
use berth_sys::signal::pidfd_kill;
use berth_sys::{Clone3, Forked, exit_now};

use super::unit::{CONTAINER, Unit};
use super::{Monitor, input, tree};
use crate::cgroup::Cgroup;
use crate::session::{self, SessionInput};
use crate::state;

/// What is kept of the output of a probe, Docker's limit.
const OUTPUT_MAX: usize = 4096;
/// How long the orphans of a probe may go on after it.
const ORPHANS: Duration = Duration::from_millis(100);
/// The pause between two attempts to end what does not die.
const AGAIN: Duration = Duration::from_secs(1);
/// SIGKILL.
const KILL: i32 = 9;

/// The probes of one run.
pub(super) struct Health {
    file: HealthFile,
    /// When the container started.
    started: Instant,
    phase: Phase,
    /// What the present probe wrote.
    output: Vec<u8>,
}

/// What is going on.
enum Phase {
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
    pub(super) fn new(run: u32) -> Self {
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
    pub(super) fn next_wake(&self) -> Option<Duration> {
        let at = match &self.phase {
            Phase::Idle => return None,
            Phase::Sleeping(at) | Phase::Ending { at, .. } => *at,
            Phase::Probing { deadline, .. } => *deadline,
        };
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// Whether a unit is the present probe.
    pub(super) const fn is_probe(&self, number: u32) -> bool {
        match &self.phase {
            Phase::Probing { unit, .. } | Phase::Ending { unit, .. } => *unit == number,
            Phase::Idle | Phase::Sleeping(_) => false,
        }
    }

    /// Keeps the beginning of what a probe writes.
    pub(super) fn keep(&mut self, chunk: &[u8]) {
        let room = OUTPUT_MAX.saturating_sub(self.output.len());
        self.output
            .extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
    }

    /// The container runs: the first probe comes after an interval.
    pub(super) fn begin(&mut self, probe: &HealthProbe) {
        self.started = Instant::now();
        self.sleep(probe);
    }

    fn sleep(&mut self, probe: &HealthProbe) {
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
    fn take(&mut self, result: HealthResult, probe: &HealthProbe) -> bool {
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

/// What there is to do now.
enum Due {
    Nothing,
    Probe,
    Result,
    Timeout,
    Kill,
    Sleep,
}

impl Monitor {
    /// The container runs, or did when we took over: its probes begin.
    pub(super) fn begin_probes(&mut self) {
        let config = &self.house.config;
        let (Some(probe), Some(health)) = (&config.health, &mut self.health) else {
            return;
        };
        health.begin(probe);
    }

    /// What the monitor before us knew. The present probe, if there was one, has gone with it.
    pub(super) fn resume_probes(&mut self) {
        self.begin_probes();
        let started = self.run_file().map(|run| run.started_at);
        let Some(health) = &mut self.health else {
            return;
        };
        let ago = started.map(|at| Timestamp::from(SystemTime::now()).since(at));
        if let Some(started) = ago.and_then(|ago| Instant::now().checked_sub(ago)) {
            health.started = started;
        }
        // by path: a state folder
        let text = std::fs::read(self.house.config.volatile_dir.join("health.json"));
        let file = text
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(file) = file.filter(|file: &HealthFile| file.run == health.file.run) {
            health.file = file;
        }
    }

    /// Does what is due.
    pub(super) fn tend_health(&mut self, buffer: &mut [u8; protocol::MAX_PACKET]) {
        match self.health_due() {
            Due::Nothing => {}
            Due::Probe => self.start_probe(),
            Due::Result => self.finish_probe(buffer),
            Due::Timeout => self.give_probe_up(),
            Due::Kill => self.kill_probe(),
            Due::Sleep => self.sleep_until_next(),
        }
    }

    fn health_due(&self) -> Due {
        let Some(health) = &self.health else {
            return Due::Nothing;
        };
        let now = Instant::now();
        let unit = |number: &u32| self.units.iter().find(|unit| unit.number == *number);
        match &health.phase {
            Phase::Sleeping(at) if *at <= now => Due::Probe,
            Phase::Probing { unit: number, .. } if unit(number).is_none_or(Unit::is_over) => {
                Due::Result
            }
            Phase::Probing { deadline, .. } if *deadline <= now => Due::Timeout,
            Phase::Ending { unit: number, .. }
                if unit(number).is_none_or(|unit| unit.child.is_none()) =>
            {
                Due::Sleep
            }
            Phase::Ending { at, .. } if *at <= now => Due::Kill,
            _ => Due::Nothing,
        }
    }

    fn start_probe(&mut self) {
        if self.is_paused() {
            return self.sleep_until_next();
        }
        let began = Timestamp::from(SystemTime::now());
        let number = self.next_session;
        self.next_session += 1;
        let container = self.units.iter().find(|unit| unit.number == CONTAINER);
        let child = container.and_then(|unit| unit.child.as_ref());
        let (Some(probe), Some((pid, pidfd)), Some(health)) =
            (&self.house.config.health, child, &mut self.health)
        else {
            return;
        };
        health.output.clear();
        let begun = session::begin(&SessionInput {
            config: &self.house.config,
            pid: *pid,
            pidfd: pidfd.as_fd(),
            request: probe.request.as_bytes(),
            is_probe: true,
        });
        match begun {
            Ok(begun) => {
                health.phase = Phase::Probing {
                    unit: number,
                    stage: begun.stage,
                    began,
                    deadline: Instant::now() + Duration::from_millis(probe.timeout_ms),
                };
                let mut unit = Unit::new(number);
                unit.starter = Some(begun.starter);
                unit.report = Some(begun.report);
                unit.input = input::Input::new(begun.stdin);
                unit.stdout = begun.stdout;
                unit.stderr = begun.stderr;
                self.units.push(unit);
            }
            Err(failure) => {
                health.keep(failure.message.as_bytes());
                self.note_result(began, -1);
                self.sleep_until_next();
            }
        }
    }

    /// A probe is over, or never began: its result is noted.
    fn finish_probe(&mut self, buffer: &mut [u8; protocol::MAX_PACKET]) {
        let Some(Phase::Probing { unit, began, .. }) = self.health.as_ref().map(|h| &h.phase)
        else {
            return;
        };
        let (number, began) = (*unit, *began);
        self.drain(number, buffer);
        let unit = self.unit(number);
        let failure = unit.and_then(|unit| unit.failure.take());
        let outcome = self.unit(number).and_then(|unit| unit.outcome);
        let exit_code = match (&failure, outcome) {
            (Some(failure), _) => {
                if let Some(health) = &mut self.health {
                    health.keep(failure.message.as_bytes());
                }
                -1
            }
            (None, Some(ExitOutcome::Code(code))) => i32::from(code),
            (None, Some(outcome)) => i32::from(outcome.shell_code()),
            (None, None) => -1,
        };
        // A failed session has an init that is being set up.
        let pause = match failure {
            Some(_) => Duration::ZERO,
            None => ORPHANS,
        };
        self.note_result(began, exit_code);
        self.end_probe(number, pause);
    }

    /// A probe takes too long: that is a failure, and its end. One that was frozen tells nothing.
    fn give_probe_up(&mut self) {
        let is_paused = self.is_paused();
        let Some(health) = &mut self.health else {
            return;
        };
        let Phase::Probing {
            unit, began, stage, ..
        } = &health.phase
        else {
            return;
        };
        let (number, began) = (*unit, *began);
        if pidfd_kill(stage.as_fd(), KILL).is_err() {
            // It has done its work and is gone.
        }
        if !is_paused {
            let timeout = self
                .house
                .config
                .health
                .as_ref()
                .map_or(0, |p| p.timeout_ms);
            let span = humantime::format_duration(Duration::from_millis(timeout)).to_string();
            let mut text = format!("Health check exceeded timeout ({})", span.replace(' ', ""));
            if !health.output.is_empty() {
                text.push_str(": ");
            }
            let written = std::mem::replace(&mut health.output, text.into_bytes());
            health.keep(&written);
            self.note_result(began, -1);
        }
        self.end_probe(number, Duration::ZERO);
    }

    fn end_probe(&mut self, number: u32, pause: Duration) {
        if let Some(unit) = self.unit(number) {
            // Who still writes is no part of it.
            unit.starter = None;
            unit.stdout = None;
            unit.stderr = None;
        }
        if let Some(health) = &mut self.health {
            health.phase = Phase::Ending {
                unit: number,
                at: Instant::now() + pause,
            };
        }
    }

    /// Kills what is left of a probe: every process below its init, which then ends by itself.
    fn kill_probe(&mut self) {
        let Some(health) = &mut self.health else {
            return;
        };
        let Phase::Ending { unit: number, at } = &mut health.phase else {
            return;
        };
        *at = Instant::now() + AGAIN;
        let unit = self.units.iter().find(|unit| unit.number == *number);
        let Some((pid, pidfd)) = unit.and_then(|unit| unit.child.as_ref()) else {
            return;
        };
        let had_any = tree::kill_below(*pid);
        // With nobody below it, it is being set up, or cannot tell.
        if !had_any && pidfd_kill(pidfd.as_fd(), KILL).is_err() {
            // It has just ended.
        }
    }

    fn sleep_until_next(&mut self) {
        let Some(health) = &mut self.health else {
            return;
        };
        if let Phase::Ending { unit, .. } = &health.phase {
            let over = *unit;
            self.units.retain(|unit| unit.number != over);
        }
        if let Some(probe) = &self.house.config.health {
            health.sleep(probe);
        }
    }

    /// Takes a result, writes it down, and has done what is to be done when enough have failed.
    fn note_result(&mut self, start: Timestamp, exit_code: i32) {
        let config = &self.house.config;
        let (Some(probe), Some(health)) = (&config.health, &mut self.health) else {
            return;
        };
        let output = std::mem::take(&mut health.output);
        let has_become = health.take(
            HealthResult {
                start,
                end: Timestamp::from(SystemTime::now()),
                exit_code,
                output: String::from_utf8_lossy(&output).into_owned(),
            },
            probe,
        );
        if write(config, &health.file).is_err() {
            // A full disk, or removed under us: the next result tells as much.
        }
        if has_become {
            execute_aside(&probe.on_unhealthy);
        }
    }

    /// Whether the container is frozen, and its probes would be.
    fn is_paused(&self) -> bool {
        self.run_file()
            .is_some_and(|run| matches!(Cgroup::from_paths(&run.cgroups).is_frozen(), Ok(true)))
    }
}

fn write(config: &MonitorConfig, file: &HealthFile) -> std::io::Result<()> {
    state::replace(&config.volatile_dir.join("health.json"), file)
}

/// Executes a program as a child of ours, which is reaped like any other.
fn execute_aside(command: &[String]) {
    use std::os::unix::process::CommandExt as _;
    let Some((program, arguments)) = command.split_first() else {
        return;
    };
    if let Ok(Forked::Child) = Clone3::default().run() {
        if berth_sys::signal::unblock_all().is_ok() {
            // Returns only when it failed: then its state alone says that it is not well.
            // by path: what the engine asked for in monitor.json
            drop(std::process::Command::new(program).args(arguments).exec());
        }
        exit_now(1)
    }
}

#[cfg(test)]
mod tests {
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

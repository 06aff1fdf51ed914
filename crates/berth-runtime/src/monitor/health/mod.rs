//! Probes of the container's health: when the next is due, what they came to.
//!
//! A probe is an exec session without a client. One runs at a time; what it writes is kept up to
//! Docker's limit, and when it is over, or has taken too long, every process of it is killed. Between
//! two probes we sleep. The results are in `health.json`, which the engine reads; it decides nothing
//! here, save that what `HealthProbe::on_unhealthy` says is executed as a child of ours.

mod probes;

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant, SystemTime};

use berth_base::Timestamp;
use berth_base::protocol;
use berth_base::state::{ExitOutcome, HealthFile, HealthResult, MonitorConfig};
use berth_sys::signal::pidfd_kill;
use berth_sys::{Clone3, Forked, exit_now};

pub(super) use probes::Health;
use probes::Phase;

use super::unit::{CONTAINER, Unit};
use super::{Monitor, input, tree};
use crate::cgroup::Cgroup;
use crate::session::{self, SessionInput};
use crate::state;

/// How long the orphans of a probe may go on after it.
const ORPHANS: Duration = Duration::from_millis(100);
/// The pause between two attempts to end what does not die.
const AGAIN: Duration = Duration::from_secs(1);
/// SIGKILL.
const KILL: i32 = 9;

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
        let text = berth_persist::read(&self.house.config.volatile_dir.join("health.json"));
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
        // What was killed together with the container says nothing about its health.
        if exit_code != 0 && self.is_ending() {
            return self.end_probe(number, Duration::ZERO);
        }
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
        let before = health.file.status;
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
        let status = health.file.status;
        if status != before {
            self.note(&format!("health_status: {status}"), &[]);
        }
        if has_become {
            execute_aside(&probe.on_unhealthy);
        }
    }

    /// Whether the container's first process is dying, or has.
    fn is_ending(&self) -> bool {
        let container = self.units.iter().find(|unit| unit.number == CONTAINER);
        let child = container.and_then(|unit| unit.child.as_ref());
        child.is_none_or(|(pid, _)| tree::is_dying(*pid))
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

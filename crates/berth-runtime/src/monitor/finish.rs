//! The end of a session, and the end of the container.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use berth_base::state::{ExitFile, ExitOutcome, MonitorConfig, RunFile, STATE_VERSION};
use berth_base::{ErrorClass, HostPid, ProcessIdentity, Timestamp, protocol};
use berth_sys::{ExitStatus, exit_status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use super::serve::encode;
use super::unit::{CONTAINER, Unit};
use super::{Ended, Monitor, log, readers};
use crate::cgroup::Cgroup;
use crate::{besides, failure, state, wire};

/// How long the processes of a shared PID namespace may take to die.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);
/// How long a terminal whose last slave is held by an orphan is listened to.
const LAST_OUTPUT_MS: i64 = 100;

/// How a process ended that somebody else has reaped; `None` for one that nobody has.
pub(super) fn reaped(pidfd: &OwnedFd) -> Option<ExitOutcome> {
    if wire::pid_of(pidfd).is_some() {
        return None;
    }
    let kept = match exit_status(pidfd.as_fd()) {
        Ok(ExitStatus::Status(status)) => ExitOutcome::from_wait_status(status),
        _ => None,
    };
    Some(kept.unwrap_or(ExitOutcome::Unknown))
}

impl Unit {
    /// Notes the end of our child, unless its session init reported the main process before.
    pub(super) fn child_ended(&mut self, outcome: Option<ExitOutcome>) {
        self.child = None;
        if let Some(report) = self.report.take()
            && let Ok((packet, length)) = wire::receive_now(&report)
            && let Some([protocol::EXITED, payload @ ..]) = packet.get(..length)
        {
            self.outcome = Some(protocol::decode_outcome(payload));
        }
        self.outcome = self.outcome.or(outcome);
    }

    /// Notes our child by its pidfd; the stage waits for our answer.
    pub(super) fn know_child(&mut self, pidfd: std::os::fd::OwnedFd) {
        let pid = wire::pid_of(&pidfd);
        self.child = pid.map(|pid| (pid, pidfd));
        if let Some(starter) = &self.starter
            && wire::send_byte(std::os::fd::AsFd::as_fd(starter), wire::KNOWN).is_err()
        {
            self.fail("the process that was setting it up ended early");
        }
    }

    /// Notes that the start failed for a reason of ours.
    pub(super) fn fail(&mut self, why: &str) {
        self.starter = None;
        if self.failure.is_none() {
            let message = format!("cannot start the process: {why}");
            self.failure = Some(failure::engine(ErrorClass::Internal, message));
        }
    }
}

impl Monitor {
    /// Ends sessions whose main process has ended, or never started.
    pub(super) fn end_sessions(&mut self, buffer: &mut [u8; protocol::MAX_PACKET]) {
        let over: Vec<u32> = self
            .units
            .iter()
            .filter(|unit| unit.number != CONTAINER && unit.is_over())
            .filter(|unit| {
                !self
                    .health
                    .as_ref()
                    .is_some_and(|h| h.is_probe(unit.number))
            })
            .map(|unit| unit.number)
            .collect();
        for number in over {
            self.drain(number, buffer);
            let Some(unit) = self.unit(number) else {
                continue;
            };
            let (failure, outcome, id) = (unit.failure.take(), unit.outcome, unit.id.take());
            self.note_session_end(id.as_ref(), outcome);
            self.session_is_over(number);
            self.say_goodbye(number, failure.as_ref(), outcome);
            // The session init lives on with its orphans; its end is reaped like any other.
            self.units.retain(|unit| unit.number != number);
        }
    }

    /// Ends the container when its first process has ended: everything read, everybody dead,
    /// its ports free, the record written, the cgroup gone, the clients told.
    pub(super) fn end_container(
        &mut self,
        buffer: &mut [u8; protocol::MAX_PACKET],
    ) -> Option<Ended> {
        let unit = self.unit(CONTAINER)?;
        if !unit.is_over() {
            return None;
        }
        let (failure, outcome) = (unit.failure.take(), unit.outcome);
        if failure.is_some() {
            self.await_children();
        }
        self.kill_remaining();
        self.drain(CONTAINER, buffer);
        let sessions: Vec<u32> = self
            .units
            .iter()
            .map(|unit| unit.number)
            .filter(|n| *n != CONTAINER)
            .collect();
        for number in sessions {
            self.drain(number, buffer);
            let unit = self.unit(number);
            let (killed, id) = unit.map_or((None, None), |unit| (unit.outcome, unit.id.take()));
            let killed = killed.unwrap_or(ExitOutcome::Signal(9));
            // A probe has no id: it is no session of anybody's.
            if id.is_some() {
                self.note_session_end(id.as_ref(), Some(killed));
            }
            self.say_goodbye(number, None, Some(killed));
        }
        self.release_ports();
        if failure.is_none() {
            self.record(outcome.unwrap_or(ExitOutcome::Unknown));
        }
        self.say_goodbye(CONTAINER, failure.as_ref(), outcome);
        let started = failure.is_none();
        self.see_clients_off();
        Some(self.leave(started))
    }

    /// What the container may have left behind outside a PID namespace of its own.
    fn kill_remaining(&mut self) {
        let Some(run) = self.run_file() else { return };
        let cgroup = Cgroup::from_paths(&run.cgroups);
        if !run.own_pid_namespace {
            let killed = cgroup.kill();
            let emptied = cgroup.wait_empty(Instant::now() + EMPTY_WITHIN);
            if killed.is_err() || !matches!(emptied, Ok(true)) {
                // stop and rm prove emptiness themselves and list the survivors.
            }
            self.reap();
        }
    }

    /// run.json of this run.
    pub(super) fn run_file(&self) -> Option<RunFile> {
        let text = berth_persist::read(&self.house.config.volatile_dir.join("run.json")).ok()?;
        let run: RunFile = serde_json::from_slice(&text).ok()?;
        (run.run == self.house.config.run).then_some(run)
    }

    /// A failed start: init was killed and is reaped here, so that nothing is left when the
    /// client hears of it.
    fn await_children(&mut self) {
        let child = self.unit(CONTAINER).and_then(|unit| unit.child.take());
        if let Some((pid, pidfd)) = child {
            let killed = rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
            if killed.is_ok() || killed == Err(Errno::SRCH) {
                wait_for(pid);
            }
        }
    }

    /// Reads what is left in the pipes and in the terminal.
    pub(super) fn drain(&mut self, number: u32, buffer: &mut [u8; protocol::MAX_PACKET]) {
        if let Some(unit) = self.unit(number) {
            unit.release_slave();
        }
        for stream in [log::Stream::Stdout, log::Stream::Stderr] {
            while self.has_more(number, stream) && self.pass_output(number, stream, buffer) {}
        }
        if number == CONTAINER
            && let Some(log) = &mut self.log
        {
            log.finish();
        }
    }

    /// A terminal's last output passes through a work queue of the kernel: wait for the hang-up.
    fn has_more(&mut self, number: u32, stream: log::Stream) -> bool {
        let Some(unit) = self.unit(number) else {
            return false;
        };
        if stream == log::Stream::Stderr {
            return true;
        }
        let Some(master) = &unit.terminal else {
            return true;
        };
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: LAST_OUTPUT_MS * 1_000_000,
        };
        let mut polled = [PollFd::new(master, PollFlags::IN)];
        poll(&mut polled, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }

    /// exits/N.json; the first writer wins.
    fn record(&mut self, outcome: ExitOutcome) {
        let run = self.run_file();
        let cgroup = run.as_ref().map(|run| Cgroup::from_paths(&run.cgroups));
        let kills = cgroup.as_ref().and_then(|cgroup| cgroup.oom_kills().ok());
        // Before the record: whoever sees that may start the next run, in cgroups of that name.
        if let Some(cgroup) = cgroup
            && cgroup.remove().is_err()
        {
            // The engine's own removal tries again and reports what stays.
        }
        let config = &self.house.config;
        let file = ExitFile {
            version: STATE_VERSION,
            run: config.run,
            outcome,
            oom_killed: kills.is_some_and(|kills| kills > 0),
            started_at: run.as_ref().map(|run| run.started_at),
            finished_at: Timestamp::from(SystemTime::now()),
            error: besides::finish(config),
            recorded_by: myself(run.as_ref()).filter(|_| !self.due_at_exit().is_empty()),
        };
        // Before the record, so that whoever waits for that finds it in the journal.
        self.note_end(&file);
        let folder = config.persistent_dir.join("exits");
        let path = folder.join(format!("{}.json", config.run));
        let made = std::fs::create_dir(&folder);
        let exists = made.is_ok() || folder.is_dir();
        if !exists || state::create_once(&path, &file).is_err() {
            // Removed under us, or the disk is full: recover writes "unknown" when asked.
        }
    }

    fn say_goodbye(
        &mut self,
        number: u32,
        failure: Option<&protocol::Failure>,
        outcome: Option<ExitOutcome>,
    ) {
        match failure {
            Some(failure) => self.tell(number, protocol::FAILED, &encode(failure)),
            None => {
                let outcome = outcome.unwrap_or(ExitOutcome::Unknown);
                self.tell(number, protocol::EXITED, &protocol::encode_outcome(outcome));
            }
        }
        let bound = |client: &&mut super::Client| client.binding.is_some_and(|b| b.unit == number);
        for client in self.clients.iter_mut().filter(bound) {
            client.closing = true;
        }
    }

    /// Waits until every client has taken its last packet, or takes none. The launcher of `run --rm`
    /// in the foreground removes the container itself; only its leaving says that it has, or cannot.
    fn see_clients_off(&mut self) {
        let handles_exit = self.house.config.client_handles_exit;
        let mut buffer = Box::new([0u8; protocol::MAX_PACKET]);
        loop {
            let stays = |client: &super::Client| {
                !client.is_gone()
                    && client.binding.is_some()
                    && (client.is_behind() || (client.is_launcher && handles_exit))
                    && readers::farewell(client) != Some(Duration::ZERO)
            };
            self.clients.retain(stays);
            let mut polled: Vec<_> = self
                .clients
                .iter()
                .map(|client| {
                    let out = if client.is_behind() {
                        PollFlags::OUT
                    } else {
                        PollFlags::empty()
                    };
                    PollFd::from_borrowed_fd(client.socket(), PollFlags::IN | out)
                })
                .collect();
            if polled.is_empty() {
                return;
            }
            let patience = self.clients.iter().filter_map(readers::farewell).min();
            let timeout = patience.map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            });
            if poll(&mut polled, timeout.as_ref()).is_err() {
                continue;
            }
            for client in &mut self.clients {
                client.flush();
                while client.receive(&mut buffer).is_some() {}
            }
        }
    }

    /// What monitor.json says now.
    pub(super) fn config_now(&self) -> Option<MonitorConfig> {
        let config = &self.house.config;
        let text = berth_persist::read(&config.volatile_dir.join("monitor.json")).ok();
        let now: Option<MonitorConfig> = text.and_then(|t| serde_json::from_slice(&t).ok());
        now.filter(|now| now.run == config.run)
    }

    /// What is executed at the end: the restart policy may have changed.
    fn due_at_exit(&self) -> Vec<String> {
        let now = self.config_now().map(|now| now.on_exit);
        now.unwrap_or_else(|| self.house.config.on_exit.clone())
    }

    /// Dismisses the keeper and says what the engine has to do.
    fn leave(&mut self, started: bool) -> Ended {
        let config = &self.house.config;
        // monitor.sock stays, answering nobody: it may be the next run's by now.
        if let Some(keeper) = &self.keeper
            && wire::send_byte(std::os::fd::AsFd::as_fd(keeper), wire::DONE).is_err()
        {
            // It is gone already.
        }
        let removed = !config.persistent_dir.exists();
        let needed = started && !removed;
        Ended {
            then_execute: if needed {
                self.due_at_exit()
            } else {
                Vec::new()
            },
        }
    }
}

impl Unit {
    /// Whether the main process has ended, or never started.
    pub(super) fn is_over(&self) -> bool {
        self.failure.is_some() || (self.outcome.is_some() && self.starter.is_none())
    }
}

/// This process, in the boot that a run says is the present one.
fn myself(run: Option<&RunFile>) -> Option<ProcessIdentity> {
    let pid = u32::try_from(rustix::process::getpid().as_raw_nonzero().get()).ok()?;
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    // Field 22; the first after the name is the third (proc_pid_stat(5)).
    let start_ticks = rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()?;
    Some(ProcessIdentity {
        pid: HostPid::new(pid)?,
        start_ticks,
        boot_id: run?.init.boot_id.clone(),
    })
}

/// Reaps one child, blocking.
fn wait_for(pid: Pid) {
    while matches!(waitpid(Some(pid), WaitOptions::empty()), Err(Errno::INTR)) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{PidfdFlags, pidfd_open};

    /// Else whoever takes over from a dead monitor waits for a child that is gone, with the
    /// container's ports in its hands.
    #[test]
    fn a_child_that_the_monitor_before_us_reaped_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert_eq!(reaped(&pidfd), None);
        child.wait().unwrap();
        let outcome = reaped(&pidfd).unwrap();
        assert!(matches!(
            outcome,
            ExitOutcome::Code(0) | ExitOutcome::Unknown
        ));
    }
}

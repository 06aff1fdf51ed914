//! The monitor: parent of a container's first process and of its exec sessions.
//!
//! Who we are: one single-threaded process per container, outside all of its namespaces, in a
//! cgroup of our own, with nothing to lose but descriptors. We own the container's output, its
//! log and its exit record. We decide nothing: what to do came as data. We must not touch the
//! engine's files, allocate without need, or wait for anything but [`poll`](Monitor::run).

mod client;
mod events;
mod finish;
mod health;
mod input;
mod log;
mod readers;
mod release;
mod serve;
mod sessions;
mod sources;
mod tree;
mod unit;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use berth_base::protocol;
use berth_base::state::{ExitOutcome, MonitorConfig};
use berth_sys::signal::SignalFd;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, set_child_subreaper, wait};

use crate::act::terminal::send_descriptor;
use crate::wire;
pub(crate) use serve::encode;

use client::{Binding, Client};
use health::Health;
use log::Log;
use sources::Source;
use unit::{CONTAINER, StarterSaid, Unit};

/// What keeper and monitor share from the start.
pub(crate) struct Household {
    pub(crate) config: MonitorConfig,
    /// Listens on monitor.sock.
    pub(crate) listener: OwnedFd,
    /// Our side of standard output and error; none with a terminal.
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    /// What reserves the container's ports, until it has ended.
    pub(crate) held: Vec<OwnedFd>,
}

/// The monitor's whole state.
pub(crate) struct Monitor {
    house: Household,
    /// The keeper; gone after an adoption, or when it was killed.
    keeper: Option<OwnedFd>,
    signals: SignalFd,
    units: Vec<Unit>,
    clients: Vec<Client>,
    log: Option<Log>,
    /// The probes of its health, where it has any.
    health: Option<Health>,
    next_session: u32,
    /// Sessions on record.
    sessions: Vec<sessions::Recorded>,
}

impl Monitor {
    /// A monitor without any unit yet.
    pub(crate) fn new(house: Household, keeper: Option<OwnedFd>) -> std::io::Result<Self> {
        let signals = SignalFd::new(&[
            rustix::process::Signal::CHILD.as_raw(),
            rustix::process::Signal::TERM.as_raw(),
            rustix::process::Signal::INT.as_raw(),
            rustix::process::Signal::HUP.as_raw(),
        ])?;
        let log = Log::open(&house.config);
        let health = house.config.health.as_ref();
        let health = health.map(|_| Health::new(house.config.run));
        Ok(Self {
            house,
            keeper,
            signals,
            units: Vec::new(),
            clients: Vec::new(),
            log,
            health,
            next_session: CONTAINER + 1,
            sessions: Vec::new(),
        })
    }

    /// Takes over a container whose first monitor died: it is our child now, unless that monitor had
    /// seen its end and could not say so any more.
    pub(crate) fn adopt(&mut self, pid: Pid, pidfd: OwnedFd, terminal: Option<OwnedFd>) {
        let mut unit = Unit::new(CONTAINER);
        let reaped = finish::reaped(&pidfd);
        unit.child = Some((pid, pidfd));
        unit.started = true;
        if reaped.is_some() {
            unit.child_ended(reaped);
        }
        unit.stdout = self.house.stdout.take();
        unit.stderr = self.house.stderr.take();
        if let Some(master) = terminal
            && unit.take_terminal(master).is_err()
        {
            // Its output is lost with it; the exit status is not.
        }
        self.units.push(unit);
        self.adopt_sessions();
        self.resume_probes();
    }

    /// Adds the client that asked for the start, and the container's unit with its stage.
    pub(crate) fn begin(&mut self, launcher: OwnedFd, unit_of_container: Begun) {
        let stdio = self.house.config.stdio;
        let mut client = Client::new(launcher, true);
        client.binding = Some(Binding {
            unit: CONTAINER,
            output: stdio.attached,
            input: stdio.attached,
            owner: true,
        });
        self.clients.push(client);
        let mut unit = Unit::new(CONTAINER);
        unit.starter = Some(unit_of_container.stage);
        unit.report = Some(unit_of_container.report);
        unit.input = input::Input::new(unit_of_container.stdin);
        unit.stdout = self.house.stdout.take();
        unit.stderr = self.house.stderr.take();
        self.units.push(unit);
    }

    /// Serves until the container has ended and everybody knows.
    pub(crate) fn run(mut self) -> Ended {
        let mut buffer = Box::new([0u8; protocol::MAX_PACKET]);
        // Children that ended before their signals came to our descriptor: after an adoption the
        // monitor before us, for one.
        self.reap();
        loop {
            for source in sources::wait(&self) {
                self.attend(source, &mut buffer);
            }
            self.dismiss_clients();
            self.end_sessions(&mut buffer);
            self.tend_health(&mut buffer);
            if let Some(ended) = self.end_container(&mut buffer) {
                return ended;
            }
        }
    }

    /// How long we may sleep at most; `None`: until something happens.
    fn next_wake(&self) -> Option<Duration> {
        let health = self.health.as_ref().and_then(Health::next_wake);
        health.into_iter().chain(self.patience()).min()
    }

    fn attend(&mut self, source: Source, buffer: &mut [u8; protocol::MAX_PACKET]) {
        match source {
            Source::Signals => self.reap(),
            Source::Keeper => self.keeper_is_gone(),
            Source::Listener => self.accept(),
            Source::Starter(unit) => self.hear_starter(unit),
            Source::Report(unit) => self.hear_report(unit),
            Source::Output(unit, stream) => drop(self.pass_output(unit, stream, buffer)),
            Source::Input(unit) => {
                if let Some(unit) = self.unit(unit) {
                    unit.input.flush();
                }
            }
            Source::Log => {
                if let Some(log) = &mut self.log {
                    log.write_waiting();
                }
            }
            Source::ClientReady(index) => {
                if let Some(client) = self.clients.get_mut(index) {
                    client.flush();
                }
            }
            Source::ClientSays(index) => self.hear_client(index, buffer),
        }
    }

    fn unit(&mut self, number: u32) -> Option<&mut Unit> {
        self.units.iter_mut().find(|unit| unit.number == number)
    }

    /// Reaps every child that has ended. Strangers are orphans of a container in the host's PID
    /// namespace, or sessions of a monitor before us.
    fn reap(&mut self) {
        while let Some(signal) = self.signals.read() {
            // Signals meant for a whole session are not for us: the container decides.
            debug_assert!(signal > 0);
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let outcome = ExitOutcome::from_wait_status(status.as_raw());
                    let unit = self
                        .units
                        .iter_mut()
                        .find(|unit| unit.child.as_ref().is_some_and(|(child, _)| *child == pid));
                    if let Some(unit) = unit {
                        unit.child_ended(outcome);
                    }
                    self.forget_session(pid);
                }
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Without a keeper the orphans of a host-PID container come to us.
    fn keeper_is_gone(&mut self) {
        self.keeper = None;
        if set_child_subreaper(Some(rustix::process::getpid())).is_err() {
            // Such orphans then go to the host's init, which reaps them as well.
        }
    }

    fn hear_starter(&mut self, number: u32) {
        let keeper = self.keeper.as_ref().map(AsFd::as_fd);
        let Some(unit) = self.units.iter_mut().find(|unit| unit.number == number) else {
            return;
        };
        let for_keeper = keeper.filter(|_| number == CONTAINER);
        match unit.hear_starter() {
            StarterSaid::Nothing => {}
            StarterSaid::Child(pidfd) => {
                if let Some(keeper) = for_keeper
                    && send_descriptor(keeper, wire::INIT, pidfd.as_fd()).is_err()
                {
                    self.keeper = None;
                }
                unit.know_child(pidfd);
            }
            StarterSaid::Terminal(master) => {
                if let Some(keeper) = for_keeper
                    && send_descriptor(keeper, wire::TERMINAL, master.as_fd()).is_err()
                {
                    self.keeper = None;
                }
                if let Err(errno) = unit.take_terminal(master) {
                    unit.fail(&format!("cannot use the terminal: {errno}"));
                }
            }
            StarterSaid::Running => {
                unit.started = true;
                unit.starter = None;
                let pid = unit
                    .child
                    .as_ref()
                    .map_or(0, |(pid, _)| pid.as_raw_nonzero().get());
                // Who hears that it runs finds it on record, and its start in the journal.
                self.record_session(number);
                self.note_start(number);
                self.tell(number, protocol::STARTED, &pid.to_le_bytes());
                if number == CONTAINER {
                    self.begin_probes();
                }
            }
            StarterSaid::Failed(Some(failure)) => {
                unit.failure = Some(failure);
                unit.starter = None;
            }
            StarterSaid::Failed(None) | StarterSaid::Lost => {
                unit.fail("the process that was setting it up ended without a word");
            }
        }
    }

    fn hear_report(&mut self, number: u32) {
        let Some(unit) = self.unit(number) else {
            return;
        };
        let Some(report) = &unit.report else { return };
        match wire::receive(report.as_fd()) {
            Ok((packet, length, _)) if length > 0 => {
                if let Some([protocol::EXITED, payload @ ..]) = packet.get(..length) {
                    unit.outcome = Some(protocol::decode_outcome(payload));
                }
            }
            _ => unit.report = None,
        }
    }

    /// Sends a packet to every client bound to a unit.
    fn tell(&mut self, number: u32, kind: u8, payload: &[u8]) {
        let bound = |client: &&mut Client| client.binding.is_some_and(|b| b.unit == number);
        for client in self.clients.iter_mut().filter(bound) {
            client.push(kind, payload);
        }
    }

    /// Reads one chunk and gives it to the log and to whoever is attached.
    fn pass_output(
        &mut self,
        number: u32,
        stream: log::Stream,
        buffer: &mut [u8; protocol::MAX_PACKET],
    ) -> bool {
        let room = protocol::MAX_PACKET - 1;
        let Some(unit) = self.units.iter_mut().find(|unit| unit.number == number) else {
            return false;
        };
        let Some(length) = unit.read(stream, &mut buffer[..room]) else {
            return false;
        };
        let chunk = &buffer[..length];
        if number == CONTAINER
            && let Some(log) = &mut self.log
        {
            log.append(stream, chunk);
        }
        if let Some(health) = self.health.as_mut().filter(|h| h.is_probe(number)) {
            health.keep(chunk);
            return true;
        }
        let kind = match stream {
            log::Stream::Stdout => protocol::STDOUT,
            log::Stream::Stderr => protocol::STDERR,
        };
        let terminal = unit.terminal.is_some();
        for client in &mut self.clients {
            if !readers::reads(client, number) {
                continue;
            }
            if readers::is_end_of_pipe(client, terminal) {
                client.push(kind, chunk);
            } else {
                client.push_output(kind, chunk);
            }
        }
        true
    }
}

/// The container's unit as the keeper prepared it.
pub(crate) struct Begun {
    /// The connection to the stage.
    pub(crate) stage: OwnedFd,
    /// Where a session init reports.
    pub(crate) report: OwnedFd,
    /// Our side of standard input.
    pub(crate) stdin: Option<OwnedFd>,
}

/// What is left to do once a monitor has ended.
pub(crate) struct Ended {
    /// What to execute: the engine, for what needs it.
    pub(crate) then_execute: Vec<String>,
}

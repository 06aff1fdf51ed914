//! `start`: from a container on disk to a running one.
//!
//! Intent is recorded before effect: status `starting` with the run's number, then monitor.json,
//! then the launch. Whatever fails, the container is what it was before, with the reason noted.

mod run_spec;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use berth_base::protocol::{Failure, MAX_PACKET};
use berth_base::state::{
    ExitFile, ExitOutcome, MonitorConfig, RestartPolicy, RestartRecord, STATE_VERSION, SessionFile,
    StatusFile, StdioConfig, Wiring,
};
use berth_base::{ErrorClass, HostPid, NamespaceKind, ProcessIdentity, Status, Timestamp};
use berth_runtime::facts::{forget_volatile, is_volatile};
use berth_runtime::launch::{LaunchRequest, launch};

use crate::session::{Packet, SessionError};
use crate::store::{ContainerLock, Durability, remove_tree};
use crate::view::View;
use crate::volume::make_sources;
use crate::{
    Container, Engine, EngineError, Session, StartAttach, Started, cgroup, empty::await_warden,
    life,
};

impl Engine {
    /// Starts a container and returns once its first process executes.
    ///
    /// The container's lock is held meanwhile, so that of two starts one fails.
    pub fn start(
        &self,
        id: &berth_base::ContainerId,
        attach: &StartAttach,
    ) -> Result<Started, EngineError> {
        self.recover_after_boot()?;
        let lock = self.store().lock(id)?;
        let view = self.view(id)?;
        // By a user: whatever was, its restarts begin anew.
        self.start_locked(&lock, &view, attach, RestartRecord::default())
    }

    /// As [`Self::start`], with the lock in hand. `restarts` is what is known of its restarts then; the
    /// claim in it holds until it runs, and whoever had another is dismissed. Where the start fails, what
    /// was known stays.
    pub(crate) fn start_locked(
        &self,
        lock: &ContainerLock,
        view: &View,
        attach: &StartAttach,
        restarts: RestartRecord,
    ) -> Result<Started, EngineError> {
        let before = self.check_startable(lock, view)?;
        self.settle_update(lock)?;
        let mut container = view.container.clone();
        container.restarts = restarts;
        let mut run = view.written.run.saturating_add(1);
        // It has the ports that the new one wants.
        await_warden(view.last_run.as_ref());
        let was_volatile = is_volatile(&container.create.root);
        let mut launched = self.try_run(lock, &container, run, attach);
        if let Err(error) = &launched
            && self.made_room(&container)
        {
            self.unwind(lock, &view.container, run, before, error);
            run = run.saturating_add(1);
            launched = self.try_run(lock, &container, run, attach);
        }
        match launched {
            Ok(started) => {
                // Its life is the kernel's to tell; the file spares others the question, which for
                // a container that goes with its process is not worth the making of a file.
                container.restarts.claim = None;
                if !container.create.options.auto_remove {
                    self.write_status(lock, &container, (Status::Running, run), None)?;
                }
                life::dismiss(view.container.restarts.claim.as_ref());
                Ok(started)
            }
            Err(error) => {
                self.unwind(lock, &view.container, run, before, &error);
                if !was_volatile {
                    // Nothing of it ran in this boot's overlay but what is over, so its layer is
                    // whole. A mark from before may tell of a crash of the host.
                    drop(forget_volatile(&container.create.root));
                }
                Err(error.on(container.name.as_str()))
            }
        }
    }

    /// Intent, then effect.
    fn try_run(
        &self,
        lock: &ContainerLock,
        container: &Container,
        run: u32,
        attach: &StartAttach,
    ) -> Result<Started, EngineError> {
        self.clear_run(lock)?;
        self.write_status(lock, container, (Status::Starting, run), None)?;
        self.launch_run(lock, container, run, attach)
    }

    /// Says whether a container may be started, and which status it falls back to.
    fn check_startable(&self, lock: &ContainerLock, view: &View) -> Result<Status, EngineError> {
        let name = &view.container.name;
        let conflict =
            |text: String| EngineError::new(ErrorClass::Conflict, text).on(name.as_str());
        match view.container.status {
            Status::Created => Ok(Status::Created),
            Status::Exited => {
                self.settle(lock, view)?;
                Ok(Status::Exited)
            }
            // Whoever wrote that held the lock which is ours now: it died in the middle.
            Status::Starting => {
                cgroup::end_leftovers(&view.container)?;
                Ok(if view.written.run <= 1 {
                    Status::Created
                } else {
                    Status::Exited
                })
            }
            Status::Paused => Err(conflict(format!(
                "container {name} is paused; let it go on with \"berth unpause {name}\""
            ))),
            Status::Running => Err(conflict(format!(
                "container {name} is {} already; stop it with \"berth stop {name}\" to start it again",
                view.container.status
            ))),
            Status::Restarting => Ok(Status::Restarting),
            Status::Removing => Err(conflict(format!(
                "container {name} is being removed; finish that with \"berth rm -f {name}\""
            ))),
        }
    }

    /// Writes what the run needs, starts the keeper and waits for its first packet.
    fn launch_run(
        &self,
        lock: &ContainerLock,
        container: &Container,
        run: u32,
        attach: &StartAttach,
    ) -> Result<Started, EngineError> {
        let mut warnings = Vec::new();
        self.ensure_layers(container)?;
        // Removed since the last start.
        warnings.extend(make_sources(&container.create.options)?);
        let log = self.log_config(container)?;
        let joined = self.find_joined(&container.create.namespaces)?;
        let spec = self.write_run_spec(lock, container, &joined, &mut warnings)?;
        let connected = self.join_networks(lock, container, spec.root_ids)?;
        let reserved = connected.reserved;
        warnings.extend(connected.warning);
        // Its connections are held until the container runs.
        let (resolver, _connection) = connected.resolver.unzip();
        let _guard = connected.guard;
        let health = match life::is_probed(&container.create.options) {
            true => life::probe(self, container, &self.store().read_spec(&spec.path)?)?,
            false => None,
        };
        let config = MonitorConfig {
            health,
            wiring: connected.wiring,
            resolver,
            helper: connected.helper,
            log,
            held: u32::try_from(reserved.len()).unwrap_or(u32::MAX),
            ..self.monitor_config(container, run, attach, spec.path, joined)
        };
        let request = LaunchRequest {
            runtime_binary: &self.config().runtime_binary,
            config: &config,
            held: &reserved,
        };
        let (session, pid) = self
            .launch_and_wait(container, run, &request)
            .inspect_err(|_| {
                self.withdraw_ports(container, &config.wiring);
                if let Some(events) = &config.events {
                    self.emit_failed_start(events, config.stdio.attached);
                }
            })?;
        // It runs; where its bridge is nearly full, that is the next one's concern.
        warnings.extend(self.look_at_ports(&config.wiring).into_iter().flatten());
        Ok(Started {
            session,
            pid,
            warnings,
        })
    }

    fn launch_and_wait(
        &self,
        container: &Container,
        run: u32,
        request: &LaunchRequest<'_>,
    ) -> Result<(Session, HostPid), EngineError> {
        let socket = launch(request).map_err(|e| {
            let text = format!("cannot start container {}: {e}", container.name);
            EngineError::new(ErrorClass::Internal, text).exit_code(125)
        })?;
        let session = Session::from_launch(socket);
        let pid = match await_started(&session)? {
            Some(pid) => pid,
            // It ended before the monitor could say who it was; the stage wrote it down.
            None => self.pid_on_record(container, run)?,
        };
        Ok((session, pid))
    }

    fn pid_on_record(&self, container: &Container, run: u32) -> Result<HostPid, EngineError> {
        let file = self.store().read_run(&container.id)?;
        let file = file.filter(|file| file.run == run);
        file.map(|file| file.init.pid).ok_or_else(|| {
            let text = format!(
                "container {} started but left no record of it",
                container.name
            );
            EngineError::new(ErrorClass::Internal, text).exit_code(125)
        })
    }

    fn monitor_config(
        &self,
        container: &Container,
        run: u32,
        attach: &StartAttach,
        spec: PathBuf,
        joined: BTreeMap<NamespaceKind, ProcessIdentity>,
    ) -> MonitorConfig {
        let options = &container.create.options;
        let mut identities: Vec<ProcessIdentity> = Vec::new();
        for identity in joined.into_values() {
            if !identities.contains(&identity) {
                identities.push(identity);
            }
        }
        MonitorConfig {
            version: STATE_VERSION,
            id: container.id.clone(),
            name: container.name.as_str().to_owned(),
            run,
            spec,
            root: container.create.root.clone(),
            persistent_dir: container.persistent_dir.clone(),
            volatile_dir: container.volatile_dir.clone(),
            cache_dir: self.store().cache_dir(),
            joined: identities,
            wiring: Wiring::default(),
            resolver: None,
            helper: None,
            held: 0,
            stdio: StdioConfig {
                terminal: options.terminal,
                stdin: options.open_stdin,
                stdin_once: options.stdin_once,
                attached: attach.output || attach.stdin,
                size: attach.size,
            },
            log: None,
            events: Some(self.monitor_events(container, run)),
            init: options.init,
            on_exit: if options.auto_remove
                || !options.publish.is_empty()
                || container.restart != RestartPolicy::No
            {
                self.exited_command(&container.id)
            } else {
                Vec::new()
            },
            health: None,
            client_handles_exit: attach.client_handles_exit,
        }
    }

    /// What a monitor executes when a container has ended of which the engine has something to do.
    pub(crate) fn exited_command(&self, id: &berth_base::ContainerId) -> Vec<String> {
        self.internal_command(&["exited", id.as_str()])
    }

    /// Makes a failed start undone. The reason is what the user needs; what goes wrong here is
    /// found again by the next use-case that touches the container. As with Docker, the exit code on
    /// record is that of a program that cannot be executed (126) or found (127), else 128.
    fn unwind(
        &self,
        lock: &ContainerLock,
        container: &Container,
        run: u32,
        before: Status,
        error: &EngineError,
    ) {
        let code = error.exit_code.filter(|code| matches!(code, 126 | 127));
        let exit = ExitFile {
            version: STATE_VERSION,
            run,
            outcome: ExitOutcome::Code(code.unwrap_or(128)),
            oom_killed: false,
            started_at: None,
            finished_at: Timestamp::from(SystemTime::now()),
            error: Some(error.message.clone()),
            recorded_by: None,
        };
        drop(cgroup::end_leftovers(container));
        let run_file = self.store().read_run(&container.id).ok().flatten();
        await_warden(run_file.filter(|file| file.run == run).as_ref());
        drop(self.clear_run(lock));
        drop(self.store().write_exit_if_absent(&container.id, &exit));
        drop(self.write_status(lock, container, (before, run), Some(error.message.clone())));
    }

    pub(crate) fn write_status(
        &self,
        lock: &ContainerLock,
        container: &Container,
        (status, run): (Status, u32),
        error: Option<String>,
    ) -> Result<(), EngineError> {
        let file = StatusFile {
            version: STATE_VERSION,
            status,
            run,
            changed_at: Timestamp::from(SystemTime::now()),
            error,
            restarts: container.restarts.clone(),
        };
        let durability = match container.create.options.auto_remove {
            true => Durability::Boot,
            // What decides whether it comes back after a loss of power.
            false if container.restart != RestartPolicy::No => Durability::Power,
            false => Durability::Process,
        };
        self.store().write_status(lock, &file, durability)?;
        Ok(self.store().unmark_stopped(lock, container.run)?)
    }

    /// Removes the files of an earlier run; a keeper's old socket would be in the way of the new.
    fn clear_run(&self, lock: &ContainerLock) -> Result<(), EngineError> {
        for name in [
            "run.json",
            "monitor.sock",
            "spec.json",
            "monitor.json",
            "health.json",
        ] {
            self.store().remove_volatile(lock, name)?;
        }
        // Of sessions that ended with the run, while nobody was there to note it.
        let sessions = self
            .store()
            .volatile_dir(lock.id())
            .join(SessionFile::FOLDER);
        // by path: a state folder
        if sessions.is_dir() {
            remove_tree("container.run.sessions", &sessions)?;
        }
        Ok(())
    }
}

/// Why a process does not run.
pub(crate) enum Awaited {
    /// Nobody says.
    Silent,
    /// This.
    Failed(EngineError),
}

/// Waits for the first packet of a connection: the process runs, or why it does not.
///
/// The PID is missing when the process ended at once.
fn await_started(session: &Session) -> Result<Option<HostPid>, EngineError> {
    match await_started_unless(session, &|_| false) {
        Ok(pid) => Ok(pid),
        Err(Awaited::Failed(error)) => Err(error),
        Err(Awaited::Silent) => Err(broken("the runtime does not answer".to_owned())),
    }
}

/// The same, until `is_hopeless` says that it is, after such a silence.
pub(crate) fn await_started_unless(
    session: &Session,
    is_hopeless: &dyn Fn(Duration) -> bool,
) -> Result<Option<HostPid>, Awaited> {
    let mut buffer = vec![0; MAX_PACKET];
    let error = match session.receive_unless(&mut buffer, is_hopeless) {
        Ok(Packet::Started(pid)) => return Ok(pid),
        Err(SessionError::Silent) => return Err(Awaited::Silent),
        Ok(Packet::Failed(failure)) => failed(failure),
        Ok(Packet::Lost) => {
            broken("the runtime ended without an answer: somebody killed it, or it is no berth-runtime of this build; name the right one with --runtime".into())
        }
        // A kill of all that is in the container was quicker.
        Ok(Packet::Exited(_)) => {
            let text = "the process was killed before its program began: the container has ended, or somebody killed it; try again";
            EngineError::new(ErrorClass::Conflict, text).exit_code(125)
        }
        Ok(other) => broken(format!(
            "the runtime answered out of turn ({other:?}); this is a defect of berth"
        )),
        Err(e) => broken(e.to_string()),
    };
    Err(Awaited::Failed(error))
}

fn broken(text: String) -> EngineError {
    EngineError::new(ErrorClass::Internal, text).exit_code(125)
}

fn failed(failure: Failure) -> EngineError {
    EngineError::new(failure.class, failure.message).exit_code(failure.exit_code)
}

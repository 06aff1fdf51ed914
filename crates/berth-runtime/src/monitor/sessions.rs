//! Exec sessions: their begin, their record, and their end with their client.
//!
//! A session is on record in `sessions/ID.json` while any of its processes lives. Listing and
//! killing it need no monitor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use berth_base::protocol::{self, Failure};
use berth_base::state::{ExitOutcome, STATE_VERSION, SessionFile};
use berth_base::{ErrorClass, HostPid, ProcessIdentity, SessionId, Timestamp};
use berth_sys::{Clone3, Forked, exit_now};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::rand::{GetRandomFlags, getrandom};

use super::client::Binding;
use super::serve::encode;
use super::unit::{CONTAINER, Unit};
use super::{Monitor, input};
use crate::cgroup::Cgroup;
use crate::session::{self, About, SessionInput};
use crate::{Tree, failure, process, state};

/// So many sessions are looked after at once: each holds up to five of our descriptors.
const MAX_SESSIONS: usize = 128;
/// How long the processes of a session that ends with its client may take to die.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);

/// A session on record whose init lives.
pub(super) struct Recorded {
    unit: u32,
    init: Pid,
    id: SessionId,
}

impl Monitor {
    /// Starts an exec session for a client, where what it asked for could be read.
    pub(super) fn begin_session(&mut self, index: usize, request: Result<Vec<u8>, Failure>) {
        let number = self.next_session;
        self.next_session += 1;
        let begun = request.and_then(|request| self.try_session(number, &request));
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        match begun {
            Ok(unit) => {
                client.binding = Some(Binding {
                    unit: number,
                    output: true,
                    input: true,
                    owner: true,
                });
                self.units.push(unit);
            }
            Err(failure) => {
                client.push(protocol::FAILED, &encode(&failure));
                client.closing = true;
            }
        }
    }

    fn try_session(&mut self, number: u32, request: &[u8]) -> Result<Unit, Failure> {
        let name = &self.house.config.name;
        let container = self.units.iter().find(|unit| unit.number == CONTAINER);
        let child = container
            .filter(|unit| unit.started)
            .and_then(|unit| unit.child.as_ref());
        let Some((pid, pidfd)) = child else {
            let message = format!("container {name} is not running");
            return Err(failure::engine(ErrorClass::Conflict, message));
        };
        if self.units.len() > MAX_SESSIONS || self.sessions.len() >= MAX_SESSIONS {
            let message = format!(
                "container {name} has {MAX_SESSIONS} exec sessions, as many as can be; \
                 \"berth exec ls\" lists them, and \"berth exec kill\" ends one"
            );
            return Err(failure::engine(ErrorClass::Unavailable, message));
        }
        let input = SessionInput {
            config: &self.house.config,
            pid: *pid,
            pidfd: pidfd.as_fd(),
            request,
            is_probe: false,
        };
        let begun = session::begin(&input)?;
        let mut unit = Unit::new(number);
        unit.starter = Some(begun.starter);
        unit.report = Some(begun.report);
        unit.input = input::Input::new(begun.stdin);
        unit.stdout = begun.stdout;
        unit.stderr = begun.stderr;
        unit.ends_with_client = begun.about.as_ref().is_some_and(|a| a.ends_with_client);
        unit.about = begun.about.map(Box::new);
        let asked = unit.about.as_mut().and_then(|about| about.id.take());
        unit.id = asked.or_else(random_id);
        Ok(unit)
    }

    /// Puts a session that runs on record.
    pub(super) fn record_session(&mut self, number: u32) {
        let run = self.house.config.run;
        let Some(unit) = self.unit(number) else {
            return;
        };
        // What it says is needed no more, and may be long.
        let (Some(about), Some((init, _))) = (unit.about.take(), &unit.child) else {
            return;
        };
        let init = *init;
        let (Some(identity), Some(id)) = (identity_of(init), unit.id.clone()) else {
            return;
        };
        let file = session_file(&id, run, identity, *about);
        let folder = self.session_folder();
        let made = std::fs::create_dir(&folder);
        if (made.is_ok() || folder.is_dir())
            && state::replace(&self.session_path(&id), &file).is_ok()
        {
            let unit = number;
            self.sessions.push(Recorded { unit, init, id });
        } else {
            // A full disk: the session runs, and is on no list.
        }
        let abandoned = !self.has_client(number);
        if abandoned {
            self.client_of_session_left(number);
        }
    }

    /// Notes on record how the main process of a session ended. Orphans of one that ends with its
    /// client end now.
    pub(super) fn session_is_over(&mut self, number: u32) {
        let Some(unit) = self.unit(number) else {
            return;
        };
        let outcome = unit.outcome.unwrap_or(ExitOutcome::Unknown);
        if unit.child.is_none() {
            return;
        }
        if unit.ends_with_client {
            self.client_of_session_left(number);
        }
        let recorded = self.sessions.iter().find(|known| known.unit == number);
        let Some(path) = recorded.map(|known| self.session_path(&known.id)) else {
            return;
        };
        if let Some(mut file) = read(&path) {
            file.outcome = Some(outcome);
            if state::replace(&path, &file).is_err() {
                // It is listed as running until its last process has ended.
            }
        }
    }

    /// A process was reaped: where it was the init of a session, that is over with all its
    /// processes.
    pub(super) fn forget_session(&mut self, pid: Pid) {
        let Some(at) = self.sessions.iter().position(|known| known.init == pid) else {
            return;
        };
        let known = self.sessions.swap_remove(at);
        if std::fs::remove_file(self.session_path(&known.id)).is_err() {
            // Removed with the container, or left for whoever reads it: its process is gone.
        }
    }

    /// Ends everything of a session that ends with its client, in a process of its own: that takes
    /// time, and we wait for nobody.
    pub(super) fn client_of_session_left(&mut self, number: u32) {
        let cgroup = self.session_cgroup();
        let Some(unit) = self.unit(number).filter(|unit| unit.ends_with_client) else {
            return;
        };
        if let Some((pid, pidfd)) = &unit.child {
            end_apart(*pid, pidfd, &cgroup);
        }
    }

    /// After the monitor before us: its sessions are our children now. Their clients cannot come
    /// back to them.
    pub(super) fn adopt_sessions(&mut self) {
        let run = self.house.config.run;
        let cgroup = self.session_cgroup();
        let entries = std::fs::read_dir(self.session_folder());
        for entry in entries.into_iter().flatten().flatten() {
            let Some(file) = read(&entry.path()).filter(|file| file.run == run) else {
                continue;
            };
            let Some((init, pidfd)) = hold(&file.init) else {
                continue;
            };
            if file.ends_with_client {
                end_apart(init, &pidfd, &cgroup);
            }
            self.sessions.push(Recorded {
                unit: CONTAINER,
                init,
                id: file.id,
            });
        }
    }

    fn has_client(&self, number: u32) -> bool {
        let bound = |client: &super::Client| client.binding.is_some_and(|b| b.unit == number);
        self.clients
            .iter()
            .any(|client| bound(client) && !client.is_gone())
    }

    fn session_cgroup(&self) -> Cgroup {
        let run = self.run_file();
        Cgroup::from_paths(&run.map(|run| run.cgroups).unwrap_or_default())
    }

    fn session_folder(&self) -> PathBuf {
        self.house.config.volatile_dir.join(SessionFile::FOLDER)
    }

    fn session_path(&self, id: &SessionId) -> PathBuf {
        self.session_folder().join(format!("{id}.json"))
    }
}

fn random_id() -> Option<SessionId> {
    let mut bytes = [0; 32];
    match getrandom(&mut bytes[..], GetRandomFlags::empty()) {
        Ok(32) => Some(SessionId::from_bytes(bytes)),
        _ => None,
    }
}

fn session_file(id: &SessionId, run: u32, init: ProcessIdentity, about: About) -> SessionFile {
    SessionFile {
        version: STATE_VERSION,
        id: id.clone(),
        run,
        init,
        command: about.command,
        user: about.user,
        terminal: about.terminal,
        stdin: about.stdin,
        detached: about.detached,
        ends_with_client: about.ends_with_client,
        started_at: Timestamp::from(SystemTime::now()),
        outcome: None,
    }
}

fn read(path: &std::path::Path) -> Option<SessionFile> {
    let text = berth_persist::read(path).ok()?;
    serde_json::from_slice(&text).ok()
}

fn host_pid(pid: Pid) -> Option<HostPid> {
    HostPid::new(u32::try_from(pid.as_raw_nonzero().get()).ok()?)
}

fn identity_of(pid: Pid) -> Option<ProcessIdentity> {
    process::identify(host_pid(pid)?).ok()
}

/// The process of an identity, held; `None` when it has ended.
pub(super) fn hold(identity: &ProcessIdentity) -> Option<(Pid, OwnedFd)> {
    let pid = Pid::from_raw(i32::try_from(identity.pid.get()).ok()?)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    process::is_same(identity).then_some((pid, pidfd))
}

/// Who we are afterwards, in the child: a fork of the monitor that knows one session.
fn end_apart(pid: Pid, pidfd: &OwnedFd, cgroup: &Cgroup) {
    let Some(root) = host_pid(pid) else { return };
    match Clone3::default().run() {
        Ok(Forked::Child) => {
            let ended =
                Tree::new(root, pidfd.as_fd()).hang_up(cgroup, Instant::now() + EMPTY_WITHIN);
            exit_now(i32::from(!matches!(ended, Ok(true))))
        }
        // Reaped like any other.
        Ok(Forked::Parent { pidfd, .. }) => drop(pidfd),
        Err(Errno::AGAIN | Errno::NOMEM) => {
            // As many processes as there may be: its main process at least is asked to end.
            if berth_sys::signal::pidfd_kill(pidfd.as_fd(), 15).is_err() {
                // It has.
            }
        }
        Err(_) => {}
    }
}

//! Exec sessions of running containers: listed, signalled and ended by their id.
//!
//! None of it needs the monitor, which only writes the files: a session whose monitor is stopped or
//! gone is found and ended all the same.

use std::time::{Duration, Instant};

use berth_base::state::SessionFile;
use berth_base::{ContainerId, ContainerName, ErrorClass, HostPid, Status, protocol};
use berth_runtime::{Survivor, Tree};

use crate::process::Process;
use crate::{Container, Engine, EngineError, cannot_signal, cgroup, exec};

/// SIGKILL.
const KILL: i32 = 9;
/// How long after SIGKILL a session may take to be empty.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);

/// An exec session of which processes live.
#[derive(Clone, Debug)]
pub struct ExecSession {
    /// The container.
    pub container: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// Its main process; `None` once that has ended and orphans of it are left.
    pub pid: Option<HostPid>,
    /// How many processes it has.
    pub processes: usize,
    /// What is on record.
    pub file: SessionFile,
}

impl Engine {
    /// The sessions of one container, in the order of their begin. Takes no lock and asks nobody.
    ///
    /// # Errors
    /// Its monitor is of a build that keeps no record of them.
    pub fn exec_sessions(&self, container: &Container) -> Result<Vec<ExecSession>, EngineError> {
        match &container.live {
            Some(live) if live.protocol < protocol::SESSIONS_SINCE => {
                Err(exec::too_old(container, "tell its exec sessions"))
            }
            Some(_) => Ok(self.sessions_of(container)),
            None => Ok(Vec::new()),
        }
    }

    /// Their ids; none where there is no record of them.
    pub fn exec_ids(&self, container: &Container) -> Vec<String> {
        let sessions = self.exec_sessions(container).unwrap_or_default();
        let ids = sessions.iter().map(|s| s.file.id.as_str().to_owned());
        ids.collect()
    }

    fn sessions_of(&self, container: &Container) -> Vec<ExecSession> {
        let mut sessions: Vec<ExecSession> = self
            .store()
            .read_sessions(&container.id)
            .into_iter()
            .filter(|file| file.run == container.run)
            .filter_map(|file| look(container, file))
            .collect();
        sessions.sort_by(|a, b| {
            let by_time = a.file.started_at.cmp(&b.file.started_at);
            by_time.then_with(|| a.file.id.cmp(&b.file.id))
        });
        sessions
    }

    /// Finds a session by its id, or by a unique beginning of that.
    ///
    /// # Errors
    /// There is none, or several.
    pub fn find_exec_session(&self, reference: &str) -> Result<ExecSession, EngineError> {
        let is_id = !reference.is_empty()
            && reference
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut found: Vec<ExecSession> = Vec::new();
        for container in self.list()?.iter().filter(|c| is_id && c.live.is_some()) {
            let sessions = self.sessions_of(container).into_iter();
            found.extend(sessions.filter(|s| s.file.id.as_str().starts_with(reference)));
        }
        let shown = reference.escape_default();
        if found.len() > 1 {
            let ids: Vec<&str> = found.iter().map(|s| s.file.id.short()).collect();
            let text = format!(
                "the exec session {shown:?} is ambiguous: it matches {}; give more digits of the id",
                ids.join(", ")
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(reference));
        }
        found.pop().ok_or_else(|| {
            let text =
                format!("no such exec session: {shown}; \"berth exec ls\" lists those that run");
            EngineError::new(ErrorClass::NotFound, text).on(reference)
        })
    }

    /// Sends a signal to the main process of a session. With SIGKILL, all its processes are ended,
    /// those that went into the background too, and success means that none is left.
    ///
    /// # Errors
    /// Its container is paused, the signal cannot be sent, or processes are left, which are listed.
    pub fn signal_exec_session(
        &self,
        session: &ExecSession,
        signal: i32,
    ) -> Result<(), EngineError> {
        let container = self.inspect(&session.container)?;
        if container.status == Status::Paused {
            let name = &container.name;
            let text =
                format!("container {name} is paused; let it go on with \"berth unpause {name}\"");
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        let id = session.file.id.short();
        let Some(init) = Process::open(&session.file.init) else {
            // It ended by itself.
            return Ok(());
        };
        let tree = Tree::new(init.pid(), init.pidfd());
        if signal != KILL {
            if session.file.outcome.is_some() {
                let text = format!(
                    "the main process of exec session {id} has ended, {} are left of it; end them with \"berth exec kill {id}\"",
                    session.processes
                );
                return Err(EngineError::new(ErrorClass::Conflict, text).on(id));
            }
            let sent = tree.signal_first_child(signal);
            return sent.map_err(|errno| cannot_signal(signal, init.pid(), errno));
        }
        let cgroups = container.live.as_ref().map(cgroup::of_run);
        let cgroup = cgroups.unwrap_or_else(|| cgroup::of_container(&container));
        let ended = tree.kill(&cgroup, Instant::now() + EMPTY_WITHIN);
        match ended {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_empty(session, &tree)),
            Err(errno) => Err(cannot_signal(signal, init.pid(), errno)),
        }
    }
}

fn look(container: &Container, file: SessionFile) -> Option<ExecSession> {
    let init = Process::open(&file.init)?;
    let tree = Tree::new(init.pid(), init.pidfd());
    let members = tree.members();
    let pid = match file.outcome {
        None => tree.first_child(),
        Some(_) => None,
    };
    // The session init sees to it, and is gone when none is left.
    Some(ExecSession {
        container: container.id.clone(),
        name: container.name.clone(),
        pid,
        processes: members.len(),
        file,
    })
}

fn not_empty(session: &ExecSession, tree: &Tree<'_>) -> EngineError {
    let id = session.file.id.short();
    let list: Vec<String> = tree
        .members()
        .iter()
        .filter_map(|member| Survivor::look(member.pid))
        .map(|survivor| format!("\n  {survivor}"))
        .collect();
    let text = format!(
        "exec session {id} of container {} is not empty {} s after SIGKILL:{}",
        session.name,
        EMPTY_WITHIN.as_secs(),
        list.concat()
    );
    EngineError::new(ErrorClass::Unavailable, text).on(id)
}

//! `exec` and `attach`: clients of a running container's monitor.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use berth_base::{ContainerId, ErrorClass, SessionId, Status, protocol};
use berth_runtime::exec_request::ExecRequest;
use oci_spec::runtime::{Process, Spec};

use crate::capabilities::Capabilities;
use crate::caretaker::{is_hopeless, unreachable};
use crate::limits::refuse_paused;
use crate::process::Process as Held;
use crate::session::SessionError;
use crate::spec::{SpecError, capability_sets, merge_env, user_of};
use crate::start::{Awaited, await_started_unless};
use crate::store::{StoreError, random_bytes};
use crate::user::{Accounts, ResolvedUser};
use crate::{Container, Engine, EngineError, ExecOptions, Session, events, not_running};

/// How long a keeper may take to step in for its monitor.
const TAKEOVER_WITHIN: Duration = Duration::from_secs(2);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

impl Engine {
    /// Attaches to the streams of a running container.
    pub fn attach(&self, id: &ContainerId, stdin: bool) -> Result<Session, EngineError> {
        let container = self.inspect(id)?;
        if container.status != Status::Running {
            return Err(not_attachable(&container));
        }
        let session = self.attach_to(&container, stdin, 0)?;
        self.emit_of(&container, "attach", &[]);
        Ok(session)
    }

    /// The way back for the client that began a container's first process, after its monitor died.
    pub fn attach_again(&self, id: &ContainerId, stdin: bool) -> Result<Session, EngineError> {
        let container = self.inspect(id)?;
        if !container.status.is_live() {
            return Err(not_running(&container));
        }
        self.attach_to(&container, stdin, protocol::attach::OWNER)
    }

    fn attach_to(
        &self,
        container: &Container,
        stdin: bool,
        flags: u8,
    ) -> Result<Session, EngineError> {
        let session = self.connect(container)?;
        let stdin = if stdin { protocol::attach::STDIN } else { 0 };
        session
            .attach(protocol::attach::OUTPUT | stdin | flags)
            .map_err(|e| unreachable(container, &e))?;
        Ok(session)
    }

    /// Starts a further process in a running container and returns once it executes.
    pub fn exec(&self, id: &ContainerId, options: &ExecOptions) -> Result<Session, EngineError> {
        let view = self.view(id)?;
        let container = &view.container;
        let (Some(live), Some(process)) = (&container.live, &view.process) else {
            return Err(not_running(container));
        };
        if live.run != container.run {
            return Err(not_running(container));
        }
        refuse_paused(container, "run a process in").map_err(|e| e.exit_code(125))?;
        let spec = self.spec_of_run(container)?;
        let mut request = request(&spec, options, process, container)?;
        let bytes = random_bytes()
            .map_err(|e| StoreError::io("draw an id of a session for", self.store().root(), e))?;
        request.id = Some(SessionId::from_bytes(bytes));
        let json = encode(&request)?;
        let mut session = self.connect(container)?;
        if options.ends_with_client && session.version() < protocol::SESSIONS_SINCE {
            return Err(too_old(container, "end a session with its client"));
        }
        if json.len() >= protocol::MAX_PACKET && session.version() < protocol::EXEC_FILES_SINCE {
            let what = format!(
                "take a command and an environment of {} bytes, {} at most",
                json.len(),
                protocol::MAX_PACKET - 1
            );
            return Err(too_old(container, &what));
        }
        let command = options.command.join(" ");
        let mut event = events::container(&container.create, container.name.as_str(), "");
        // An earlier monitor calls the session what it likes.
        if session.version() >= protocol::SESSION_IDS_SINCE
            && let Some(id) = request.id
        {
            event = event.with("execID", id.as_str());
            session.bind(id);
        }
        self.emit_all(vec![
            event.acting(format!("exec_create: {command}")),
            event.acting(format!("exec_start: {command}")),
        ]);
        session
            .exec(&json)
            .map_err(|e| unreachable(container, &e))?;
        let hopeless = |silent_for| is_hopeless(container, silent_for);
        match await_started_unless(&session, &hopeless) {
            Ok(_) => Ok(session),
            Err(Awaited::Silent) => Err(unreachable(container, &SessionError::Silent)),
            Err(Awaited::Failed(error)) => {
                let error = self.ended_meanwhile(id, process).unwrap_or(error);
                Err(error.on(container.name.as_str()))
            }
        }
    }

    /// What says more than how a session failed in a container that was ending.
    fn ended_meanwhile(&self, id: &ContainerId, process: &Held) -> Option<EngineError> {
        if !process.has_ended() {
            return None;
        }
        let now = self.inspect(id).ok()?;
        (!now.status.is_live()).then(|| not_running(&now))
    }

    /// Connects to the monitor. While a keeper takes over from a monitor that died, nobody
    /// accepts for a moment.
    fn connect(&self, container: &Container) -> Result<Session, EngineError> {
        let deadline = Instant::now() + TAKEOVER_WITHIN;
        let hopeless = |silent_for| is_hopeless(container, silent_for);
        loop {
            match Session::connect(&container.volatile_dir, &hopeless) {
                Ok(session) => return Ok(session),
                Err(SessionError::Connect(_) | SessionError::Broken(_))
                    if Instant::now() < deadline =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(unreachable(container, &error)),
            }
        }
    }

    /// The spec of the present run.
    fn spec_of_run(&self, container: &Container) -> Result<Spec, EngineError> {
        let own = container.volatile_dir.join("spec.json");
        // by path: a state folder
        let path = if own.exists() {
            own
        } else {
            container.persistent_dir.join("spec.json")
        };
        Ok(self.store().read_spec(&path)?)
    }
}

fn encode(request: &ExecRequest) -> Result<Vec<u8>, EngineError> {
    let json = serde_json::to_vec(request).map_err(|e| {
        let text = format!("cannot encode the exec request: {e}");
        EngineError::new(ErrorClass::Internal, text)
    })?;
    if json.len() as u64 > protocol::MAX_EXEC_FILE {
        let text = format!(
            "the command and its environment are too long: {} bytes, and Linux takes 6 MiB at most",
            json.len()
        );
        return Err(EngineError::new(ErrorClass::Invalid, text).exit_code(126));
    }
    Ok(json)
}

fn request(
    spec: &Spec,
    options: &ExecOptions,
    process: &Held,
    container: &Container,
) -> Result<ExecRequest, EngineError> {
    if options.command.first().is_none_or(String::is_empty) {
        let text = "no command given; write one after the container";
        return Err(EngineError::new(ErrorClass::Invalid, text).exit_code(125));
    }
    let of_container = spec.process().clone().unwrap_or_default();
    let mut exec = of_container.clone();
    exec.set_terminal(Some(options.terminal))
        .set_args(Some(options.command.clone()))
        .set_console_size(None);
    let home = match &options.user {
        Some(user) => {
            let resolved = resolve_user(process, user, container)?;
            exec.set_user(user_of(&resolved));
            Some(resolved.home)
        }
        None => None,
    };
    set_environment(&mut exec, options, home)?;
    if let Some(workdir) = &options.workdir {
        if !workdir.starts_with('/') {
            return Err(SpecError::Workdir(workdir.clone()).into());
        }
        exec.set_cwd(workdir.into());
    }
    let bounding = if options.privileged {
        let in_user_namespace = spec
            .linux()
            .as_ref()
            .is_some_and(|linux| linux.uid_mappings().is_some());
        if in_user_namespace {
            Capabilities::all()
        } else {
            Capabilities::bounding_of_caller()
        }
    } else {
        bounding_of(&of_container)
    };
    exec.set_capabilities(Some(capability_sets(bounding, exec.user().uid())?));
    Ok(ExecRequest {
        process: exec,
        detach: options.detach,
        stdin: options.open_stdin,
        seccomp: !options.privileged && has_seccomp(spec),
        size: options.size,
        user: options.user.clone(),
        ends_with_client: options.ends_with_client,
        id: None,
    })
}

/// The container's environment, TERM with a terminal, HOME of another user, then `-e`.
fn set_environment(
    exec: &mut Process,
    options: &ExecOptions,
    home: Option<String>,
) -> Result<(), SpecError> {
    let mut env = exec.env().clone().unwrap_or_default();
    if options.terminal && !env.iter().any(|e| e.starts_with("TERM=")) {
        env.push("TERM=xterm".into());
    }
    if let Some(home) = home {
        merge_env(&mut env, &[format!("HOME={home}")])?;
    }
    merge_env(&mut env, &options.env)?;
    exec.set_env(Some(env));
    Ok(())
}

fn has_seccomp(spec: &Spec) -> bool {
    let linux = spec.linux().as_ref();
    linux.is_some_and(|linux| linux.seccomp().is_some())
}

fn bounding_of(process: &Process) -> Capabilities {
    let sets = process.capabilities().as_ref();
    sets.and_then(|sets| sets.bounding().as_ref())
        .map(|bounding| bounding.iter().copied().collect())
        .unwrap_or_default()
}

/// Looks a user up in the files of the running container, below its root as PID 1 has it.
fn resolve_user(
    process: &Held,
    user: &str,
    container: &Container,
) -> Result<ResolvedUser, EngineError> {
    // by path: a root by its magic link, of a process that is held; its files are opened below it
    let root = File::open(format!("/proc/{}/root", process.pid())).map_err(|e| {
        let text = format!("cannot open the root of container {}: {e}", container.name);
        EngineError::new(ErrorClass::Unavailable, text).on(container.name.as_str())
    })?;
    // The PID is held by a pidfd: still alive means that it was our process all along.
    if process.has_ended() {
        return Err(not_running(container));
    }
    // As Docker: the groups that the container was given go to its sessions, whoever they are.
    let further = &container.create.options.group_add;
    Ok(Accounts::read(root.as_fd())?.resolve(Some(user), further)?)
}

/// What a monitor of an earlier build cannot do.
pub(crate) fn too_old(container: &Container, what: &str) -> EngineError {
    let name = &container.name;
    let text = format!(
        "the monitor of container {name} is one of an earlier berth and cannot {what}; it can once \
         the container was stopped and started again"
    );
    EngineError::new(ErrorClass::Unsupported, text).on(name.as_str())
}

fn not_attachable(container: &Container) -> EngineError {
    let name = &container.name;
    let next = match container.status {
        Status::Paused => format!("let it go on with \"berth unpause {name}\""),
        Status::Removing => format!("finish that with \"berth rm -f {name}\""),
        Status::Starting => "wait until it runs".to_owned(),
        _ => format!("start it with \"berth start {name}\", or both at once with start -a"),
    };
    let text = format!(
        "cannot attach to container {name}: it is {}; {next}",
        container.status
    );
    EngineError::new(ErrorClass::Conflict, text).on(name.as_str())
}

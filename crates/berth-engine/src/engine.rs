//! The facade: one method per use-case.

use std::path::{Path, PathBuf};

use berth_base::state::ExitFile;
use berth_base::{ContainerId, ErrorClass};

use crate::{
    Container, CreateOptions, Created, EngineError, ExecOptions, RemoveOptions, Session,
    StartAttach, Started, StopOptions,
};

/// Where an engine keeps its files, and which programs it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The persistent folder, `/var/lib/berth` for root.
    pub root: PathBuf,
    /// The volatile folder, `/run/berth` for root.
    pub state: PathBuf,
    /// The program `berth-runtime`.
    pub runtime_binary: PathBuf,
    /// The program `berth`, which a monitor executes as
    /// `berth --root ROOT --state STATE internal exited ID`.
    pub engine_binary: PathBuf,
    /// Where containers' cgroups go; absent: the hierarchy's root, or the caller's own cgroup
    /// when it is not root.
    pub cgroup_parent: Option<String>,
}

/// The use-cases over one pair of folders.
#[derive(Clone, Debug)]
pub struct Engine {
    config: EngineConfig,
}

impl Engine {
    /// Takes a configuration. Nothing is written: the folders are made, 0700, by the first
    /// use-case that writes.
    pub fn open(config: EngineConfig) -> Result<Self, EngineError> {
        Ok(Self { config })
    }

    /// Makes a container, without starting it.
    pub fn create(&self, options: &CreateOptions) -> Result<Created, EngineError> {
        Err(unready(
            options.name.as_ref().map_or("create", |n| n.as_str()),
        ))
    }

    /// Starts a container and returns once its first process executes.
    pub fn start(&self, id: &ContainerId, _attach: &StartAttach) -> Result<Started, EngineError> {
        Err(unready(id.short()))
    }

    /// Attaches to the streams of a running container.
    pub fn attach(&self, id: &ContainerId, _stdin: bool) -> Result<Session, EngineError> {
        Err(unready(id.short()))
    }

    /// Starts a further process in a running container.
    pub fn exec(&self, id: &ContainerId, _options: &ExecOptions) -> Result<Session, EngineError> {
        Err(unready(id.short()))
    }

    /// Finds a container by full id, then name, then unique prefix of an id.
    pub fn resolve(&self, reference: &str) -> Result<ContainerId, EngineError> {
        Err(unready(reference))
    }

    /// All containers, newest first. Takes no lock.
    pub fn list(&self) -> Result<Vec<Container>, EngineError> {
        Ok(Vec::new())
    }

    /// One container. Takes no lock.
    pub fn inspect(&self, id: &ContainerId) -> Result<Container, EngineError> {
        Err(unready(id.short()))
    }

    /// Stops a container; success means that it is empty.
    pub fn stop(
        &self,
        id: &ContainerId,
        _options: &StopOptions,
        _notify: &mut dyn FnMut(&str),
    ) -> Result<(), EngineError> {
        Err(unready(id.short()))
    }

    /// Sends a signal to the first process; with SIGKILL, success means that it is empty.
    pub fn kill(&self, id: &ContainerId, _signal: i32) -> Result<(), EngineError> {
        Err(unready(id.short()))
    }

    /// Removes a container and everything it left.
    pub fn remove(&self, id: &ContainerId, _options: &RemoveOptions) -> Result<(), EngineError> {
        Err(unready(id.short()))
    }

    /// Waits for the end of the current run, or returns the end of the last.
    pub fn wait(&self, id: &ContainerId) -> Result<ExitFile, EngineError> {
        Err(unready(id.short()))
    }

    /// How the last run ended; `None` while it lives and before the first.
    pub fn last_exit(&self, id: &ContainerId) -> Result<Option<ExitFile>, EngineError> {
        Err(unready(id.short()))
    }

    /// The container's log, json-file lines; it may not exist yet.
    pub fn log_path(&self, id: &ContainerId) -> PathBuf {
        self.config
            .root
            .join("containers")
            .join(id.as_str())
            .join("log.json")
    }

    /// What is to be done once a container has ended (`berth internal exited ID`): `--rm`.
    pub fn exited(&self, id: &ContainerId) -> Result<(), EngineError> {
        Err(unready(id.short()))
    }

    /// The volatile folder; `containers/ID/run.json` below it describes each living container.
    pub fn state_dir(&self) -> &Path {
        &self.config.state
    }
}

fn unready(what: &str) -> EngineError {
    EngineError::new(ErrorClass::Internal, format!("{what}: not built yet"))
}

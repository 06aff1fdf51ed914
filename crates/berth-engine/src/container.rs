//! What the use-cases take and give.

use std::path::PathBuf;

use berth_base::state::{ExitFile, HealthFile, RestartPolicy, RestartRecord, RunFile, Wiring};
use berth_base::{ContainerId, ContainerName, HostPid, Status};

use crate::{CreateOptions, Session};

/// `create.json` with this engine's options.
pub type CreateFile = berth_base::state::CreateFile<CreateOptions>;

/// One container as its files and the kernel show it at one moment.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// What was asked for at create, and what it was resolved to.
    pub create: CreateFile,
    /// Its status, derived from the kernel's view, not merely read.
    pub status: Status,
    /// Number of its last run, 0 before the first.
    pub run: u32,
    /// The living run; `None` unless the status is live.
    pub live: Option<RunFile>,
    /// What it has on its networks, in this boot.
    pub wiring: Wiring,
    /// How the last run ended; `None` while it lives and before the first.
    pub exit: Option<ExitFile>,
    /// Why the last start failed, when it did.
    pub error: Option<String>,
    /// When it is started again by itself.
    pub restart: RestartPolicy,
    /// How far that has come.
    pub restarts: RestartRecord,
    /// What the probes of its last run in this boot found; `None` without a probe.
    pub health: Option<HealthFile>,
    /// Whether its last run was begun in this boot.
    pub(crate) ran_in_this_boot: bool,
    /// `ROOT/containers/ID`.
    pub persistent_dir: PathBuf,
    /// `STATE/containers/ID`.
    pub volatile_dir: PathBuf,
}

/// A container that `create` made.
#[derive(Clone, Debug)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// Its name, given or generated.
    pub name: ContainerName,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
}

/// What the client of a `start` wants of the streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartAttach {
    /// Receive output on the returned session.
    pub output: bool,
    /// Send standard input on the returned session.
    pub stdin: bool,
    /// Terminal size: rows, columns; 0 when unknown.
    pub size: (u16, u16),
    /// The client removes the container itself (foreground `run --rm`); the monitor does it only
    /// when the client is gone.
    pub client_handles_exit: bool,
}

/// A container that `start` started.
pub struct Started {
    /// The launch connection, attached as asked; dropping it detaches.
    pub session: Session,
    /// Its first process.
    pub pid: HostPid,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
}

/// How to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// Seconds between the stop signal and SIGKILL; -1 waits forever; absent: the container's own
    /// `--stop-timeout`, else 10.
    pub timeout_s: Option<i64>,
    /// The first signal; absent: the container's own `--stop-signal`, else SIGTERM.
    pub signal: Option<i32>,
    /// `--stop-fast`: 200 ms between the signal and SIGKILL.
    pub fast: bool,
}

/// How to remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes too, save those that another container has.
    pub volumes: bool,
}

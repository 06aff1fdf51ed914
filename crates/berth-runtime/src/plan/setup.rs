//! What a plan needs beside the spec and the host: the wishes of whoever starts the container.

use std::path::PathBuf;

use berth_base::ContainerId;
use berth_base::state::{MonitorConfig, RootSource};
use oci_spec::runtime::Spec;

/// The caller's part of a plan: the engine fills it from `monitor.json`, the OCI command line
/// from its flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Where relative sources of bind mounts start: a bundle, or the volatile folder of a container of
    /// the engine's.
    pub bundle: PathBuf,
    /// What becomes the root filesystem; the spec's own `root.path` is ignored.
    pub root: RootSource,
    /// Where the root is attached until the pivot.
    pub place: RootPlace,
    /// The container's cgroup, absolute below the hierarchies' roots.
    pub cgroup: String,
    /// Who puts init into that cgroup.
    pub cgroup_entry: CgroupEntry,
    /// A pseudo terminal of this size (rows, columns; 0 when unknown); `None` for none.
    pub terminal: Option<(u16, u16)>,
    /// Whether our reaping init runs the program as its child.
    pub supervision: Supervision,
    /// How the container's root becomes `/`.
    pub root_change: RootChange,
    /// Whether the container gets a session keyring of its own.
    pub keyring: Keyring,
    /// Who says that the program may run.
    pub start: StartSignal,
}

/// Who puts init into the container's cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupEntry {
    /// Itself: it is born in v2's and writes to v1's `tasks`.
    Init,
    /// Its creator, while it waits: systemd makes a scope around a process that exists.
    Creator,
}

/// Where the root is attached between its making and the pivot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootPlace {
    /// Stacked on `/` of init's own mount namespace: nobody needs to find it by a path.
    Stacked,
    /// At its own path, where hooks look for it (runtime-spec, config.md, "POSIX-platform Hooks").
    OwnPath,
}

/// Who reaps what the program leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// The program is the first process, wherever it runs; its caller's reaper does the rest.
    Never,
    /// Our init, where the PID namespace is somebody else's: orphans need a reaper in there.
    WhereJoined,
    /// Our init, always (`--init`).
    Always,
}

/// How the container's root becomes `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootChange {
    /// pivot_root(2); the host's tree is let go of.
    Pivot,
    /// The root is moved over `/`, for hosts that run from a ramdisk (`--no-pivot`).
    Move,
}

/// The session keyring of the container (keyrings(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// A fresh anonymous one.
    New,
    /// The caller's (`--no-new-keyring`).
    Callers,
}

/// Who says that the program may run, once everything is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartSignal {
    /// The stage, which has recorded the container by then.
    Stage,
    /// Whoever connects to the container's start socket: the `start` command.
    Socket,
}

impl Setup {
    /// What the engine wants: no path of its own for the root, a reaper in a joined PID
    /// namespace, start at once.
    pub fn of_engine(spec: &Spec, config: &MonitorConfig) -> Self {
        Self {
            bundle: config.volatile_dir.clone(),
            root: config.root.clone(),
            place: RootPlace::Stacked,
            cgroup: cgroup_of(spec, &config.id),
            cgroup_entry: CgroupEntry::Init,
            terminal: config.stdio.terminal.then_some(config.stdio.size),
            supervision: if config.init {
                Supervision::Always
            } else {
                Supervision::WhereJoined
            },
            root_change: RootChange::Pivot,
            keyring: Keyring::New,
            start: StartSignal::Stage,
        }
    }
}

/// The engine's cgroup for a container: the spec's path, else `/berth/ID`.
fn cgroup_of(spec: &Spec, id: &ContainerId) -> String {
    let listed = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.cgroups_path().as_ref());
    match listed {
        Some(path) if !path.as_os_str().is_empty() => {
            format!("/{}", path.to_string_lossy().trim_start_matches('/'))
        }
        _ => format!("/berth/{id}"),
    }
}

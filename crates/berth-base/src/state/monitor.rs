//! `monitor.json`: what a monitor is to do, as data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{HealthProbe, NetworkHelper, ResolverRequest, Wiring};
use crate::{ContainerId, ProcessIdentity};

/// Everything that keeper, monitor and stage need beside the OCI spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorConfig {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// The container.
    pub id: ContainerId,
    /// Its name when it was started, for messages.
    pub name: String,
    /// Number of this run, from 1; names the exit record.
    pub run: u32,
    /// The OCI runtime spec.
    pub spec: PathBuf,
    /// What becomes the root filesystem. The spec's own `root.path` is ignored.
    pub root: RootSource,
    /// The container's persistent folder.
    pub persistent_dir: PathBuf,
    /// The container's volatile folder.
    pub volatile_dir: PathBuf,
    /// Where compiled seccomp filters are kept.
    pub cache_dir: PathBuf,
    /// Processes whose namespaces the spec joins by path: each must still be the same process
    /// after the paths were opened.
    pub joined: Vec<ProcessIdentity>,
    /// How it is connected to networks, where its network namespace is new.
    #[serde(default)]
    pub wiring: Wiring,
    /// How it asks for names, where its networks have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<ResolverRequest>,
    /// Who carries its packets where its user has no privilege.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<NetworkHelper>,
    /// How many descriptors keeper and monitor hold for as long as they live, behind the others:
    /// sockets that are bound to published ports, so that nobody else gets these.
    #[serde(default)]
    pub held: u32,
    /// Standard streams.
    pub stdio: StdioConfig,
    /// Where output goes, besides attached clients; `None` keeps none.
    pub log: Option<LogConfig>,
    /// Put our reaping init at PID 1 (`--init`).
    pub init: bool,
    /// What to execute once the container has ended, nothing when empty. The file is read again
    /// then: a policy may have changed.
    pub on_exit: Vec<String>,
    /// How to tell whether it is well, where that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthProbe>,
    /// The client of the launch connection removes the container itself while it lives
    /// (`run --rm` in the foreground): `on_exit` runs only when that client is gone.
    pub client_handles_exit: bool,
}

/// What becomes the container's root filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum RootSource {
    /// The built-in `host` image: the host's system folders under a throwaway layer.
    Host,
    /// A directory, under a throwaway layer unless `writable`.
    Directory {
        /// Absolute path on the host.
        path: PathBuf,
        /// Changes go to the directory itself.
        writable: bool,
    },
    /// The layers of an image, under a layer of the container's own on the same file system.
    Layers {
        /// Absolute paths of the layers, the topmost first; at least one.
        lowers: Vec<PathBuf>,
        /// The container's own layer: an empty folder before the first run.
        upper: PathBuf,
        /// overlayfs's work folder, beside `upper` and on its file system.
        work: PathBuf,
        /// Nothing written need survive a crash of the host (`--rm`).
        volatile: bool,
    },
}

/// How the standard streams of the first process are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StdioConfig {
    /// A pseudo terminal of the container's own devpts, as in `-t`.
    pub terminal: bool,
    /// Keep standard input open, as in `-i`; otherwise it is /dev/null.
    pub stdin: bool,
    /// Close standard input for good when the first attached client closes it.
    pub stdin_once: bool,
    /// The launch connection is attached to the output (foreground `run`).
    pub attached: bool,
    /// Terminal size at start: rows, columns; 0 when unknown.
    pub size: (u16, u16),
}

/// Where and how output is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// The json-file log.
    pub path: PathBuf,
}

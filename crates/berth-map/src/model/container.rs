//! Containers of any engine, and how the map knows of them.

use std::fmt;

use berth_base::{HostPid, NamespaceId};

/// Who made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// This engine.
    Berth,
    /// Docker, moby.
    Docker,
    /// Podman.
    Podman,
    /// containerd's CRI service under systemd cgroups.
    Containerd,
    /// CRI-O.
    Crio,
    /// A Kubernetes pod's container whose engine the cgroup path does not tell.
    Kubernetes,
    /// LXC, Incus.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
}

impl Engine {
    /// The word that prefixes the names of this engine's containers, as in `docker/web:7`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Crio => "crio",
            Self::Kubernetes => "kubernetes",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The place of a container in [`super::World::containers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerIndex(pub(crate) usize);

/// What the map's knowledge of a container rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Berth's `run.json`, whose first process was found alive with the recorded start time.
    RunFile,
    /// The path of a cgroup that processes sit in.
    CgroupPath,
}

/// A container that has processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Who made it.
    pub engine: Engine,
    /// Its id: 64 hex digits where the engine has such, else its name.
    pub id: String,
    /// Its name; of a foreign engine the short id, until its own files are read. May come from a
    /// cgroup's name: escape before showing.
    pub name: String,
    /// Its first process, when it was found.
    pub init: Option<HostPid>,
    /// The PID namespace in which its PIDs count, when known.
    pub pid_namespace: Option<NamespaceId>,
    /// The level of that namespace; known from NSpid even where the link is not readable.
    pub pid_level: Option<usize>,
    /// Whether that namespace was made for it, so that it is nobody else's.
    pub own_pid_namespace: bool,
    /// The container it runs inside of.
    pub parent: Option<ContainerIndex>,
    /// How the map knows.
    pub evidence: Evidence,
}

impl Container {
    /// Number of hex digits of a shortened id.
    const SHORT_LEN: usize = 12;

    /// The short form of an id: its first 12 characters when it is 64 hex digits, else all of it.
    pub fn shorten_id(id: &str) -> &str {
        if id.len() == 64 {
            id.get(..Self::SHORT_LEN).unwrap_or(id)
        } else {
            id
        }
    }

    /// The name under which `berth pid` prints it: `web`, or `docker/4f2a...` for other engines.
    /// Not escaped.
    pub fn display_name(&self) -> String {
        match self.engine {
            Engine::Berth => self.name.clone(),
            engine => format!("{engine}/{}", self.name),
        }
    }
}

/// A container whose `run.json` is there but whose first process is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleContainer {
    /// Its 64-digit id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The PID its first process had.
    pub init: HostPid,
    /// Why it is not believed.
    pub reason: StaleReason,
}

/// Why a `run.json` does not describe a living container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StaleReason {
    /// The first process has ended (or is a zombie).
    Ended,
    /// The PID belongs to a process that started at another time.
    PidReused,
    /// It is from before the last reboot.
    OtherBoot,
}

impl StaleReason {
    /// Half a sentence for messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "its first process has ended",
            Self::PidReused => "its first process has ended and the PID was given to another",
            Self::OtherBoot => "it ran before the last reboot",
        }
    }
}

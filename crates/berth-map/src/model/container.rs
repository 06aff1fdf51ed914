//! Containers of any engine, and how the map knows of them.

use std::fmt;

use berth_base::{HostPid, NamespaceId};
use serde::{Deserialize, Serialize};

/// Who made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Engine {
    /// This engine.
    Berth,
    /// Docker, moby.
    Docker,
    /// Podman.
    Podman,
    /// containerd, by ctr, nerdctl or its CRI service.
    Containerd,
    /// CRI-O.
    Crio,
    /// A Kubernetes pod's container whose engine the cgroup path does not tell.
    Kubernetes,
    /// LXC.
    Lxc,
    /// Incus, and LXD before it.
    Incus,
    /// systemd-nspawn.
    Nspawn,
    /// bubblewrap, called by hand or by a program that is not told apart.
    Bubblewrap,
    /// Flatpak, by way of bubblewrap.
    Flatpak,
    /// snap-confine.
    Snap,
    /// The sandbox of Chrome and what is built on it.
    Chrome,
    /// Namespaces that nobody else claims: unshare(1) and programs of their own.
    Unshare,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Berth,
        Self::Docker,
        Self::Podman,
        Self::Containerd,
        Self::Crio,
        Self::Kubernetes,
        Self::Lxc,
        Self::Incus,
        Self::Nspawn,
        Self::Bubblewrap,
        Self::Flatpak,
        Self::Snap,
        Self::Chrome,
        Self::Unshare,
    ];

    /// Whether its containers have no name but the PID of their first process.
    pub const fn names_by_pid(self) -> bool {
        matches!(self, Self::Bubblewrap | Self::Chrome | Self::Unshare)
    }

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
            Self::Incus => "incus",
            Self::Nspawn => "nspawn",
            Self::Bubblewrap => "bwrap",
            Self::Flatpak => "flatpak",
            Self::Snap => "snap",
            Self::Chrome => "chrome",
            Self::Unshare => "unshare",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The place of a container in [`super::World::containers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContainerIndex(pub(crate) usize);

/// One thing that the map's knowledge of a container rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// What kind of thing.
    pub kind: EvidenceKind,
    /// Where: a path, a cgroup, a program's name. Escape before showing.
    pub detail: String,
}

/// Kinds of evidence, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvidenceKind {
    /// Berth's `run.json`, whose first process was found alive with the recorded start time.
    RunFile,
    /// Another engine's file, whose first process was found alive.
    StateFile,
    /// What an engine answered on its socket.
    Socket,
    /// The path of a cgroup that processes sit in.
    CgroupPath,
    /// The program that made its namespaces, or a name that only such a program gives.
    Program,
    /// Its namespaces alone.
    Namespaces,
}

impl EvidenceKind {
    /// The word in the JSON document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RunFile => "run-file",
            Self::StateFile => "state-file",
            Self::Socket => "socket",
            Self::CgroupPath => "cgroup-path",
            Self::Program => "program",
            Self::Namespaces => "namespaces",
        }
    }
}

/// How much an attribution is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// The engine's own record of a process that was found alive.
    Certain,
    /// A name that nobody but the engine has a reason to give, in a place that a container of
    /// another engine could imitate.
    Likely,
    /// It looks like it.
    Guess,
}

impl Confidence {
    /// The word in the JSON document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Guess => "guess",
        }
    }
}

/// The Kubernetes or Podman pod that a container belongs to. Escape before showing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace, where there is one.
    pub namespace: Option<String>,
    /// Its uid or id, when known.
    pub id: Option<String>,
}

/// A container that has processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Who made it.
    pub engine: Engine,
    /// Its id: 64 hex digits where the engine has such, else its name; of containerd the namespace
    /// comes first, `default/ship`; what has neither is called by its first process's PID.
    pub id: String,
    /// Its name; the short id where its engine's files do not tell. Of a Kubernetes pod
    /// `NAMESPACE/POD/CONTAINER`. May come from a cgroup's name: escape before showing.
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
    /// The image it was made from, when its engine says. Escape before showing.
    pub image: Option<String>,
    /// The pod it belongs to.
    pub pod: Option<Pod>,
    /// How the map knows: never empty, the weightiest first.
    pub evidence: Vec<Evidence>,
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

    /// Whether a kind of evidence is there.
    pub fn rests_on(&self, kind: EvidenceKind) -> bool {
        self.evidence.iter().any(|evidence| evidence.kind == kind)
    }

    /// How much its attribution is to be believed.
    pub fn confidence(&self) -> Confidence {
        match self.evidence.iter().map(|evidence| evidence.kind).min() {
            Some(EvidenceKind::RunFile | EvidenceKind::StateFile | EvidenceKind::Socket) => {
                Confidence::Certain
            }
            Some(EvidenceKind::CgroupPath) => Confidence::Likely,
            Some(EvidenceKind::Program | EvidenceKind::Namespaces) | None => Confidence::Guess,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

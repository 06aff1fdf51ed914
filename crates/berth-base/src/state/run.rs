//! `run.json`: the living container, as the stage saw it start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ContainerId, HostPid, NamespaceId, NamespaceKind, ProcessIdentity, Timestamp};

/// What is known of a started container. A cache: the kernel is the truth about liveness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// The container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Number of the run.
    pub run: u32,
    /// The first process: PID 1 of its own PID namespace, or our session init where the
    /// container joined one.
    pub init: ProcessIdentity,
    /// The keeper.
    pub keeper: HostPid,
    /// Who ends the program that carries its packets, where there is one: with this process, PID 1
    /// of a PID namespace of its own, that program has ended too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_warden: Option<ProcessIdentity>,
    /// Whether the container has a PID namespace of its own, so that the end of `init` is the
    /// end of all its processes.
    pub own_pid_namespace: bool,
    /// The namespaces of `init`.
    pub namespaces: Vec<NamespaceId>,
    /// Which kinds of these were made for the container, so that they are surely not the host's.
    /// Empty in a file that was written before this was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_namespaces: Vec<NamespaceKind>,
    /// Name of its seccomp filter in the cache of compiled ones, for whoever enters it. Without
    /// one, or where the cache has lost it, the spec says what there is to compile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Numbers of its mount and user namespace that the kernel never gives out again, as far as it
    /// has such; an nsfs inode is used anew as soon as its namespace is gone. Kept for a container
    /// without a PID namespace of its own, whose processes are told from others by these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub namespace_ids: BTreeMap<NamespaceKind, u64>,
    /// The cgroups of the container.
    pub cgroups: CgroupPaths,
    /// When it was started.
    pub started_at: Timestamp,
    /// The newest version of [`crate::protocol`] that its monitor speaks.
    #[serde(default = "first_version")]
    pub protocol: u16,
}

/// That of a file without one: it was written before there were others.
const fn first_version() -> u16 {
    crate::protocol::FIRST_VERSION
}

/// The cgroups of one container, as absolute directories on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPaths {
    /// The v2 directory, also on hybrid hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v2: Option<String>,
    /// v1 directories by controller (`memory`, `pids`, `name=systemd`, ...).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub v1: BTreeMap<String, String>,
}

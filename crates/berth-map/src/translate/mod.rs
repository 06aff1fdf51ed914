//! One PID in all its namespaces: host PID to container PID and back.
//!
//! Pure: works on a [`World`], whole or around one process. [`crate::lookup`] reads just enough
//! of the host and then asks here.

mod error;
mod select;
mod spec;

pub use error::PidError;
pub(crate) use select::{Candidate, Whose, explain_stale, select, split_engine};
pub use spec::PidSpec;

use std::fmt;

use berth_base::{HostPid, NamespaceId, escape_untrusted};

use crate::model::{ContainerIndex, Process, World};

/// The name that stands for the host in answers and questions, as in `host:31995`.
pub const HOST: &str = "host";

/// A process as one level sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Depth of the PID namespace; 0 is the host's.
    pub level: usize,
    /// The PID namespace, when known.
    pub namespace: Option<NamespaceId>,
    /// The PID in it.
    pub pid: u32,
    /// The container whose own PID namespace it is.
    pub container: Option<ContainerIndex>,
}

/// The short answer to "whose is this PID": container and PID inside, or the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The container; `None` is the host.
    pub container: Option<ContainerIndex>,
    /// Its name as printed: `web`, `docker/4f2a9c01d3e5` or `host`. Escaped.
    pub name: String,
    /// The PID in the PID namespace in which that container's PIDs count.
    pub pid: u32,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.pid)
    }
}

/// Everything known of one process's PIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The PID on the host.
    pub pid: HostPid,
    /// The innermost container that owns the process.
    pub owner: Option<ContainerIndex>,
    /// The short answer. Its container is the owner, or the nearest one around it that can see
    /// the process: one that sits in a container's cgroup but outside its PID namespace is the
    /// next outer container's, or the host's.
    pub answer: Answer,
    /// One entry per level, outermost (the host) first.
    pub levels: Vec<Level>,
}

impl World {
    /// Says where a host PID lives.
    pub fn resolve(&self, pid: HostPid) -> Result<Resolution, PidError> {
        let process = self.process(pid).ok_or(PidError::NoProcess { pid })?;
        let namespaces = self.pid_namespaces(process);
        let levels = process.pids.iter().zip(namespaces).enumerate();
        let levels = levels.map(|(level, (pid, namespace))| Level {
            level,
            namespace,
            pid: *pid,
            container: namespace
                .filter(|_| level > 0)
                .and_then(|id| self.container_of_namespace(id)),
        });
        let owner = self.owner(pid);
        Ok(Resolution {
            pid,
            owner,
            answer: self.answer(process, owner),
            levels: levels.collect(),
        })
    }

    /// The nearest container, from the owner outwards, that sees the process.
    fn answer(&self, process: &Process, owner: Option<ContainerIndex>) -> Answer {
        let seen = self.enclosing(owner).find_map(|index| {
            let pid = self.seen_by(process, index)?;
            Some((index, pid))
        });
        match seen {
            Some((index, pid)) => Answer {
                container: Some(index),
                name: self.container_label(index),
                pid,
            },
            None => Answer {
                container: None,
                name: HOST.to_owned(),
                pid: process.pid.get(),
            },
        }
    }

    /// The printed name of a container, escaped.
    pub fn container_label(&self, index: ContainerIndex) -> String {
        let name = self.container(index).map(|c| c.display_name());
        escape_untrusted(&name.unwrap_or_default()).into_owned()
    }

    /// The PID of a host process as a container sees it.
    ///
    /// `None` when there is no such process or the container's PID namespace does not contain it.
    pub fn seen_from(&self, pid: HostPid, container: ContainerIndex) -> Option<u32> {
        self.seen_by(self.process(pid)?, container)
    }

    /// The process that has a PID in the PID namespace in which a container's PIDs count.
    ///
    /// Any process visible in that namespace is found, also one of another container: with
    /// `--pid host` these are all processes of the host, with `--pid container:web` web's too.
    pub fn host_pid(&self, container: ContainerIndex, pid: u32) -> Option<HostPid> {
        let level = self.container(container)?.pid_level?;
        self.processes()
            .iter()
            .filter(|process| process.pids.get(level) == Some(&pid))
            .find(|process| self.seen_by(process, container) == Some(pid))
            .map(|process| process.pid)
    }

    /// The PID of a process in a PID namespace; `None` when it cannot be seen there.
    pub fn pid_in(&self, process: &Process, namespace: NamespaceId) -> Option<u32> {
        let chain = self.pid_namespaces(process);
        let level = chain.iter().position(|id| *id == Some(namespace))?;
        process.pids.get(level).copied()
    }

    /// The PID of a process as a container sees it. Where namespace links cannot be read, a
    /// process that the container owns counts as seen at the container's level.
    pub(crate) fn seen_by(&self, process: &Process, container: ContainerIndex) -> Option<u32> {
        let seer = self.container(container)?;
        if let Some(namespace) = seer.pid_namespace
            && process.pid_namespace().is_some()
        {
            return self.pid_in(process, namespace);
        }
        let owner = self.owner(process.pid)?;
        let pid = process.pids.get(seer.pid_level?).copied();
        pid.filter(|_| self.is_inside(owner, container))
    }

    /// Finds a container by what a user wrote: full id, name, or unambiguous beginning of an id;
    /// other engines' with the engine in front, as in `docker/web`, `containerd/default/ship`;
    /// those of a Kubernetes pod as `k8s/NAMESPACE/POD/CONTAINER` too. Of a name with slashes its
    /// end will do.
    pub fn find_container(&self, text: &str) -> Result<ContainerIndex, PidError> {
        let live = self.indexed_containers().map(|(index, c)| Candidate {
            engine: c.engine,
            id: &c.id,
            name: &c.name,
            in_pod: c.pod.as_ref().is_some_and(|pod| pod.namespace.is_some()),
            rank: (c.confidence(), self.enclosing(Some(index)).count()),
            value: index,
        });
        select(text, live).map_err(|error| match error {
            PidError::UnknownContainer { .. } => explain_stale(error, text, self.stale()),
            other => other,
        })
    }
}

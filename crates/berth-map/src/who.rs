//! `berth who`: everything that keeps a namespace alive. Pure.

use berth_base::{HostPid, NamespaceId, escape_untrusted};

use crate::model::{ContainerIndex, Holder, NamespaceSet, Process, World};

/// One thing that keeps a namespace alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// What it is.
    pub how: How,
    /// The process that it belongs to, where there is one.
    pub pid: Option<HostPid>,
    /// The name of that process or thread, escaped.
    pub name: Option<String>,
    /// The innermost container that owns that process.
    pub container: Option<ContainerIndex>,
}

/// Ways to keep a namespace alive, in the order in which they are listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// A process that lives in it.
    Process,
    /// A thread that lives in it while its process does not.
    Thread {
        /// Its thread id on the host.
        tid: HostPid,
    },
    /// The next child of a process will be born in it.
    ForChildren,
    /// An open descriptor of it.
    Descriptor {
        /// Its number.
        fd: u32,
    },
    /// A socket that was made in it.
    Socket {
        /// Its number.
        fd: u32,
    },
    /// A bind mount of it.
    BindMount {
        /// Where it is mounted, when known.
        mount_namespace: Option<NamespaceId>,
        /// The mount point there, escaped.
        path: String,
    },
    /// A namespace that was made in it, or that it owns.
    Child {
        /// The other namespace.
        namespace: NamespaceId,
    },
}

impl How {
    /// The word in tables and documents.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Thread { .. } => "thread",
            Self::ForChildren => "for-children",
            Self::Descriptor { .. } => "descriptor",
            Self::Socket { .. } => "socket",
            Self::BindMount { .. } => "bind-mount",
            Self::Child { .. } => "child",
        }
    }

    /// What the word leaves open: `fd 4`, `tid 812`, a path, a namespace; empty for a process.
    pub fn detail(&self) -> String {
        match self {
            Self::Process | Self::ForChildren => String::new(),
            Self::Thread { tid } => format!("tid {tid}"),
            Self::Descriptor { fd } | Self::Socket { fd } => format!("fd {fd}"),
            Self::BindMount {
                mount_namespace: Some(id),
                path,
            } => format!("{path} in {id}"),
            Self::BindMount { path, .. } => path.clone(),
            Self::Child { namespace } => namespace.to_string(),
        }
    }
}

/// Lists what keeps a namespace alive, processes first; `None` when the world has no such
/// namespace. An empty list: nothing was found, or it could not be read.
pub fn keepers(world: &World, id: NamespaceId) -> Option<Vec<Keeper>> {
    world.namespace(id)?;
    let lives = |process: &&Process| process.namespaces.of(id.kind) == Some(id);
    let residents = world.processes().iter().filter(lives);
    let mut found: Vec<Keeper> = residents
        .map(|process| keeper(world, How::Process, Some(process.pid), None))
        .collect();
    found.extend(beyond_processes(world, id));
    Some(found)
}

/// Lists what keeps a namespace alive but processes. Unlike [`keepers`] it does not look at every
/// process.
pub fn beyond_processes(world: &World, id: NamespaceId) -> Vec<Keeper> {
    let lives = |set: &NamespaceSet| set.of(id.kind) == Some(id);
    let mut found = Vec::new();
    for (leader, threads) in &world.details().threads {
        if world.process(*leader).is_some_and(|p| lives(&p.namespaces)) {
            continue;
        }
        for thread in threads.iter().filter(|t| lives(&t.namespaces)) {
            let how = How::Thread { tid: thread.tid };
            found.push(keeper(world, how, Some(*leader), Some(&thread.comm)));
        }
    }
    let holders = world.holders(id).iter().map(how_it_holds);
    found.extend(holders.map(|(how, pid)| keeper(world, how, pid, None)));
    found.sort_by(|a, b| (rank(&a.how), a.pid, &a.how).cmp(&(rank(&b.how), b.pid, &b.how)));
    found.dedup();
    found
}

/// One line of the list; `name` is a thread's own.
fn keeper(world: &World, how: How, pid: Option<HostPid>, name: Option<&str>) -> Keeper {
    let process = pid.and_then(|pid| world.process(pid));
    let name = name.or_else(|| process.map(|p| p.comm.as_str()));
    Keeper {
        how,
        pid,
        name: name.map(|name| escape_untrusted(name).into_owned()),
        container: pid.and_then(|pid| world.owner(pid)),
    }
}

fn how_it_holds(holder: &Holder) -> (How, Option<HostPid>) {
    match holder {
        Holder::ForChildren { pid } => (How::ForChildren, Some(*pid)),
        Holder::Descriptor { pid, fd } => (How::Descriptor { fd: *fd }, Some(*pid)),
        Holder::Socket { pid, fd } => (How::Socket { fd: *fd }, Some(*pid)),
        Holder::Child { namespace } => (
            How::Child {
                namespace: *namespace,
            },
            None,
        ),
        Holder::BindMount {
            mount_namespace,
            path,
        } => {
            let how = How::BindMount {
                mount_namespace: *mount_namespace,
                path: escape_untrusted(path).into_owned(),
            };
            (how, None)
        }
    }
}

const fn rank(how: &How) -> u8 {
    match how {
        How::Process => 0,
        How::Thread { .. } => 1,
        How::ForChildren => 2,
        How::Descriptor { .. } => 3,
        How::Socket { .. } => 4,
        How::BindMount { .. } => 5,
        How::Child { .. } => 6,
    }
}

//! Processes and threads of the map document.

use std::fmt;

use berth_base::{HostPid, NamespaceId};
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};

use super::cgroup::CgroupTable;
use crate::json::{Digits, NamespacesDocument, key};
use crate::model::{ContainerIndex, Links, Process, Thread, World};
use crate::scope::{Role, Selection};

/// The processes of a document. Each is described when it is written: ten thousand descriptions
/// would take more memory than the snapshot.
#[derive(Clone)]
pub struct ProcessList<'w> {
    chosen: Vec<Chosen<'w>>,
    /// PID namespaces from the outside in, each line of them once.
    chains: Vec<Vec<Option<Digits>>>,
    /// The reference to each container.
    keys: Vec<String>,
}

/// A process and what is known of it besides.
#[derive(Clone, Copy)]
struct Chosen<'w> {
    process: &'w Process,
    role: Role,
    owner: Option<ContainerIndex>,
    /// Its place in [`ProcessList::chains`].
    chain: usize,
    /// Its place in the document's `cgroups`.
    cgroups: usize,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessDocument<'w> {
    /// Its PID on the host.
    pub pid: u32,
    /// Its PID at every level, the host's first.
    pub pids: &'w [u32],
    /// The PID namespaces that count them, in the same order.
    pub pid_namespaces: &'w [Option<Digits>],
    /// The namespaces it lives in.
    pub namespaces: NamespacesDocument,
    /// Whether the kernel refused to show them.
    pub namespaces_denied: bool,
    /// Host PID of its parent.
    pub parent: Option<u32>,
    /// Its name, chosen by itself.
    pub comm: &'w str,
    /// Its state character (proc_pid_stat(5)).
    pub state: char,
    /// Start time in clock ticks since boot.
    pub start_ticks: Digits,
    /// Its effective uid.
    pub uid: u32,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: bool,
    /// Its place in `cgroups`.
    pub cgroups: usize,
    /// The innermost container that owns it.
    pub container: Option<&'w str>,
    /// Whether it is there only to show where the others are.
    pub context: bool,
}

/// One thread other than the first of its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadDocument<'w> {
    /// Its id on the host.
    pub tid: u32,
    /// Its id at every level, the host's first.
    pub tids: &'w [u32],
    /// The host PID of its process.
    pub process: u32,
    /// The namespaces it lives in.
    pub namespaces: NamespacesDocument,
    /// Its name, chosen by itself.
    pub comm: &'w str,
    /// Its state character (proc_pid_stat(5)).
    pub state: char,
    /// Start time in clock ticks since boot.
    pub start_ticks: Digits,
}

impl<'w> ProcessList<'w> {
    /// Chooses the processes of a selection, and enters their cgroups.
    pub(super) fn choose(
        world: &'w World,
        selection: &Selection,
        cgroups: &mut CgroupTable,
    ) -> Self {
        let containers = world.indexed_containers();
        let mut list = Self {
            chosen: Vec::with_capacity(world.processes().len()),
            chains: Vec::new(),
            keys: containers.map(|(index, _)| key(world, index)).collect(),
        };
        let mut chains: FxHashMap<(Option<NamespaceId>, usize), usize> = FxHashMap::default();
        for (process, owner) in world.owned_processes() {
            let role = selection.role(process.pid);
            if role == Role::Hidden {
                continue;
            }
            // Who lives in the same namespace has the same ones above.
            let same = (process.pid_namespace(), process.pids.len());
            let chain = *chains.entry(same).or_insert_with(|| {
                let chain = world.pid_namespaces(process).into_iter();
                let chain = chain.map(|id| Some(Digits(id?.inode)));
                list.chains.push(chain.collect());
                list.chains.len() - 1
            });
            list.chosen.push(Chosen {
                process,
                role,
                owner,
                chain,
                cgroups: cgroups.place(&process.cgroups),
            });
        }
        list
    }

    /// The processes as the snapshot has them.
    pub(super) fn processes(&self) -> impl Iterator<Item = &'w Process> + Clone {
        self.chosen.iter().map(|chosen| chosen.process)
    }

    /// Their descriptions, by host PID.
    pub fn iter(&self) -> impl Iterator<Item = ProcessDocument<'_>> {
        self.chosen.iter().map(|chosen| self.describe(chosen))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    fn describe(&self, chosen: &Chosen<'w>) -> ProcessDocument<'_> {
        let process = chosen.process;
        let container = chosen.owner.and_then(|owner| self.keys.get(owner.0));
        ProcessDocument {
            pid: process.pid.get(),
            pids: &process.pids,
            pid_namespaces: self.chains.get(chosen.chain).map_or(&[], Vec::as_slice),
            namespaces: (&process.namespaces).into(),
            namespaces_denied: process.links == Links::Denied,
            parent: process.parent.map(HostPid::get),
            comm: &process.comm,
            state: process.state,
            start_ticks: Digits(process.start_ticks),
            uid: process.uid,
            kernel_thread: process.kernel_thread,
            cgroups: chosen.cgroups,
            container: container.map(String::as_str),
            context: chosen.role == Role::Context,
        }
    }
}

impl fmt::Debug for ProcessList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for ProcessList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

pub(super) fn describe_thread<'w>(process: &Process, thread: &'w Thread) -> ThreadDocument<'w> {
    ThreadDocument {
        tid: thread.tid.get(),
        tids: &thread.tids,
        process: process.pid.get(),
        namespaces: (&thread.namespaces).into(),
        comm: &thread.comm,
        state: thread.state,
        start_ticks: Digits(thread.start_ticks),
    }
}

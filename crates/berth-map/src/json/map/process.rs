//! Processes and threads of the map document.

use berth_base::HostPid;
use serde::Serialize;

use super::cgroup::CgroupTable;
use crate::json::{NamespacesDocument, key};
use crate::model::{Links, Process, Thread, World};
use crate::scope::Role;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessDocument {
    /// Its PID on the host.
    pub pid: u32,
    /// Its PID at every level, the host's first.
    pub pids: Vec<u32>,
    /// The PID namespaces that count them, in the same order.
    pub pid_namespaces: Vec<Option<String>>,
    /// The namespaces it lives in.
    pub namespaces: NamespacesDocument,
    /// Whether the kernel refused to show them.
    pub namespaces_denied: bool,
    /// Host PID of its parent.
    pub parent: Option<u32>,
    /// Its name, chosen by itself.
    pub comm: String,
    /// Its state character (proc_pid_stat(5)).
    pub state: char,
    /// Start time in clock ticks since boot.
    pub start_ticks: String,
    /// Its effective uid.
    pub uid: u32,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: bool,
    /// Its place in `cgroups`.
    pub cgroups: usize,
    /// The innermost container that owns it.
    pub container: Option<String>,
    /// Whether it is there only to show where the others are.
    pub context: bool,
}

/// One thread other than the first of its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadDocument {
    /// Its id on the host.
    pub tid: u32,
    /// Its id at every level, the host's first.
    pub tids: Vec<u32>,
    /// The host PID of its process.
    pub process: u32,
    /// The namespaces it lives in.
    pub namespaces: NamespacesDocument,
    /// Its name, chosen by itself.
    pub comm: String,
    /// Its state character (proc_pid_stat(5)).
    pub state: char,
    /// Start time in clock ticks since boot.
    pub start_ticks: String,
}

pub(super) fn describe_process(
    world: &World,
    cgroups: &mut CgroupTable,
    process: &Process,
    role: Role,
) -> ProcessDocument {
    let namespaces = world.pid_namespaces(process).into_iter();
    let owner = world.owner(process.pid);
    ProcessDocument {
        pid: process.pid.get(),
        pids: process.pids.clone(),
        pid_namespaces: namespaces
            .map(|id| id.map(|id| id.inode.to_string()))
            .collect(),
        namespaces: (&process.namespaces).into(),
        namespaces_denied: process.links == Links::Denied,
        parent: process.parent.map(HostPid::get),
        comm: process.comm.clone(),
        state: process.state,
        start_ticks: process.start_ticks.to_string(),
        uid: process.uid,
        kernel_thread: process.kernel_thread,
        cgroups: cgroups.place(&process.cgroups),
        container: owner.map(|index| key(world, index)),
        context: role == Role::Context,
    }
}

pub(super) fn describe_thread(process: &Process, thread: &Thread) -> ThreadDocument {
    ThreadDocument {
        tid: thread.tid.get(),
        tids: thread.tids.clone(),
        process: process.pid.get(),
        namespaces: (&thread.namespaces).into(),
        comm: thread.comm.clone(),
        state: thread.state,
        start_ticks: thread.start_ticks.to_string(),
    }
}

//! The rows of `berth top`: the processes of one container, with their PIDs side by side.

use berth_base::{HostPid, escape_untrusted};

use crate::discover::ProcRoot;
use crate::model::{ContainerIndex, Process, World};
use crate::zombie::Culprit;

/// One process of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopRow {
    /// Its PID on the host.
    pub host_pid: HostPid,
    /// Its PID in the PID namespace in which the container's PIDs count; `None` for one that is
    /// in the container's cgroup but outside of that namespace.
    pub pid: Option<u32>,
    /// Its PIDs in deeper PID namespaces, outermost first; empty for most.
    pub deeper: Vec<u32>,
    /// Depth of the PID namespace it lives in; 0 is the host's.
    pub level: usize,
    /// Its parent's PID as the container sees it; 0 when the parent lives outside, as the kernel
    /// itself shows it inside.
    pub parent_pid: u32,
    /// Its parent on the host.
    pub parent_host_pid: Option<HostPid>,
    /// Its effective uid, as the reader's user namespace maps it.
    pub uid: u32,
    /// Its state character (proc_pid_stat(5)).
    pub state: char,
    /// Its name, escaped.
    pub comm: String,
    /// Its command line, escaped, once [`read_commands`] was called; else, and for zombies and
    /// kernel threads, its name in brackets.
    pub command: String,
    /// Who fails to reap it, when it is a zombie.
    pub zombie_of: Option<Culprit>,
}

/// Lists the processes that a container owns, those of containers inside it too, by host PID.
pub fn rows(world: &World, container: ContainerIndex) -> Vec<TopRow> {
    let inside = |process: &&Process| {
        let owner = world.owner(process.pid);
        owner.is_some_and(|owner| world.is_inside(owner, container))
    };
    let processes = world.processes().iter().filter(inside);
    processes.map(|p| row(world, container, p)).collect()
}

/// Replaces the bracketed names by command lines.
///
/// A process that ended since the snapshot keeps its name; one that took over its PID is not
/// mistaken for it.
pub fn read_commands(rows: &mut [TopRow], world: &World, proc: &ProcRoot) {
    for row in rows {
        let same = |start| {
            world
                .process(row.host_pid)
                .is_some_and(|p| p.start_ticks == start)
        };
        if let Some(command) = proc.read_command(row.host_pid)
            && proc.start_ticks(row.host_pid).is_some_and(same)
        {
            row.command = command;
        }
    }
}

fn row(world: &World, container: ContainerIndex, process: &Process) -> TopRow {
    let level = world.container(container).and_then(|c| c.pid_level);
    let pid = world.seen_by(process, container);
    let deeper = match (pid, level) {
        (Some(_), Some(level)) => process.pids.iter().skip(level + 1).copied().collect(),
        _ => Vec::new(),
    };
    let comm = escape_untrusted(&process.comm).into_owned();
    TopRow {
        host_pid: process.pid,
        pid,
        deeper,
        level: process.level(),
        parent_pid: world
            .parent(process)
            .and_then(|parent| world.seen_by(parent, container))
            .unwrap_or(0),
        parent_host_pid: process.parent,
        uid: process.uid,
        state: process.state,
        command: format!("[{comm}]"),
        comm,
        zombie_of: Culprit::of(world, process),
    }
}

//! Zombies, and who fails to reap them.

use berth_base::{HostPid, escape_untrusted};

use crate::model::{Process, World};

/// The parent that leaves a zombie unreaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// Its PID on the host.
    pub host_pid: HostPid,
    /// Its PID as the zombie's own PID namespace counts it; `None` when it lives outside.
    pub pid: Option<u32>,
    /// Its name, escaped.
    pub comm: String,
}

impl Culprit {
    /// The parent of a zombie; `None` for a process that is none, or whose parent is not in the
    /// snapshot.
    pub fn of(world: &World, process: &Process) -> Option<Self> {
        if !process.is_zombie() {
            return None;
        }
        let parent = world.parent(process)?;
        let namespace = process.pid_namespace();
        Some(Self {
            host_pid: parent.pid,
            pid: namespace.and_then(|id| world.pid_in(parent, id)),
            comm: escape_untrusted(&parent.comm).into_owned(),
        })
    }

    /// The words of listings: `PID 1 "sh"`, or `host PID 812 "sh"` when it lives outside.
    pub fn describe(&self) -> String {
        match self.pid {
            Some(pid) => format!("PID {pid} \"{}\"", self.comm),
            None => format!("host PID {} \"{}\"", self.host_pid, self.comm),
        }
    }
}

//! Threads, where they matter: a thread may live in other namespaces than its process.

use berth_base::HostPid;
use serde::{Deserialize, Serialize};

use super::NamespaceSet;

/// A thread other than the first of its process (which the process itself stands for).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its thread id on the host.
    pub tid: HostPid,
    /// Its id at every level, the host's first.
    pub tids: Vec<u32>,
    /// The namespaces it lives in. setns(2) and unshare(2) move one thread; all threads of a
    /// process share its PID and user namespace.
    pub namespaces: NamespaceSet,
    /// Its name. Escape before showing.
    pub comm: String,
    /// Its state character (proc_pid_stat(5)).
    pub state: char,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
}

//! The processes of a container, found in /proc: for the list of survivors, and where no cgroup
//! can be asked.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use berth_base::state::{NamespaceSource, RunFile};
use berth_base::{HostPid, NamespaceKind};
use berth_runtime::Survivor;

use crate::cgroup;
use crate::process::{Process, identify};
use crate::{Container, EngineError};

/// The pause between two looks at what must die.
const PAUSE: Duration = Duration::from_millis(5);

/// How a container's processes are told from all others: any of these links.
pub(crate) struct Marks {
    /// `KIND:[INODE]` of namespaces that are the container's alone.
    links: Vec<(NamespaceKind, String)>,
}

impl Marks {
    /// Its mount namespace, which no container shares, and of the others those that it made.
    pub(crate) fn of(container: &Container, run: &RunFile) -> Self {
        let own = |kind: NamespaceKind| match kind {
            NamespaceKind::Mnt => true,
            NamespaceKind::Pid => run.own_pid_namespace,
            // Others may live in a user namespace; who lives in it alone, made it.
            NamespaceKind::User => {
                container.create.namespaces.get(&kind) == Some(&NamespaceSource::Private)
            }
            _ => false,
        };
        let links = run
            .namespaces
            .iter()
            .filter(|id| own(id.kind))
            .map(|id| (id.kind, id.to_string()))
            .collect();
        Self { links }
    }

    /// Whether a process has one of the marks. One whose links cannot be read has none.
    fn fit(&self, pid: HostPid) -> bool {
        self.links.iter().any(|(kind, link)| {
            fs::read_link(format!("/proc/{pid}/ns/{}", kind.as_str()))
                .is_ok_and(|found| found.as_os_str() == link.as_str())
        })
    }
}

/// Every process with one of the marks, zombies as far as their links can still be read.
pub(crate) fn marked(marks: &Marks) -> BTreeSet<HostPid> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(HostPid::new)
        .filter(|pid| marks.fit(*pid))
        .collect()
}

/// Kills every marked process until two looks find none alive, and says whether that was reached
/// by the deadline. For a caller that may make no cgroup and shares the host's PID namespace.
pub(crate) fn kill_marked(marks: &Marks, deadline: Instant) -> Result<bool, EngineError> {
    let mut quiet = 0;
    loop {
        let mut found = false;
        for pid in marked(marks) {
            // Open first, look again after: the PID may have changed hands in between.
            let process = identify(pid).and_then(|identity| Process::open(&identity));
            let Some(process) = process.filter(|_| marks.fit(pid)) else {
                continue;
            };
            found = true;
            process
                .signal(9)
                .map_err(|e| crate::cannot_signal(9, pid, e))?;
        }
        quiet = if found { 0 } else { quiet + 1 };
        if quiet == 2 {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What is left of a container: everything with its marks and everything in its cgroups, each
/// with who could be holding it.
pub(crate) fn survivors(container: &Container, run: &RunFile) -> Vec<Survivor> {
    let mut pids = marked(&Marks::of(container, run));
    pids.extend(cgroup::of_run(run).processes().unwrap_or_default());
    pids.into_iter().filter_map(Survivor::look).collect()
}

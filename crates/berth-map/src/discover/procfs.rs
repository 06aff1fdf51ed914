//! The procfs source: every process the mount shows, and facts about the host.

use berth_base::HostPid;

use super::pid_dir::Reader;
use super::{DiscoverError, ProcRoot, reach};
use crate::model::{Host, Links, Process};

/// What one pass over a procfs found.
pub(super) struct Scan {
    /// The host.
    pub(super) host: Host,
    /// The processes, by ascending PID.
    pub(super) processes: Vec<Process>,
    /// Those of them that have more than one thread, by ascending PID.
    pub(super) threaded: Vec<HostPid>,
    /// What was refused.
    pub(super) warnings: Vec<String>,
}

/// Reads all processes.
pub(super) fn scan(proc: &ProcRoot) -> Result<Scan, DiscoverError> {
    let pids = proc.list_pids()?;
    let mut reader = Reader::new(proc);
    let mut processes = Vec::with_capacity(pids.len());
    let mut refused = Vec::new();
    let mut threaded = Vec::new();
    for pid in pids {
        match reader.read_counted(pid) {
            Ok(Some((process, threads))) => {
                if threads > 1 {
                    threaded.push(pid);
                }
                processes.push(process);
            }
            Ok(None) => {}
            Err(refusal) => refused.push(refusal),
        }
    }
    if processes.is_empty() {
        return Err(match refused.into_iter().next() {
            Some(refusal) => refusal.into(),
            None => DiscoverError::NoProcess {
                path: proc.path().to_owned(),
            },
        });
    }
    processes.sort_by_key(|p| p.pid);
    threaded.sort_unstable();
    let mut warnings = Vec::new();
    if let Some(first) = refused.first() {
        warnings.push(format!(
            "{} processes are left out, since {} of process {} (the first of them) cannot be read: {}; try again as root",
            refused.len(),
            first.file,
            first.pid,
            std::io::Error::from(first.error),
        ));
    }
    let host = read_host(proc, &processes);
    warnings.extend(reach::limits(proc, host.pid_namespace, &processes));
    Ok(Scan {
        host,
        processes,
        threaded,
        warnings,
    })
}

/// The boot id of the host behind a procfs.
pub(super) fn read_boot_id(proc: &ProcRoot) -> Option<String> {
    proc.read_text("sys/kernel/random/boot_id").ok()
}

/// Reads the facts about the host. What cannot be read stays empty.
pub(super) fn read_host(proc: &ProcRoot, processes: &[Process]) -> Host {
    let find = |pid: HostPid| {
        let at = processes.binary_search_by_key(&pid, |p| p.pid);
        at.ok().and_then(|at| processes.get(at))
    };
    let own = || {
        let link = rustix::fs::readlinkat(proc, c"self", Vec::new()).ok()?;
        find(HostPid::new(link.to_str().ok()?.parse().ok()?)?)
    };
    let readable = |p: &&Process| p.links == Links::Read && !p.is_zombie();
    // PID 1 of a procfs lives in the PID namespace that the procfs belongs to; so does whoever
    // has one level only.
    let first = HostPid::new(1).and_then(find).filter(readable);
    let reference = first.or_else(|| own().filter(readable));
    let outermost = |p: &Process| (p.level() == 0).then(|| p.pid_namespace()).flatten();
    Host {
        pid_namespace: reference
            .and_then(outermost)
            .or_else(|| processes.iter().find_map(outermost)),
        namespaces: reference.map(|p| p.namespaces).unwrap_or_default(),
        hostname: proc.read_text("sys/kernel/hostname").ok(),
        pid_max: proc
            .read_text("sys/kernel/pid_max")
            .ok()
            .and_then(|text| text.parse().ok()),
        boot_id: read_boot_id(proc),
    }
}

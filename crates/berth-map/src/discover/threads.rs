//! Threads: all, or those that live in another namespace than their process.

use berth_base::HostPid;

use super::details::Reading;
use super::pid_dir::Reader;
use super::ways::Way;
use crate::model::{Links, NamespaceSet, Process, Thread, WantedThreads};

/// Reads the threads of processes that have more than one.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let all = reading.wanted.threads == WantedThreads::All;
    let mut reader = Reader::new(reading.proc);
    for pid in &reading.scan.threaded {
        let Some(process) = find(&reading.scan.processes, *pid) else {
            continue;
        };
        let threads = read_process(reading, &mut reader, process, all);
        for thread in threads.iter().filter(|t| is_stray(process, &t.namespaces)) {
            let way = Way::Thread {
                process: *pid,
                tid: thread.tid,
            };
            for id in thread.namespaces.iter() {
                reading.ways.insert(id, way.clone());
            }
        }
        if !threads.is_empty() {
            reading.details.threads.insert(*pid, threads);
        }
    }
    Ok(())
}

/// The threads of one process, its first one left out.
fn read_process(
    reading: &Reading<'_>,
    reader: &mut Reader<'_>,
    process: &Process,
    all: bool,
) -> Vec<Thread> {
    let mut tids = reading.proc.list_threads(process.pid);
    tids.sort_unstable();
    let mut threads: Vec<Thread> = tids
        .into_iter()
        .filter(|tid| *tid != process.pid)
        .filter_map(|tid| reader.read_thread(process.pid, tid, |set| all || is_stray(process, set)))
        .collect();
    // The process may have moved as a whole since it was read: then they are no strays.
    if !all
        && !threads.is_empty()
        && let Ok(Some(now)) = reader.read(process.pid)
    {
        threads.retain(|thread| is_stray(&now, &thread.namespaces));
    }
    threads
}

/// Whether a thread lives in a namespace that its process is not seen in. What the first thread
/// does not show (it has ended, and the process is a zombie until its last thread ends) counts.
pub(super) fn is_stray(process: &Process, thread: &NamespaceSet) -> bool {
    process.links == Links::Read
        && thread
            .iter()
            .any(|id| process.namespaces.of(id.kind) != Some(id))
}

/// A process by its PID.
pub(super) fn find(processes: &[Process], pid: HostPid) -> Option<&Process> {
    let at = processes.binary_search_by_key(&pid, |p| p.pid).ok()?;
    processes.get(at)
}

//! One kernel read by BPF and by procfs, and what they must agree on.
//!
//! The host changes while it is read. What procfs says twice, before and after, BPF must have said
//! in between; where it did not, it is asked again, and a difference counts when it stays.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]
#![allow(unreachable_pub, missing_docs, reason = "a module of test binaries")]

use std::collections::BTreeMap;

use berth_base::HostPid;
use berth_map::model::{
    Links, NamespaceSet, Process, Source, Thread, Wanted, WantedThreads, World,
};

use crate::real::{Own, eventually, is_root, skip, sources};

/// How often a difference must show to count.
const ROUNDS: usize = 8;

pub fn all_threads() -> Wanted {
    Wanted {
        threads: WantedThreads::All,
        ..Wanted::default()
    }
}

/// Reads by BPF; `None`, with the reason printed, where this kernel does not let us.
pub fn by_bpf(wanted: &Wanted) -> Option<World> {
    if !is_root() {
        return None;
    }
    match World::discover_by(&sources(), wanted, Source::Bpf) {
        Ok(world) => Some(world),
        Err(error) => {
            skip(&format!("no BPF: {error}"));
            None
        }
    }
}

pub fn by_procfs(wanted: &Wanted) -> World {
    World::discover_by(&sources(), wanted, Source::Procfs).unwrap()
}

/// One process or thread, as far as it can be compared. What both sources read at different times
/// is left out: whether it sleeps, and what a thread of a workqueue does at the moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pids: Vec<u32>,
    namespaces: NamespaceSet,
    links: Links,
    comm: String,
    has_ended: bool,
    start_ticks: u64,
    process: Option<Process>,
}

fn comparable_comm(comm: &str, kernel_thread: bool) -> String {
    match kernel_thread && comm.starts_with("kworker/") {
        // "-" and "+" begin what it does; a rescuer's name may hold the first itself.
        true if !comm.starts_with("kworker/R-") => {
            comm.split(['-', '+']).next().unwrap_or_default().to_owned()
        }
        _ => comm.to_owned(),
    }
}

fn see_process(process: &Process) -> Seen {
    let comm = comparable_comm(&process.comm, process.kernel_thread);
    let mut rest = process.clone();
    rest.state = '?';
    rest.comm.clear();
    // Compared on their own, since the kernel may refuse one source what it tells the other.
    rest.namespaces = NamespaceSet::default();
    rest.links = Links::Read;
    Seen {
        pids: process.pids.clone(),
        namespaces: process.namespaces,
        links: process.links,
        comm,
        has_ended: process.is_zombie(),
        start_ticks: process.start_ticks,
        process: Some(rest),
    }
}

fn see_thread(thread: &Thread) -> Seen {
    Seen {
        pids: thread.tids.clone(),
        namespaces: thread.namespaces,
        links: Links::Read,
        comm: thread.comm.clone(),
        has_ended: matches!(thread.state, 'Z' | 'X'),
        start_ticks: thread.start_ticks,
        process: None,
    }
}

/// Everything in a world by its id.
fn see(world: &World) -> BTreeMap<HostPid, Seen> {
    let processes = world.processes().iter().map(|p| (p.pid, see_process(p)));
    let threads = world.details().threads.values().flatten();
    let threads = threads.map(|thread| (thread.tid, see_thread(thread)));
    processes.chain(threads).collect()
}

/// Whether BPF says what procfs does, and more only where procfs was refused.
fn agrees(bpf: &Seen, procfs: &Seen) -> bool {
    let mut bpf = bpf.clone();
    if procfs.links == Links::Denied {
        bpf.links = Links::Denied;
        bpf.namespaces = procfs.namespaces;
    }
    bpf == *procfs
}

/// Compares all that `is_chosen` chooses until nothing differs, or the same differs always.
/// Returns how many were compared in the last round.
pub fn compare(is_chosen: impl Fn(HostPid, &Seen) -> bool) -> usize {
    let mut suspects: Option<BTreeMap<HostPid, String>> = None;
    for _ in 0..ROUNDS {
        let before = see(&by_procfs(&all_threads()));
        let between = see(&World::discover_by(&sources(), &all_threads(), Source::Bpf).unwrap());
        let after = see(&by_procfs(&all_threads()));
        let mut differing = BTreeMap::new();
        let mut compared = 0;
        for (pid, procfs) in &before {
            if after.get(pid) != Some(procfs) || !is_chosen(*pid, procfs) {
                continue;
            }
            compared += 1;
            let bpf = between.get(pid);
            if !bpf.is_some_and(|bpf| agrees(bpf, procfs)) {
                differing.insert(*pid, format!("procfs {procfs:#?}\nbpf {bpf:#?}"));
            }
        }
        for (pid, bpf) in &between {
            let known = before.contains_key(pid) || after.contains_key(pid);
            if !known && is_chosen(*pid, bpf) {
                differing.insert(*pid, format!("BPF alone has {bpf:#?}"));
            }
        }
        if let Some(last) = &suspects {
            differing.retain(|pid, _| last.contains_key(pid));
        }
        if differing.is_empty() {
            return compared;
        }
        suspects = Some(differing);
    }
    panic!("BPF and procfs differ: {:#?}", suspects.unwrap());
}

/// A tree of processes below unshare(1), which ends with the test.
pub fn start(program: &str, arguments: &[&str]) -> Own {
    Own::start(program, arguments)
}

/// The processes below one, itself included, once there are so many.
pub fn below(root: HostPid, count: usize) -> Vec<Process> {
    let mut found = Vec::new();
    eventually(|| {
        let world = by_procfs(&Wanted::default());
        let is_below = |p: &&Process| {
            let mut line = std::iter::successors(Some(*p), |p| world.parent(p));
            line.any(|ancestor| ancestor.pid == root)
        };
        found = world.processes().iter().filter(is_below).cloned().collect();
        found.len() == count && found.iter().all(|p| p.comm != "sh")
    });
    found
}

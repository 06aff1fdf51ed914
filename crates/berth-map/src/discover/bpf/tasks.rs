//! From the records of tasks to processes, threads and namespaces.

use std::path::Path;

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use super::super::{ProcRoot, parse, proc_root};
use super::gather::Gather;
use super::iterate::{self, Program};
use super::offsets::{Field, Offsets};
use super::settle::settle;
use super::task_record::TaskRecord;
use super::{Beside, Unavailable, kernel, task_program};
use crate::model::{Process, WantedThreads};

/// Everything that one pass over all tasks gives.
pub(in super::super) struct Tasks {
    /// The processes, by ascending PID.
    pub(in super::super) processes: Vec<Process>,
    /// Those of them that have more than one thread, which are not among the rest.
    pub(in super::super) threaded: Vec<HostPid>,
    /// The rest.
    pub(in super::super) beside: Beside,
}

/// Reads all tasks of the reader's PID namespace.
pub(in super::super) fn read_tasks(
    proc: &ProcRoot,
    state_dir: Option<&Path>,
    threads: WantedThreads,
) -> Result<Tasks, Unavailable> {
    let own = own_pid_namespace(proc).ok_or(Unavailable::OtherProcfs)?;
    let offsets = kernel::offsets(state_dir)?;
    read_with(proc, offsets, own, threads)
}

/// As [`read_tasks`], with offsets that are known.
fn read_with(
    proc: &ProcRoot,
    offsets: Offsets,
    own: NamespaceId,
    threads: WantedThreads,
) -> Result<Tasks, Unavailable> {
    let missing = || Unavailable::Layout {
        why: "the kernel lacks a field of tasks".to_owned(),
    };
    let code = task_program::assemble(&offsets, threads).ok_or_else(missing)?;
    let program = Program {
        name: "berth_tasks",
        what: "tasks",
        target: offsets.value(Field::IterTask).ok_or_else(missing)?,
        code: &code,
    };
    let mut gather = Gather::new(own, Clock::read(proc));
    iterate::run(&program, |buffer| {
        while let Some(record) = TaskRecord::take(buffer) {
            gather.add(&record);
        }
    })?;
    Ok(settle(proc, gather, offsets, threads))
}

/// The PID namespace of this process, when the procfs is a real one that belongs to it.
fn own_pid_namespace(proc: &ProcRoot) -> Option<NamespaceId> {
    /// PROC_SUPER_MAGIC of linux/magic.h.
    const PROCFS: u64 = 0x9fa0;
    let kind = rustix::fs::fstatfs(proc).ok()?.f_type;
    if u64::try_from(kind) != Ok(PROCFS) {
        return None;
    }
    let mut text = Vec::new();
    // Of a procfs of a PID namespace above ours, the line shows more than one level; in one of a
    // namespace that we are not in there is no "self".
    proc_root::read_file(proc, c"self/status", &mut text).ok()?;
    if parse::parse_status(&text)?.pids.len() != 1 {
        return None;
    }
    let link = rustix::fs::readlinkat(proc, c"self/ns/pid", Vec::new()).ok()?;
    parse::parse_link(NamespaceKind::Pid, link.as_bytes())
}

/// USER_HZ is 100 on every architecture of Linux that has BPF (asm-generic/param.h).
const NANOS_PER_TICK: i128 = 10_000_000;

/// From the kernel's time of start to that of `/proc/PID/stat`.
pub(super) struct Clock {
    /// What the reader's time namespace adds, in nanoseconds (time_namespaces(7)).
    offset_nanos: i128,
}

impl Clock {
    fn read(proc: &ProcRoot) -> Self {
        let offsets = proc.read_text("self/timens_offsets").unwrap_or_default();
        let boot = offsets.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            // The number of CLOCK_BOOTTIME is 7; kernels before 5.7 wrote it so.
            matches!(words.next()?, "boottime" | "7").then_some(())?;
            let seconds: i128 = words.next()?.parse().ok()?;
            let nanos: i128 = words.next()?.parse().ok()?;
            Some(seconds * 1_000_000_000 + nanos)
        });
        Self {
            offset_nanos: boot.unwrap_or(0),
        }
    }

    /// Clock ticks since boot.
    pub(super) fn ticks(&self, nanos: u64) -> u64 {
        let ticks = (i128::from(nanos) + self.offset_nanos) / NANOS_PER_TICK;
        u64::try_from(ticks).unwrap_or(0)
    }
}

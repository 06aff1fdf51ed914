//! From the records of tasks to processes, threads and namespaces.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use super::super::{ProcRoot, parse, proc_root};
use super::file_record::{self, OpenFile};
use super::gather::Gather;
use super::iterate::{Loaded, Program};
use super::offsets::{Field, Offsets};
use super::settle::settle;
use super::task_program::{self, Files};
use super::task_record::TaskRecord;
use super::{Beside, Unavailable, file_walk, kernel};
use crate::model::{Process, Wanted, WantedThreads};

/// Everything that one pass over all tasks gives.
pub(in super::super) struct Tasks {
    /// The processes, by ascending PID.
    pub(in super::super) processes: Vec<Process>,
    /// Those of them that have more than one thread, which are not among the rest.
    pub(in super::super) threaded: Vec<HostPid>,
    /// The rest.
    pub(in super::super) beside: Beside,
}

/// What a pass is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    threads: WantedThreads,
    files: Files,
}

/// Programs that were loaded in this process: who takes snapshots all the time needs the kernel to
/// check each of them only once.
static LOADED: Mutex<Vec<(Pass, Arc<Loaded>)>> = Mutex::new(Vec::new());
/// Whether the kernel has refused a program that reads tasks and files; it takes one for each then.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Reads all tasks of the reader's PID namespace, and what they have open when that is wanted and
/// can be read in the same pass.
pub(in super::super) fn read_tasks(
    proc: &ProcRoot,
    state_dir: Option<&Path>,
    wanted: &Wanted,
) -> Result<Tasks, Unavailable> {
    let own = own_pid_namespace(proc).ok_or(Unavailable::OtherProcfs)?;
    let offsets = kernel::offsets(state_dir)?;
    let threads = wanted.threads;
    let both = Pass {
        threads,
        files: Files::Yes,
    };
    let files = wanted.holders || wanted.networks;
    if files && file_walk::is_possible(&offsets, own) && !IS_REFUSED.load(Ordering::Relaxed) {
        match kept(&offsets, both) {
            Ok(loaded) => return read_with(proc, offsets, own, (both, &loaded)),
            Err(_) => IS_REFUSED.store(true, Ordering::Relaxed),
        }
    }
    let tasks = Pass {
        threads,
        files: Files::No,
    };
    let loaded = kept(&offsets, tasks)?;
    read_with(proc, offsets, own, (tasks, &loaded))
}

/// The program of a pass, which is loaded when it has not been.
fn kept(offsets: &Offsets, pass: Pass) -> Result<Arc<Loaded>, Unavailable> {
    let mut all = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, loaded)) = all.iter().find(|(of, _)| *of == pass) {
        return Ok(Arc::clone(loaded));
    }
    let loaded = Arc::new(load(offsets, pass)?);
    all.push((pass, Arc::clone(&loaded)));
    Ok(loaded)
}

/// Loads the program of a pass.
fn load(offsets: &Offsets, pass: Pass) -> Result<Loaded, Unavailable> {
    let missing = || Unavailable::Layout {
        why: "the kernel lacks a field of tasks".to_owned(),
    };
    let code = task_program::assemble(offsets, pass.threads, pass.files).ok_or_else(missing)?;
    Loaded::load(&Program {
        name: "berth_tasks",
        what: "tasks",
        target: offsets.value(Field::IterTask).ok_or_else(missing)?,
        code: &code.instructions,
        callbacks: &code.callbacks,
    })
}

/// As [`read_tasks`], by a program that is loaded.
fn read_with(
    proc: &ProcRoot,
    offsets: Offsets,
    own: NamespaceId,
    (pass, loaded): (Pass, &Loaded),
) -> Result<Tasks, Unavailable> {
    let mut gather = Gather::new(own, Clock::read(proc));
    let mut open: Vec<OpenFile> = Vec::new();
    loaded.run(|buffer| {
        loop {
            if let Some(file) = file_record::take(buffer) {
                open.extend(file);
            } else if let Some(record) = TaskRecord::take(buffer) {
                gather.add(&record);
            } else {
                break;
            }
        }
    })?;
    let mut tasks = settle(proc, gather, offsets, pass.threads);
    tasks.beside.files = (pass.files == Files::Yes).then_some(open);
    Ok(tasks)
}

/// The PID namespace of this process, when the procfs is a real one that belongs to it.
pub(in super::super) fn own_pid_namespace(proc: &ProcRoot) -> Option<NamespaceId> {
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
const NANOS_PER_TICK: u64 = 10_000_000;

/// From the kernel's time of start to that of `/proc/PID/stat`.
pub(super) struct Clock {
    /// What the reader's time namespace adds, in nanoseconds (time_namespaces(7)).
    offset_nanos: i64,
}

impl Clock {
    fn read(proc: &ProcRoot) -> Self {
        let offsets = proc.read_text("self/timens_offsets").unwrap_or_default();
        let boot = offsets.lines().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            // The number of CLOCK_BOOTTIME is 7; kernels before 5.7 wrote it so.
            matches!(words.next()?, "boottime" | "7").then_some(())?;
            let seconds: i64 = words.next()?.parse().ok()?;
            let nanos: i64 = words.next()?.parse().ok()?;
            seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
        });
        Self {
            offset_nanos: boot.unwrap_or(0),
        }
    }

    /// Clock ticks since boot.
    pub(super) fn ticks(&self, nanos: u64) -> u64 {
        nanos.saturating_add_signed(self.offset_nanos) / NANOS_PER_TICK
    }
}

/// For tests of this room.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// What is needed to read.
    pub(in super::super) struct Prepared {
        pub(in super::super) proc: ProcRoot,
        pub(in super::super) offsets: Offsets,
        pub(in super::super) own: NamespaceId,
    }

    /// `None`, with the reason printed, where BPF does not let us.
    pub(in super::super) fn prepare() -> Option<Prepared> {
        let proc = ProcRoot::open("/proc").unwrap();
        let own = own_pid_namespace(&proc).unwrap();
        match kernel::offsets(None) {
            Ok(offsets) => Some(Prepared { proc, offsets, own }),
            Err(why) => {
                berth_testkit::skip(&format!("no BPF: {why}"));
                None
            }
        }
    }

    /// What tasks have open, by the walk.
    pub(in super::super) fn read_open(
        prepared: &Prepared,
        offsets: &Offsets,
    ) -> Result<Vec<OpenFile>, Unavailable> {
        let Prepared { proc, own, .. } = prepared;
        let pass = Pass {
            threads: WantedThreads::None,
            files: Files::Yes,
        };
        let loaded = load(offsets, pass)?;
        let tasks = read_with(proc, offsets.clone(), *own, (pass, &loaded))?;
        Ok(tasks.beside.files.unwrap())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    use super::super::files::read_files;
    use super::testing::{Prepared, prepare};
    use super::*;

    struct Tree(Child);

    impl Drop for Tree {
        fn drop(&mut self) {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }

    const TASKS: Pass = Pass {
        threads: WantedThreads::None,
        files: Files::No,
    };

    fn processes(proc: &ProcRoot, offsets: &Offsets, own: NamespaceId) -> Vec<Process> {
        let loaded = load(offsets, TASKS).unwrap();
        let tasks = read_with(proc, offsets.clone(), own, (TASKS, &loaded)).unwrap();
        tasks.processes
    }

    #[test]
    fn what_older_kernels_lack_changes_nothing() {
        let Some(Prepared { proc, offsets, own }) = prepare() else {
            return;
        };
        let tree = Command::new("unshare")
            .args([
                "--pid",
                "--fork",
                "--kill-child",
                "unshare",
                "--pid",
                "--fork",
            ])
            .args(["--kill-child", "sleep", "300"])
            .spawn();
        let tree = Tree(tree.unwrap());
        let root = HostPid::new(tree.0.id()).unwrap();
        let read = |offsets: &Offsets| {
            let all = processes(&proc, offsets, own);
            let find = |pid| all.iter().find(|process| Some(process.pid) == pid);
            let is_below = |process: &&Process| {
                let mut line = std::iter::successors(find(Some(process.pid)), |p| find(p.parent));
                line.any(|ancestor| ancestor.pid == root)
            };
            let found: Vec<Process> = all.iter().filter(is_below).cloned().collect();
            found
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut expected = read(&offsets);
        while !expected.iter().any(|p| p.level() == 2 && p.comm == "sleep") {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(10));
            expected = read(&offsets);
        }
        // 6.5 told the verifier how long the PIDs are, 6.2 brought the cast.
        let untyped = offsets.with(Field::PidNumbersLength, Some(1));
        let no_cast = offsets.with(Field::Cast, None);
        let neither = untyped.with(Field::Cast, None);
        let no_names = offsets.with(Field::TaskKthread, None);
        for older in [untyped, no_cast, neither, no_names] {
            let mut found = read(&older);
            for (found, expected) in found.iter_mut().zip(&expected) {
                found.state = expected.state;
            }
            assert_eq!(found, expected);
        }
        let no_time = offsets.with(Field::ProxyTime, None);
        for process in read(&no_time) {
            assert_eq!(process.namespaces.of(NamespaceKind::Time), None);
            assert!(process.namespaces.of(NamespaceKind::Uts).is_some());
        }
    }

    #[test]
    fn the_kinds_of_open_namespaces_are_read_in_both_ways() {
        let Some(Prepared { offsets, .. }) = prepare() else {
            return;
        };
        let own = std::process::id();
        let _open: Vec<_> = NamespaceKind::ALL
            .into_iter()
            .map(|kind| std::fs::File::open(format!("/proc/self/ns/{}", kind.as_str())).unwrap())
            .collect();
        let read = |offsets: &Offsets| -> Vec<_> {
            let all = read_files(offsets, 0).unwrap();
            let own = all.into_iter().filter(|file| file.pid.get() == own);
            own.map(|file| file.target).collect()
        };
        let found = read(&offsets);
        assert_eq!(found.len(), NamespaceKind::ALL.len(), "{found:#?}");
        let older = offsets.with(Field::NamespaceType, None);
        if older.value(Field::OperationsType).is_some() {
            assert_eq!(read(&older), found);
        }
    }

    #[test]
    fn a_record_that_mixes_namespaces_is_read_again() {
        let Some(Prepared { proc, offsets, own }) = prepare() else {
            return;
        };
        let mut gather = Gather::new(own, Clock::read(&proc));
        let loaded = load(&offsets, TASKS).unwrap();
        let passed = loaded.run(|buffer| {
            while let Some(record) = TaskRecord::take(buffer) {
                if record.global_pid() == std::process::id() {
                    gather.add(&record.spoilt(&mut Vec::new()));
                }
            }
        });
        passed.unwrap();
        let tasks = settle(&proc, gather, offsets, WantedThreads::None);
        let pid = HostPid::new(std::process::id()).unwrap();
        let process = tasks.processes.iter().find(|p| p.pid == pid).unwrap();
        for id in process.namespaces.iter() {
            let link = std::fs::read_link(format!("/proc/self/ns/{}", id.kind.as_str())).unwrap();
            assert_eq!(link.to_str().unwrap(), id.to_string());
        }
        assert_eq!(process.namespaces.iter().count(), NamespaceKind::ALL.len());
        let named = &tasks.beside.namespaces;
        assert!(named.iter().all(|n| n.id.inode != 1), "{named:#?}");
    }
}

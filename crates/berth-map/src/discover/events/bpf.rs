//! The BPF source: programs at tracepoints and a ring buffer (5.8).
//!
//! It needs CAP_BPF and CAP_PERFMON in the initial user namespace. setns(2) and unshare(2) have
//! tracepoints as system calls only, which make every system call of the host slower: they are the
//! second choice after the functions themselves, where the kernel lets programs be called from
//! these. Their ids need CAP_SYS_ADMIN for a tracefs of our own, which is mounted nowhere. Nothing
//! stays behind when the descriptors are closed.

use std::collections::{HashMap, VecDeque};
use std::ffi::CStr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_base::NamespaceId;
use berth_sys::bpf::{self, Counter, Instruction, Register, RingBuffer};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::super::Sources;
use super::super::bpf::{Field, Offsets, Unavailable, offsets, own_pid_namespace};
use super::COST;
use super::clock::Clock;
use super::program::{self, CallEnd, LastThread, Outlet};
use super::record::{Kind, Record};
use crate::live::{Event, EventKind};

/// Bytes of the ring: a second of 8,000 processes that are born, execute and end.
const RING: NonZeroU32 = NonZeroU32::new(2 * 1024 * 1024).unwrap();

/// System calls that change namespaces: name, what is written of them, and the function.
const CALLS: [(&str, Kind, Field); 2] = [
    ("setns", Kind::Setns, Field::CallSetns),
    ("unshare", Kind::Unshare, Field::CallUnshare),
];

/// Exits that are remembered where the kernel may tell of one twice.
const REMEMBERED: usize = 256;

/// Programs that run, and what they wrote.
pub(super) struct BpfEvents {
    ring: RingBuffer,
    lost: Counter,
    lost_told: u64,
    /// Programs are attached as long as these are open.
    _links: Vec<OwnedFd>,
    reader: NamespaceId,
    clock: Clock,
    /// The processes that ended last, where the kernel does not say which thread was the last.
    ended: Option<VecDeque<(u32, u64)>>,
}

impl BpfEvents {
    /// Loads and attaches the programs; the notes say which events are missing.
    pub(super) fn open(sources: &Sources) -> Result<(Self, Vec<String>), Unavailable> {
        Self::with_ring(sources, RING)
    }

    pub(super) fn with_ring(
        sources: &Sources,
        bytes: NonZeroU32,
    ) -> Result<(Self, Vec<String>), Unavailable> {
        let reader = own_pid_namespace(&sources.proc).ok_or(Unavailable::OtherProcfs)?;
        let offsets = offsets(sources.state_dir.as_deref())?;
        let clock = Clock::read(&sources.proc);
        Self::attach(&offsets, reader, clock, bytes, LastThread::Told)
    }

    /// As [`Self::open`], with offsets that are known; `last` is what is tried first.
    pub(super) fn attach(
        offsets: &Offsets,
        reader: NamespaceId,
        clock: Clock,
        bytes: NonZeroU32,
        last: LastThread,
    ) -> Result<(Self, Vec<String>), Unavailable> {
        let ring = RingBuffer::new("berth_events", bytes).map_err(failed("make a ring buffer"))?;
        let lost = Counter::new("berth_lost").map_err(failed("make a map"))?;
        let outlet = Outlet {
            reader,
            ring: ring.load(Register::R1),
            lost: lost.load_address(Register::R1),
        };
        let mut hooks = Hooks {
            offsets,
            outlet,
            links: Vec::new(),
        };
        hooks.raw(c"sched_process_exec", program::exec(offsets, &outlet))?;
        let last = hooks.exit(last)?;
        let mut notes = Vec::new();
        let moves = hooks.raw(c"cgroup_attach_task", program::cgroup(offsets, &outlet));
        if let Err(why) = moves {
            notes.push(format!("moves between cgroups are not told: {why}"));
        }
        match hooks.system_calls() {
            Ok(note) => notes.extend(note),
            Err(why) => notes.push(format!("setns(2) and unshare(2) are not told: {why}")),
        }
        // The last, so that whoever is seen being born is seen to the end.
        hooks.raw(c"sched_process_fork", program::fork(offsets, &outlet))?;
        let events = Self {
            _links: hooks.links,
            ring,
            lost,
            lost_told: 0,
            reader,
            clock,
            ended: (last == LastThread::Counted).then(VecDeque::new),
        };
        Ok((events, notes))
    }

    /// Becomes readable with the first event that was not drained.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// Appends what happened.
    pub(super) fn drain(&mut self, events: &mut Vec<Event>) -> u64 {
        let first = events.len();
        let Self {
            ring,
            reader,
            clock,
            ended,
            ..
        } = self;
        ring.drain(|bytes| {
            let record = Record::new(bytes);
            // All records are those of our own programs: one that makes no sense cannot come.
            let Ok(event) = record.event(*reader, clock) else {
                return;
            };
            if matches!(event.kind, EventKind::Exited(_))
                && let Some(ended) = ended
                && is_known(ended, &record)
            {
                return;
            }
            events.push(event);
        });
        // Processors fetch the time first and make room afterwards; where times are equal, cause
        // stays before effect.
        if let Some(new) = events.get_mut(first..) {
            new.sort_by_key(|event| event.at);
        }
        merge_moves(events, first);
        let lost = self.lost.read();
        let new = lost.saturating_sub(self.lost_told);
        self.lost_told = lost;
        new
    }
}

/// Leaves one of the moves of a process to the same path, from an event on: engines move it in every
/// v1 hierarchy, one right after the other.
fn merge_moves(events: &mut Vec<Event>, first: usize) {
    let mut paths = HashMap::new();
    let mut at = 0;
    events.retain(|event| {
        at += 1;
        match &event.kind {
            EventKind::CgroupMoved { path } if at > first => {
                paths.insert(event.pid, path.clone()).as_ref() != Some(path)
            }
            _ => true,
        }
    });
}

/// Whether this process's end was told before; it is remembered.
fn is_known(ended: &mut VecDeque<(u32, u64)>, record: &Record<'_>) -> bool {
    let Some(process) = record.process() else {
        return false;
    };
    if ended.contains(&process) {
        return true;
    }
    if ended.len() == REMEMBERED {
        ended.pop_front();
    }
    ended.push_back(process);
    false
}

/// What could not be done, and why.
fn failed(what: &'static str) -> impl Fn(Errno) -> Unavailable {
    move |errno| match errno {
        Errno::PERM => Unavailable::Privilege,
        _ => Unavailable::Iterate {
            what,
            source: errno.into(),
        },
    }
}

/// Programs while they are attached.
struct Hooks<'o> {
    offsets: &'o Offsets,
    outlet: Outlet,
    links: Vec<OwnedFd>,
}

impl Hooks<'_> {
    /// Loads a program and attaches it to a raw tracepoint.
    fn raw(&mut self, name: &CStr, code: Option<Vec<Instruction>>) -> Result<(), Unavailable> {
        let code = code.ok_or_else(missing)?;
        let loaded = bpf::load_raw_tracepoint(&code, "berth_events").map_err(refused)?;
        let link = bpf::attach_raw_tracepoint(&loaded, name);
        self.links
            .push(link.map_err(failed("attach to a tracepoint"))?);
        Ok(())
    }

    /// The ends of processes, by what the kernel tells of them.
    fn exit(&mut self, first: LastThread) -> Result<LastThread, Unavailable> {
        let name = c"sched_process_exit";
        let code = |last| program::exit(self.offsets, &self.outlet, last);
        let (told, counted) = (code(LastThread::Told), code(LastThread::Counted));
        // A tracepoint without the second argument refuses a program that reads it.
        if first == LastThread::Told && self.raw(name, told).is_ok() {
            return Ok(LastThread::Told);
        }
        self.raw(name, counted).map(|()| LastThread::Counted)
    }

    /// setns(2) and unshare(2), once they succeeded; the note says how, if it costs something.
    fn system_calls(&mut self) -> Result<Option<String>, Unavailable> {
        let before = self.links.len();
        let Err(why) = self.functions() else {
            return Ok(None);
        };
        self.links.truncate(before);
        self.tracepoints()?;
        Ok(Some(format!(
            "{COST}every system call of the host takes about 50 ns longer, since setns(2) and unshare(2) are told by tracepoints: {why}"
        )))
    }

    /// By the ends of the functions that do them.
    fn functions(&mut self) -> Result<(), Unavailable> {
        // EPERM is not about our capabilities here: some kernels have this part locked.
        let failed = |errno: Errno| Unavailable::Iterate {
            what: "attach to the functions themselves",
            source: errno.into(),
        };
        for (_, kind, function) in CALLS {
            let id = self.offsets.value(function).ok_or_else(missing)?;
            let code = program::namespaces(self.offsets, &self.outlet, kind, CallEnd::Function);
            let code = code.ok_or_else(missing)?;
            let loaded = bpf::load_function_end(&code, "berth_events", id);
            let loaded = loaded.map_err(|source| failed(source.errno))?;
            let link = bpf::attach_function_end(&loaded);
            self.links.push(link.map_err(failed)?);
        }
        Ok(())
    }

    /// By tracepoints.
    fn tracepoints(&mut self) -> Result<(), Unavailable> {
        let trace = open_tracefs().map_err(failed("open a tracefs"))?;
        for (call, kind, _) in CALLS {
            let id = tracepoint_id(&trace, call).map_err(failed("find a tracepoint"))?;
            let load = |end| {
                let code = program::namespaces(self.offsets, &self.outlet, kind, end);
                bpf::load_tracepoint(&code.ok_or_else(missing)?, "berth_events").map_err(refused)
            };
            let loaded = load(CallEnd::Tracepoint).or_else(|_| load(CallEnd::TracepointAlone))?;
            let link = bpf::attach_tracepoint(&loaded, id);
            self.links
                .push(link.map_err(failed("attach to a tracepoint"))?);
        }
        Ok(())
    }
}

fn missing() -> Unavailable {
    Unavailable::Layout {
        why: "the kernel lacks a field of tasks".to_owned(),
    }
}

fn refused(source: bpf::LoadError) -> Unavailable {
    match source.errno {
        Errno::PERM => Unavailable::Privilege,
        _ => Unavailable::Program {
            what: "events",
            source,
        },
    }
}

/// A tracefs of our own, which is mounted nowhere.
fn open_tracefs() -> Result<OwnedFd, Errno> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

/// The id of the tracepoint at the end of a system call.
fn tracepoint_id(trace: &OwnedFd, call: &str) -> Result<u64, Errno> {
    let path = format!("events/syscalls/sys_exit_{call}/id");
    let file = openat(trace, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut digits = [0u8; 24];
    let length = rustix::io::read(&file, &mut digits)?;
    let text = std::str::from_utf8(digits.get(..length).unwrap_or_default());
    let number = text.ok().and_then(|text| text.trim().parse().ok());
    number.ok_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use berth_base::HostPid;

    use super::super::record::at;
    use super::*;
    use crate::live::BootTime;

    #[test]
    fn a_move_in_several_hierarchies_is_told_once() {
        let moved = |pid, path: &str| Event {
            at: BootTime(0),
            pid: HostPid::new(pid).unwrap(),
            kind: EventKind::CgroupMoved {
                path: Some(path.to_owned()),
            },
        };
        let told = [moved(1, "/a"), moved(1, "/a")];
        let new = [
            moved(1, "/a"),
            moved(2, "/a"),
            moved(1, "/a"),
            moved(1, "/b"),
            moved(1, "/a"),
        ];
        let mut events = [&told[..], &new].concat();
        merge_moves(&mut events, told.len());
        let left = [&new[..2], &new[3..]].concat();
        assert_eq!(events, [&told[..], &left].concat());
    }

    #[test]
    fn an_end_is_told_once() {
        let record = |pid: u32, start: u64| {
            let mut bytes = vec![0u8; 48];
            let place = |at| usize::try_from(at).unwrap();
            bytes[place(at::PID)..][..4].copy_from_slice(&pid.to_ne_bytes());
            bytes[place(at::START)..][..8].copy_from_slice(&start.to_ne_bytes());
            bytes
        };
        let mut ended = VecDeque::new();
        let mut is_known = |pid, start| is_known(&mut ended, &Record::new(&record(pid, start)));
        assert!(!is_known(1, 7));
        assert!(is_known(1, 7));
        // The next process with this PID.
        assert!(!is_known(1, 8));
        for pid in (2..).take(REMEMBERED) {
            assert!(!is_known(pid, 0));
        }
        assert!(!is_known(1, 7));
        assert_eq!(ended.len(), REMEMBERED);
    }
}

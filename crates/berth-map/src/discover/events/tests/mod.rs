//! Against the running kernel.
//!
//! Other programs of the machine are seen as well, so that tests look at the processes they made.

mod crowds;
mod elsewhere;
#[cfg(target_arch = "x86_64")]
mod headless;
mod lives;
mod places;
mod sources;

use std::num::NonZeroU32;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use super::super::bpf::{Field, Offsets, offsets, own_pid_namespace};
use super::clock::Clock;
use super::program::LastThread;
use super::*;
use crate::live::{EventKind, Exit};
use crate::{EngineRoots, ProcRoot};

/// Longer than anything here takes on a machine that is busy, or emulated.
const PATIENCE: Duration = Duration::from_secs(60);

fn host() -> Sources {
    Sources {
        proc: ProcRoot::open("/proc").unwrap(),
        state_dir: None,
        roots: EngineRoots::host(),
    }
}

/// A reader, and what it has read.
struct Watch {
    reader: EventReader,
    events: Vec<Event>,
    lost: u64,
}

impl Watch {
    fn of(source: Opened) -> Self {
        Self {
            reader: EventReader::of(source),
            events: Vec::new(),
            lost: 0,
        }
    }

    /// By BPF; `None`, with the reason printed, where it does not let us.
    fn bpf() -> Option<Self> {
        match BpfEvents::open(&host()) {
            Ok((events, notes)) => {
                // Of system calls, what they cost where functions are out of reach.
                let cost = |note: &String| note.starts_with(COST);
                assert!(notes.iter().all(cost), "{notes:?}");
                Some(Self::of(Opened::Bpf(events)))
            }
            Err(why) => {
                berth_testkit::skip(&format!("no BPF: {why}"));
                None
            }
        }
    }

    /// By BPF as on a kernel that says less: not which thread was the last (before 6.16), and
    /// nothing at the ends of functions.
    fn bpf_older() -> Option<Self> {
        let change = |offsets: Offsets| offsets.with(Field::CallSetns, None);
        Self::bpf_with(1 << 20, LastThread::Counted, change)
    }

    /// By BPF with a ring of another size, or as on another kernel.
    fn bpf_with(bytes: u32, last: LastThread, change: fn(Offsets) -> Offsets) -> Option<Self> {
        let host = host();
        let own = own_pid_namespace(&host.proc).unwrap();
        let offsets = match offsets(None) {
            Ok(offsets) => offsets,
            Err(why) => {
                berth_testkit::skip(&format!("no BPF: {why}"));
                return None;
            }
        };
        let bytes = NonZeroU32::new(bytes).unwrap();
        let clock = Clock::read(&host.proc);
        let offsets = change(offsets);
        let (events, _) = BpfEvents::attach(&offsets, own, clock, bytes, last).unwrap();
        Some(Self::of(Opened::Bpf(events)))
    }

    /// By the connector; `None`, with the reason printed, where it does not speak to us.
    fn connector() -> Option<Self> {
        match open_connector(&host()) {
            Ok((source, _)) => Some(Self::of(source)),
            Err(why) => {
                berth_testkit::skip(&format!("no process connector: {why}"));
                None
            }
        }
    }

    /// Reads until the events are as wanted.
    fn until(&mut self, what: &str, is_there: impl Fn(&[Event]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(&self.events) {
            let last = self.events.len().saturating_sub(50);
            assert!(
                Instant::now() < deadline,
                "{what} did not come: {:#?}",
                &self.events[last..]
            );
            self.reader.wait(Duration::from_millis(50), None);
            self.lost += self.reader.drain(&mut self.events);
        }
    }

    /// Reads until a process has ended.
    fn until_end(&mut self, pid: HostPid) {
        self.until("the end of a process", |events| {
            let ended = |e: &Event| e.pid == pid && matches!(e.kind, EventKind::Exited(_));
            events.iter().any(ended)
        });
    }

    /// What happened to a process.
    fn of_process(&self, pid: HostPid) -> Vec<&EventKind> {
        let own = self.events.iter().filter(|event| event.pid == pid);
        own.map(|event| &event.kind).collect()
    }

    /// The children that a process had.
    fn children(&self, of: HostPid) -> Vec<HostPid> {
        let is_child = |event: &&Event| matches!(event.kind, EventKind::Forked { parent, .. } if parent == Some(of));
        self.events.iter().filter(is_child).map(|e| e.pid).collect()
    }
}

fn pid_of(child: &Child) -> HostPid {
    HostPid::new(child.id()).unwrap()
}

fn own_pid() -> HostPid {
    HostPid::new(std::process::id()).unwrap()
}

/// A process that ends with the test.
struct Victim(Child);

impl Victim {
    fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A namespace of a process, by its link.
fn namespace_of(pid: HostPid, kind: NamespaceKind) -> NamespaceId {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/{}", kind.as_str())).unwrap();
    let parsed = super::super::parse::parse_any_link(link.as_os_str().as_encoded_bytes());
    parsed.unwrap()
}

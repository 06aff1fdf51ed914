//! Hosts that exist nowhere, and updates about them.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_map::World;
use berth_map::attribute::KnownContainer;
use berth_map::live::{BootTime, Event, EventKind, EventSource, Exit, Frame, Health, Update};
use berth_map::model::{
    CgroupEntry, CgroupSet, CgroupUsage, Details, Engine, Evidence, EvidenceKind, Extent, Host,
    Links, NamespaceSet, Parts, Process, Source,
};

/// When the first frame of a fake host is taken.
pub(super) const START: BootTime = BootTime(1_000_000_000_000);

pub(super) fn pid(number: u32) -> HostPid {
    HostPid::new(number).unwrap()
}

/// A time so many milliseconds after the first frame.
pub(super) fn at(ms: u64) -> BootTime {
    BootTime(START.0 + ms * 1_000_000)
}

/// The namespaces that are numbered from `base` on, those of the host from 100.
fn namespaces(base: u64) -> NamespaceSet {
    let all = NamespaceKind::ALL.into_iter().zip(base..);
    all.map(|(kind, inode)| NamespaceId { kind, inode })
        .collect()
}

/// A process, sleeping, in the host's namespaces.
pub(super) fn process(pids: &[u32], parent: u32, comm: &str) -> Process {
    Process {
        pid: pid(pids[0]),
        pids: pids.to_vec(),
        namespaces: namespaces(100),
        links: Links::Read,
        parent: HostPid::new(parent),
        comm: comm.to_owned(),
        state: 'S',
        start_ticks: 1000,
        cgroups: Arc::new(CgroupSet {
            entries: vec![CgroupEntry {
                hierarchy: 0,
                controllers: String::new(),
                path: "/".to_owned(),
            }],
        }),
        uid: 0,
        kernel_thread: false,
    }
}

/// The same in all namespaces but the user namespace of its own, and in a cgroup.
pub(super) fn isolated(mut process: Process, base: u64, cgroup: &str) -> Process {
    let user = process.namespaces.of(NamespaceKind::User).unwrap();
    process.namespaces = namespaces(base);
    process.namespaces.insert(user);
    process.cgroups = Arc::new(CgroupSet {
        entries: vec![CgroupEntry {
            hierarchy: 0,
            controllers: String::new(),
            path: cgroup.to_owned(),
        }],
    });
    process
}

/// A host with containers, that changes.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) processes: Vec<Process>,
    pub(super) known: Vec<KnownContainer>,
    pub(super) details: Details,
    pub(super) health: Health,
    pub(super) warnings: Vec<String>,
    number: u64,
}

impl Fake {
    /// systemd and a kernel thread.
    pub(super) fn empty() -> Self {
        let mut kthreadd = process(&[2], 0, "kthreadd");
        kthreadd.kernel_thread = true;
        Self {
            processes: vec![process(&[1], 0, "systemd"), kthreadd],
            known: Vec::new(),
            details: Details::default(),
            health: Health {
                events: EventSource::Bpf,
                ..Health::default()
            },
            warnings: Vec::new(),
            number: 0,
        }
    }

    /// Three containers: web and db of Docker, kind of Podman with one further in. Each has a
    /// process 29.
    pub(super) fn rich() -> Self {
        let mut fake = Self::empty();
        fake.container("web", Engine::Docker, 1589, 200, "nginx");
        fake.inside("web", &[1799, 29], 1589, "nginx worker");
        fake.inside("web", &[1800, 30], 1589, "nginx worker");
        fake.container("db", Engine::Docker, 2100, 300, "postgres");
        fake.inside("db", &[2140, 29], 2100, "checkpointer");
        fake.container("kind", Engine::Podman, 5492, 400, "systemd");
        fake.inside("kind", &[5999, 126], 5492, "shim");
        let mut inner = fake.member("kind", &[6025, 146, 1], 5999, "sleep");
        inner.namespaces.insert(NamespaceId {
            kind: NamespaceKind::Pid,
            inode: 500,
        });
        let mut zombie = inner.clone();
        (zombie.pid, zombie.pids, zombie.parent) =
            (pid(6427), vec![6427, 235, 29], Some(inner.pid));
        (zombie.comm, zombie.state) = ("sh".to_owned(), 'Z');
        fake.processes.extend([inner, zombie]);
        let mut agent = process(&[7001], 1, "agent");
        agent.state = 'T';
        fake.processes.push(agent);
        let cgroups = Arc::clone(&fake.processes[2].cgroups);
        let usage = CgroupUsage {
            frozen: Some(true),
            pids: Some(511),
            pids_max: Some(512),
            ..CgroupUsage::default()
        };
        fake.details.usage.insert(cgroups, usage);
        fake
    }

    /// Adds a container with its first process.
    pub(super) fn container(
        &mut self,
        name: &str,
        engine: Engine,
        init: u32,
        base: u64,
        comm: &str,
    ) {
        let cgroup = format!("/box/{name}");
        let first = isolated(process(&[init, 1], 1, comm), base, &cgroup);
        self.known.push(KnownContainer {
            engine,
            id: format!("{init:064}"),
            name: name.to_owned(),
            init: first.pid,
            pid_namespace: first.pid_namespace(),
            own_pid_namespace: true,
            cgroup_dirs: vec![cgroup],
            image: Some("image:1".to_owned()),
            pod: None,
            evidence: Evidence {
                kind: EvidenceKind::StateFile,
                detail: String::new(),
            },
        });
        self.processes.push(first);
    }

    /// A process like the first one of a container.
    pub(super) fn member(&self, name: &str, pids: &[u32], parent: u32, comm: &str) -> Process {
        let known = self.known.iter().find(|k| k.name == name).unwrap();
        let init = self.processes.iter().find(|p| p.pid == known.init).unwrap();
        Process {
            pid: pid(pids[0]),
            pids: pids.to_vec(),
            parent: HostPid::new(parent),
            comm: comm.to_owned(),
            ..init.clone()
        }
    }

    /// Adds one.
    pub(super) fn inside(&mut self, name: &str, pids: &[u32], parent: u32, comm: &str) {
        let member = self.member(name, pids, parent, comm);
        self.processes.push(member);
    }

    pub(super) fn remove(&mut self, number: u32) {
        self.processes.retain(|p| p.pid != pid(number));
    }

    fn world(&self) -> World {
        let host = namespaces(100);
        World::assemble(Parts {
            source: Source::Procfs,
            extent: Extent::Host,
            host: Host {
                pid_namespace: host.of(NamespaceKind::Pid),
                namespaces: host,
                hostname: Some("fake".to_owned()),
                pid_max: Some(32_768),
                boot_id: None,
            },
            processes: self.processes.clone(),
            namespaces: Vec::new(),
            known: self.known.clone(),
            stale: Vec::new(),
            details: self.details.clone(),
            warnings: self.warnings.clone(),
        })
    }

    /// A frame of it, so many milliseconds after the first one.
    pub(super) fn frame(&mut self, ms: u64) -> Update {
        self.number += 1;
        Update::Frame(Arc::new(Frame {
            number: self.number,
            at: at(ms),
            wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_millis(ms),
            world: Arc::new(self.world()),
            health: self.health.clone(),
        }))
    }
}

/// A birth.
pub(super) fn forked(ms: u64, parent: u32, pids: &[u32], comm: &str) -> Event {
    Event {
        at: at(ms),
        pid: pid(pids[0]),
        kind: EventKind::Forked {
            parent: HostPid::new(parent),
            pids: pids.to_vec(),
            pid_namespace: None,
            comm: comm.to_owned(),
        },
    }
}

/// An end.
pub(super) fn exited(ms: u64, number: u32, exit: Exit) -> Event {
    Event {
        at: at(ms),
        pid: pid(number),
        kind: EventKind::Exited(exit),
    }
}

/// Events as the feed hands them out.
pub(super) fn events(all: Vec<Event>) -> Update {
    Update::Events(all.into())
}

//! Frames with something of every kind in them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use proptest::prelude::*;

use crate::attribute::KnownContainer;
use crate::live::{BootTime, Event, EventKind, EventSource, Exit, Frame, Health, Joined};
use crate::model::{
    CgroupEntry, CgroupSet, CgroupUsage, Details, Engine, Evidence, EvidenceKind, Extent, Holder,
    Host, IdMaps, IdRange, Interface, Links, Listener, Mount, Namespace, NamespaceSet, Network,
    Parts, Peer, Process, Protocol, Source, StaleContainer, StaleReason, Thread, World,
};

pub(super) fn pid(number: u32) -> HostPid {
    HostPid::new(number).unwrap()
}

fn namespace(kind: NamespaceKind, inode: u64) -> NamespaceId {
    NamespaceId { kind, inode }
}

fn cgroups(path: &str) -> Arc<CgroupSet> {
    let entry = |hierarchy| CgroupEntry {
        hierarchy,
        controllers: String::new(),
        path: path.to_owned(),
    };
    Arc::new(CgroupSet {
        entries: vec![entry(0), entry(4)],
    })
}

fn host() -> Host {
    let host: NamespaceSet = NamespaceKind::ALL
        .into_iter()
        .map(|kind| namespace(kind, 100))
        .collect();
    Host {
        pid_namespace: host.of(NamespaceKind::Pid),
        namespaces: host,
        hostname: Some("here".to_owned()),
        pid_max: Some(32_768),
        boot_id: None,
    }
}

pub(super) fn process(number: u32, inner: &[u32], start_ticks: u64, comm: &str) -> Process {
    let mut namespaces = host().namespaces;
    if !inner.is_empty() {
        namespaces.insert(namespace(NamespaceKind::Pid, 200));
        namespaces.insert(namespace(NamespaceKind::Net, 201));
    }
    let path = if inner.is_empty() { "/" } else { "/berth/web" };
    Process {
        pid: pid(number),
        pids: [&[number], inner].concat(),
        namespaces,
        links: Links::Read,
        parent: HostPid::new(number / 2),
        comm: comm.to_owned(),
        state: 'S',
        start_ticks,
        cgroups: cgroups(path),
        uid: number % 3,
        kernel_thread: false,
    }
}

fn container(init: u32) -> KnownContainer {
    KnownContainer {
        engine: Engine::Berth,
        id: "a".repeat(64),
        name: "web".to_owned(),
        init: pid(init),
        pid_namespace: Some(namespace(NamespaceKind::Pid, 200)),
        own_pid_namespace: true,
        cgroup_dirs: Vec::new(),
        image: Some("web:1".to_owned()),
        pod: None,
        evidence: Evidence {
            kind: EvidenceKind::RunFile,
            detail: "test".to_owned(),
        },
    }
}

/// Something of every kind.
fn details(marks: u32) -> Details {
    let net = namespace(NamespaceKind::Net, 201);
    let user = namespace(NamespaceKind::User, 100);
    let mut details = Details::default();
    let thread = Thread {
        tid: pid(50),
        tids: vec![50, 3],
        namespaces: host().namespaces,
        comm: "worker".to_owned(),
        state: 'R',
        start_ticks: 9,
    };
    details.threads.insert(pid(3), vec![thread]);
    let holders = vec![
        Holder::Descriptor {
            pid: pid(3),
            fd: marks,
        },
        Holder::BindMount {
            mount_namespace: None,
            path: "/run/netns/x".to_owned(),
        },
        Holder::Child { namespace: user },
    ];
    details.holders.insert(net, holders);
    let range = IdRange {
        inside: 0,
        outside: marks,
        count: 1,
    };
    details.id_maps.insert(
        user,
        IdMaps {
            uids: vec![range],
            gids: Vec::new(),
        },
    );
    details.networks.insert(net, network(net, marks));
    details
        .mounts
        .insert(namespace(NamespaceKind::Mnt, 100), vec![mount()]);
    let usage = CgroupUsage {
        pids: Some(u64::from(marks)),
        ..CgroupUsage::default()
    };
    details.usage.insert(cgroups("/berth/web"), usage);
    details
        .usage
        .insert(cgroups("/elsewhere"), CgroupUsage::default());
    details
}

fn network(net: NamespaceId, marks: u32) -> Network {
    let address: IpAddr = [127, 0, 0, 1].into();
    Network {
        interfaces: vec![Interface {
            index: 1,
            name: "eth0".to_owned(),
            kind: Some("veth".to_owned()),
            is_up: true,
            is_loopback: false,
            addresses: vec![(address, 8)],
            master: None,
            peer: Some(Peer {
                namespace: Some(net),
                index: 2,
                name: None,
            }),
            // Not in a recording.
            mac: None,
            mtu: None,
            alias: None,
        }],
        listeners: vec![Listener {
            protocol: Protocol::Tcp,
            address: "::1".parse().unwrap(),
            port: 80,
            inode: u64::from(marks),
            process: None,
        }],
        published: Vec::new(),
    }
}

fn mount() -> Mount {
    Mount {
        id: 1,
        parent: 1,
        root: "/".to_owned(),
        point: "/".to_owned(),
        kind: "tmpfs".to_owned(),
        source: None,
        options: "rw".to_owned(),
        propagation: "shared:1".to_owned(),
    }
}

pub(super) fn world(processes: Vec<Process>, marks: Option<u32>) -> World {
    let inits = processes
        .iter()
        .filter(|p| p.innermost_pid() == 1 && p.level() > 0);
    let stale = StaleContainer {
        id: "b".repeat(64),
        name: "old".to_owned(),
        init: pid(7),
        reason: StaleReason::PidReused,
    };
    World::assemble(Parts {
        source: Source::Bpf,
        extent: Extent::Host,
        host: host(),
        known: inits
            .take(1)
            .map(|init| container(init.pid.get()))
            .collect(),
        processes,
        namespaces: vec![Namespace::new(namespace(NamespaceKind::Uts, 300))],
        stale: marks.map(|_| stale).into_iter().collect(),
        details: marks.map(details).unwrap_or_default(),
        warnings: marks
            .map(|mark| format!("warning {mark}"))
            .into_iter()
            .collect(),
    })
}

pub(super) fn any_world() -> impl Strategy<Value = World> {
    let processes = prop::collection::btree_map(
        1..20u32,
        (prop::option::of(1..4u32), 0..3u64, "[a-c]"),
        1..12,
    );
    (processes, prop::option::of(0..3u32)).prop_map(|(processes, marks)| {
        let all = processes
            .into_iter()
            .map(|(number, (inner, start, comm))| process(number, inner.as_slice(), start, &comm));
        world(all.collect(), marks)
    })
}

pub(super) fn small() -> World {
    world(
        vec![
            process(1, &[], 1, "init"),
            process(3, &[1], 2, "web"),
            process(4, &[7], 3, "sh"),
        ],
        Some(1),
    )
}

pub(super) fn frame(number: u64, world: &Arc<World>) -> Arc<Frame> {
    Arc::new(Frame {
        number,
        at: BootTime(number * 1_000_000_000),
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(number),
        world: Arc::clone(world),
        health: Health {
            events: EventSource::Connector,
            lost: number,
            notes: vec!["a note".to_owned()],
        },
    })
}

pub(super) fn all_events() -> Vec<Event> {
    let kinds = [
        EventKind::Forked {
            parent: Some(pid(1)),
            pids: vec![9, 2],
            pid_namespace: Some(namespace(NamespaceKind::Pid, 200)),
            comm: "sh".to_owned(),
        },
        EventKind::Executed {
            comm: "\u{1b}[31m".to_owned(),
        },
        EventKind::CgroupMoved {
            path: Some("/x".to_owned()),
        },
        EventKind::NamespacesChanged {
            how: Joined::Unshare,
            namespaces: host().namespaces,
        },
        EventKind::Exited(Exit::Signal(9)),
    ];
    let event = |(at, kind)| Event {
        at: BootTime(at),
        pid: pid(9),
        kind,
    };
    (5..).zip(kinds).map(event).collect()
}

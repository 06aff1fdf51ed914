//! Worlds that have everything a picture can show, without a disk.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]
#![allow(unreachable_pub, missing_docs, reason = "a module of test binaries")]

use berth_base::{HostPid, MacAddress, NamespaceId, NamespaceKind, PublishedPort, Transport};
use berth_map::attribute::KnownContainer;
use berth_map::model::{
    CgroupUsage, Details, Engine, Evidence, EvidenceKind, Holder, IdMaps, IdRange, Interface,
    Listener, Mount, Namespace, Network, Parts, Peer, Pod, Process, Protocol, Thread, World,
};

use crate::support::{Fake, id, parts, pid};

pub fn ns(kind: NamespaceKind, inode: u64) -> NamespaceId {
    NamespaceId { kind, inode }
}

pub fn known(engine: Engine, digit: char, name: &str, init: &Process) -> KnownContainer {
    KnownContainer {
        engine,
        id: id(digit),
        name: name.to_owned(),
        init: init.pid,
        pid_namespace: init.pid_namespace(),
        own_pid_namespace: init.level() > 0,
        cgroup_dirs: Vec::new(),
        image: None,
        pod: None,
        evidence: Evidence {
            kind: EvidenceKind::StateFile,
            detail: format!("containers/{name}"),
        },
    }
}

fn cgroup(digit: char) -> String {
    format!("/docker/{}", id(digit))
}

fn processes() -> Vec<Fake> {
    let web = |pids: &[u32], ppid, comm: &str| {
        Fake::new(pids, ppid, comm)
            .isolated(200)
            .cgroup(&cgroup('a'))
    };
    let node = |pids: &[u32], ppid, comm: &str| {
        Fake::new(pids, ppid, comm)
            .isolated(300)
            .ns("user", 307)
            .cgroup(&cgroup('b'))
    };
    let pod = |pids: &[u32], ppid, comm: &str| {
        let below = format!("{}/kubepods/{}", cgroup('b'), id('c'));
        Fake::new(pids, ppid, comm)
            .isolated(400)
            .ns("user", 307)
            .cgroup(&below)
    };
    let mut all = vec![
        Fake::new(&[1], 0, "systemd"),
        Fake::new(&[2], 0, "kthreadd").kernel_thread(),
        Fake::new(&[3], 2, "kworker/0:1").kernel_thread(),
        Fake::new(&[1558], 1, "containerd-shim"),
        web(&[1589, 1], 1558, "nginx master"),
        web(&[1799, 29], 1589, "nginx worker"),
        web(&[1800, 30], 1589, "nginx worker"),
        web(&[2411, 57], 1558, "sh").ns("net", 104),
        Fake::new(&[1560], 1, "containerd-shim"),
        node(&[5492, 1], 1560, "systemd"),
        node(&[5999, 126], 5492, "shim"),
        pod(&[6025, 146, 1], 5999, "sleep"),
        Fake::new(&[2396], 1, "netd"),
        Fake::new(&[7001], 1, "agent")
            .cgroup(&cgroup('d'))
            .isolated(500)
            .ns("pid", 100)
            .ns("net", 104),
    ];
    for n in 0..41 {
        all.push(pod(&[6427 + n, 235 + n, 7 + n], 6025, "sh").state('Z'));
    }
    all
}

fn interface(index: u32, name: &str, address: &str, prefix: u8, peer: Option<Peer>) -> Interface {
    Interface {
        index,
        name: name.to_owned(),
        kind: Some("veth".to_owned()),
        is_up: true,
        is_loopback: false,
        addresses: vec![(address.parse().unwrap(), prefix)],
        master: None,
        peer,
        mac: Some(MacAddress::new([2, 0, 0, 0, 0, 2])),
        mtu: Some(1500),
        alias: None,
    }
}

fn details(all: &[Process]) -> Details {
    let mut details = Details::default();
    let (host_net, web_net) = (ns(NamespaceKind::Net, 104), ns(NamespaceKind::Net, 204));
    add_networks(&mut details, host_net, web_net);
    let hidden = ns(NamespaceKind::Net, 3144);
    details.holders.insert(
        hidden,
        vec![Holder::Socket {
            pid: pid(2396),
            fd: 4,
        }],
    );
    let bound = Holder::BindMount {
        mount_namespace: Some(ns(NamespaceKind::Mnt, 103)),
        path: "/run/snapd/ns/lxd.mnt".to_owned(),
    };
    details
        .holders
        .insert(ns(NamespaceKind::Mnt, 3145), vec![bound]);
    let user = ns(NamespaceKind::User, 107);
    let child = Holder::Child {
        namespace: ns(NamespaceKind::User, 307),
    };
    details.holders.insert(user, vec![child]);
    let map = IdRange {
        inside: 0,
        outside: 100_000,
        count: 65_536,
    };
    details.id_maps.insert(
        ns(NamespaceKind::User, 307),
        IdMaps {
            uids: vec![map],
            gids: vec![map],
        },
    );
    details.mounts.insert(
        ns(NamespaceKind::Mnt, 203),
        vec![Mount {
            id: 4_294_967_300,
            parent: 1,
            root: "/".to_owned(),
            point: "/".to_owned(),
            kind: "overlay".to_owned(),
            source: Some("overlay".to_owned()),
            options: "rw,relatime".to_owned(),
            propagation: String::new(),
        }],
    );
    add_usage(&mut details, all);
    add_threads(&mut details, all);
    details
}

fn add_networks(details: &mut Details, host_net: NamespaceId, web_net: NamespaceId) {
    let peer = Peer {
        namespace: Some(host_net),
        index: 9,
        name: Some("veth1a2b".to_owned()),
    };
    let back = Peer {
        namespace: Some(web_net),
        index: 2,
        name: Some("eth0".to_owned()),
    };
    let listener = Listener {
        protocol: Protocol::Tcp,
        address: "0.0.0.0".parse().unwrap(),
        port: 80,
        inode: 77_001,
        process: HostPid::new(1589),
    };
    details.networks.insert(
        web_net,
        Network {
            interfaces: vec![interface(2, "eth0", "172.17.0.2", 16, Some(peer))],
            listeners: vec![listener],
            published: ["0.0.0.0", "::"].map(published).to_vec(),
        },
    );
    details.networks.insert(
        host_net,
        Network {
            interfaces: vec![
                Interface {
                    kind: Some("bridge".to_owned()),
                    alias: Some("berth: network blue".to_owned()),
                    ..interface(3, "berth0", "172.17.0.1", 16, None)
                },
                Interface {
                    master: Some(3),
                    ..interface(9, "veth1a2b", "192.0.2.1", 24, Some(back))
                },
            ],
            listeners: Vec::new(),
            published: Vec::new(),
        },
    );
}

fn published(address: &str) -> PublishedPort {
    PublishedPort {
        transport: Transport::Tcp,
        host_address: address.parse().unwrap(),
        host_port: 8080,
        container_port: 80,
    }
}

fn add_usage(details: &mut Details, all: &[Process]) {
    for (number, frozen, pids, most) in [(5492, false, 61, 512), (6025, true, 42, 43)] {
        let process = all.iter().find(|p| p.pid.get() == number).unwrap();
        let mut usage = CgroupUsage {
            frozen: Some(frozen),
            pids: Some(pids),
            pids_max: Some(most),
            pids_left: Some(most - pids),
            memory_bytes: Some(1 << 20),
            ..CgroupUsage::default()
        };
        usage.memory_max_bytes = frozen.then_some(1 << 30);
        details.usage.insert(process.cgroups.clone(), usage);
    }
}

/// Two threads of nginx master, one of which lives in the host's network namespace.
fn add_threads(details: &mut Details, all: &[Process]) {
    let master = all.iter().find(|p| p.pid.get() == 1589).unwrap();
    let thread = |tid: u32, inside: u32, comm: &str| Thread {
        tid: pid(tid),
        tids: vec![tid, inside],
        namespaces: master.namespaces,
        comm: comm.to_owned(),
        state: 'S',
        start_ticks: 2000,
    };
    let mut stray = thread(1591, 3, "stray");
    stray.namespaces.insert(ns(NamespaceKind::Net, 104));
    details
        .threads
        .insert(pid(1589), vec![thread(1590, 2, "pool"), stray]);
}

/// The world of the sketch: two of Docker's containers with a network, one of which is a node
/// with a pod in it, frozen and full of zombies; an agent that shares the host's PID and network
/// namespaces; two namespaces without processes.
pub fn sketch() -> World {
    let all: Vec<Process> = processes().iter().map(Fake::process).collect();
    let find = |number: u32| all.iter().find(|p| p.pid.get() == number).unwrap();
    let mut web = known(Engine::Docker, 'a', "shop-web", find(1589));
    web.image = Some("nginx:1.27".to_owned());
    let mut api = known(Engine::Containerd, 'c', "api", find(6025));
    api.pod = Some(Pod {
        name: "api".to_owned(),
        namespace: Some("default".to_owned()),
        id: Some("8a6f".to_owned()),
    });
    let node = known(Engine::Docker, 'b', "kind-node", find(5492));
    let agent = known(Engine::Docker, 'd', "agent", find(7001));
    let user = Namespace {
        parent: Some(ns(NamespaceKind::User, 107)),
        owner: Some(ns(NamespaceKind::User, 107)),
        owner_uid: Some(1000),
        ..Namespace::new(ns(NamespaceKind::User, 307))
    };
    let mut parts = Parts {
        known: vec![web, node, api, agent],
        details: details(&all),
        namespaces: vec![
            user,
            Namespace::new(ns(NamespaceKind::Net, 3144)),
            Namespace::new(ns(NamespaceKind::Mnt, 3145)),
        ],
        ..parts(all)
    };
    parts.host.hostname = Some("web1".to_owned());
    World::assemble(parts)
}

/// A crowded host: `containers` containers of four processes each below their shims, among
/// sleepers, to `count` processes.
pub fn crowded(count: u32, containers: u32) -> World {
    const NAMES: [&str; 8] = [
        "nginx",
        "postgres",
        "redis-server",
        "python3",
        "java",
        "node",
        "envoy",
        "etcd",
    ];
    let mut all = vec![Fake::new(&[1], 0, "systemd")];
    let mut known_init = Vec::new();
    let mut next = 100;
    for n in 0..containers {
        let shim = next;
        all.push(Fake::new(&[shim], 1, "containerd-shim"));
        let base = 10_000 + u64::from(n) * 20;
        let path = format!("/docker/{:064x}", n + 1);
        let name = NAMES[n as usize % NAMES.len()];
        let inside = |pids: &[u32], ppid, comm: &str| {
            Fake::new(pids, ppid, comm).isolated(base).cgroup(&path)
        };
        all.push(inside(&[shim + 1, 1], shim, name));
        for worker in 0..3 {
            let pids = [shim + 2 + worker, 7 + worker];
            all.push(inside(&pids, shim + 1, &format!("{name}-{worker}")));
        }
        known_init.push((shim + 1, n, name));
        next += 5;
    }
    for (name, share) in [("bash", 3), ("sleep", 2), ("worker", 1)] {
        let room = count.saturating_sub(u32::try_from(all.len()).unwrap()) / share;
        let parent = next;
        all.push(Fake::new(&[parent], 1, format!("{name}d")));
        next += 1;
        for _ in 1..room {
            all.push(Fake::new(&[next], parent, name));
            next += 1;
        }
    }
    let all: Vec<Process> = all.iter().map(Fake::process).collect();
    let known = known_init.into_iter().map(|(init, n, name)| {
        let process = all.iter().find(|p| p.pid.get() == init).unwrap();
        KnownContainer {
            id: format!("{:064x}", n + 1),
            image: Some(format!("{name}:latest")),
            ..known(Engine::Docker, 'a', &format!("{name}-{n}"), process)
        }
    });
    let known = known.collect();
    World::assemble(Parts {
        known,
        ..parts(all)
    })
}

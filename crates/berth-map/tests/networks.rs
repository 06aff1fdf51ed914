//! Networks and cgroups on the real kernel.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

#[path = "support/real.rs"]
mod real;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::World;
use berth_map::model::{CgroupUsage, Interface, Listener, Protocol, Wanted, WantedThreads};
use real::{
    Own, discover, eventually, is_root, own_namespace, own_pid, run, skip, stay, unprivileged,
    unshare,
};
use rustix::thread::UnshareFlags;

fn networks() -> Wanted {
    Wanted {
        networks: true,
        threads: WantedThreads::Strays,
        ..Wanted::default()
    }
}

fn inode(descriptor: impl AsFd) -> u64 {
    let file = File::from(descriptor.as_fd().try_clone_to_owned().unwrap());
    file.metadata().unwrap().ino()
}

fn interface<'w>(world: &'w World, id: NamespaceId, name: &str) -> &'w Interface {
    let network = &world.details().networks[&id];
    network.interfaces.iter().find(|i| i.name == name).unwrap()
}

fn listener(world: &World, id: NamespaceId, inode: u64) -> Option<Listener> {
    let network = world.details().networks.get(&id)?;
    network.listeners.iter().find(|l| l.inode == inode).cloned()
}

/// Whether there is an `ip` that knows all that we ask of it, which busybox's does not.
fn has_ip() -> bool {
    let version = Command::new("ip").arg("-V").output();
    version.is_ok_and(|v| v.stdout.starts_with(b"ip utility, iproute2"))
}

/// Two network namespaces with a veth pair between them; `None` where none can be made.
fn two_ends() -> Option<(Own, Own)> {
    if !is_root() {
        return None;
    }
    if !has_ip() {
        skip("no ip of iproute2");
        return None;
    }
    let start = || Own::start("unshare", &["--net", "sleep", "300"]);
    let (one, other) = (start(), start());
    one.until("sleep");
    other.until("sleep");
    let (a, b) = (one.pid().to_string(), other.pid().to_string());
    let inside = |pid: &str, arguments: &str| {
        let mut all = vec!["--target", pid, "--net", "ip"];
        all.extend(arguments.split(' '));
        run("nsenter", &all);
    };
    inside(&a, &format!("link add va type veth peer name vb netns {b}"));
    inside(&a, "addr add 192.0.2.1/24 dev va");
    inside(&a, "addr add 2001:db8::1/64 dev va nodad");
    inside(&a, "link set va up");
    inside(&a, "link set va mtu 1400 address 02:00:00:00:00:0a");
    inside(&a, "link add br0 type bridge");
    let note = ["link", "set", "br0", "alias", "berth: network blue"];
    run(
        "nsenter",
        &[&["--target", &a, "--net", "ip"][..], &note].concat(),
    );
    inside(&b, "link add br1 type bridge");
    inside(&b, "link set vb master br1");
    Some((one, other))
}

#[test]
fn veth_ends_find_each_other_across_namespaces() {
    let Some((one, other)) = two_ends() else {
        return;
    };
    let host = || fs::read_to_string("/proc/self/net/dev").unwrap();
    let world = discover(&networks());
    let (a, b) = (
        one.namespace(NamespaceKind::Net),
        other.namespace(NamespaceKind::Net),
    );
    let (va, vb) = (interface(&world, a, "va"), interface(&world, b, "vb"));
    assert_eq!(va.kind.as_deref(), Some("veth"));
    for (near, far, place) in [(va, vb, b), (vb, va, a)] {
        let peer = near.peer.as_ref().unwrap();
        assert_eq!(peer.namespace, Some(place));
        assert_eq!(
            (peer.index, peer.name.as_deref()),
            (far.index, Some(far.name.as_str()))
        );
    }
    let addresses: BTreeSet<String> = va
        .addresses
        .iter()
        .map(|(a, prefix)| format!("{a}/{prefix}"))
        .collect();
    assert!(addresses.contains("192.0.2.1/24") && addresses.contains("2001:db8::1/64"));
    assert!(va.is_up && !vb.is_up && !va.is_loopback);
    let mac = va.mac.map(|mac| mac.to_string());
    assert_eq!(
        (mac.as_deref(), va.mtu),
        (Some("02:00:00:00:00:0a"), Some(1400))
    );
    assert_eq!(interface(&world, a, "br0").carries(), Some("blue"));
    assert_eq!(vb.master, Some(interface(&world, b, "br1").index));
    assert_eq!(interface(&world, a, "br0").kind.as_deref(), Some("bridge"));
    let lo = interface(&world, b, "lo");
    assert!(lo.is_loopback && !lo.is_up && lo.peer.is_none() && lo.mac.is_none());
    // The namespace that was made for asking leaves nothing in ours, which shows what it has.
    // Others may change that meanwhile.
    eventually(|| {
        let before = host();
        let world = discover(&networks());
        let own = &world.details().networks[&own_namespace(NamespaceKind::Net)];
        let names: BTreeSet<&str> = own.interfaces.iter().map(|i| i.name.as_str()).collect();
        names == names_in(&before) && names == names_in(&host())
    });
}

/// The names in `/proc/net/dev`.
fn names_in(table: &str) -> BTreeSet<&str> {
    let lines = table.lines().skip(2);
    lines
        .map(|line| line.split(':').next().unwrap().trim())
        .collect()
}

#[test]
fn without_privilege_the_own_network_is_looked_into() {
    let Some((one, _other)) = two_ends() else {
        return;
    };
    let id = one.namespace(NamespaceKind::Net);
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let inode = inode(&listening);
    let own = own_namespace(NamespaceKind::Net);
    let poor = unprivileged(|| discover(&Wanted::everything()));
    // Which namespace a foreign process is in stays hidden, so that only our own is looked into,
    // and what cannot be read is said.
    assert_eq!(
        poor.process(one.pid())
            .unwrap()
            .namespaces
            .of(NamespaceKind::Net),
        None
    );
    assert!(!poor.details().networks.contains_key(&id));
    let said = |line: &String| line.starts_with("descriptors: those of ");
    assert!(poor.warnings().iter().any(said), "{:?}", poor.warnings());
    let names = |world: &World| -> Vec<String> {
        let own = &world.details().networks[&own];
        own.interfaces.iter().map(|i| i.name.clone()).collect()
    };
    eventually(|| names(&unprivileged(|| discover(&networks()))) == names(&discover(&networks())));
    assert!(listener(&poor, own, inode).is_some());
}

#[test]
fn a_user_looks_into_the_network_of_a_rootless_container() {
    if !is_root() {
        return;
    }
    if !has_ip() {
        return skip("no ip of iproute2");
    }
    let script = "ip link add v0 type veth peer name v1 && ip addr add 192.0.2.9/24 dev v0 && \
        ip addr add 2001:db8::9/64 dev v0 nodad && ip link set v0 up && ip link set lo up && \
        exec sleep 300";
    let seen = unprivileged(move || {
        let flags = ["--user", "--map-root-user", "--net"];
        let arguments = [&flags[..], &["sh", "-c", script]].concat();
        let mut child = Own::start("unshare", &arguments);
        let comm = format!("/proc/{}/comm", child.pid());
        let mut ended = None;
        eventually(|| {
            ended = child.0.try_wait().unwrap();
            ended.is_some() || fs::read_to_string(&comm).unwrap() == "sleep\n"
        });
        if ended.is_some() {
            return None;
        }
        let id = child.namespace(NamespaceKind::Net);
        Some((discover(&networks()), id))
    });
    let Some((world, id)) = seen else {
        return skip("no user namespace for users");
    };
    let v0 = interface(&world, id, "v0");
    let mut addresses: Vec<String> = v0
        .addresses
        .iter()
        .map(|(a, prefix)| format!("{a}/{prefix}"))
        .collect();
    addresses.retain(|address| !address.starts_with("fe80"));
    addresses.sort();
    assert_eq!(addresses, ["192.0.2.9/24", "2001:db8::9/64"]);
    assert!(v0.is_up);
    let lo = interface(&world, id, "lo");
    assert!(lo.is_loopback && lo.is_up);
    assert!(lo.addresses.contains(&("127.0.0.1".parse().unwrap(), 8)));
    assert!(!interface(&world, id, "v1").is_up);
}

#[test]
fn listeners_of_both_families_and_protocols_have_their_process() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let connected = std::net::TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let own = own_namespace(NamespaceKind::Net);
    let world = discover(&networks());
    for (protocol, address, inode) in [
        (Protocol::Tcp, tcp.local_addr(), inode(&tcp)),
        (Protocol::Udp, udp.local_addr(), inode(&udp)),
    ] {
        let address = address.unwrap();
        let expected = Listener {
            protocol,
            address: address.ip(),
            port: address.port(),
            inode,
            process: Some(own_pid()),
        };
        assert_eq!(listener(&world, own, inode), Some(expected));
    }
    assert_eq!(listener(&world, own, inode(&connected)), None);
}

#[test]
fn listeners_in_a_namespace_of_a_thread_are_found_too() {
    if !is_root() {
        return;
    }
    let resident = stay(|| {
        unshare(UnshareFlags::NEWNET);
        berth_sys::net::loopback_up().unwrap();
        let tcp = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0"));
        let tcp = tcp.unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        (own_namespace(NamespaceKind::Net), tcp, udp)
    });
    let (id, tcp, udp) = &resident.value;
    let world = discover(&networks());
    let lo = interface(&world, *id, "lo");
    assert!(lo.is_up && lo.is_loopback);
    let seen = listener(&world, *id, inode(tcp)).unwrap();
    let address = tcp.local_addr().unwrap();
    assert_eq!((seen.address, seen.port), (address.ip(), address.port()));
    assert_eq!(seen.process, Some(own_pid()));
    let seen = listener(&world, *id, inode(udp)).unwrap();
    assert_eq!(
        (seen.protocol, seen.port),
        (Protocol::Udp, udp.local_addr().unwrap().port())
    );
    assert_eq!(world.details().networks[id].listeners.len(), 2);
}

#[test]
fn a_connection_that_nobody_has_open_hides_no_listener() {
    if !is_root() {
        return;
    }
    // Not accepted yet, the connection has no descriptor: the sockets that processes have open
    // are not all that the kernel counts, and its table is read.
    let resident = stay(|| {
        unshare(UnshareFlags::NEWNET);
        berth_sys::net::loopback_up().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        (own_namespace(NamespaceKind::Net), tcp, client)
    });
    let (id, tcp, _client) = &resident.value;
    let world = discover(&networks());
    let found = &world.details().networks[id].listeners;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].inode, found[0].process),
        (inode(tcp), Some(own_pid()))
    );
}

/// A cgroup below the root of a hierarchy, with one below it; both are removed at the end.
struct Nested {
    top: PathBuf,
    process: Option<Own>,
}

impl Nested {
    /// `None` where no cgroup can be made.
    fn make(root: &Path, name: &str) -> Option<Self> {
        let top = root.join(format!("berth-map-{name}-{}", std::process::id()));
        if let Err(error) = fs::create_dir_all(top.join("inner")) {
            skip(&format!("no cgroup can be made: {}", error.kind()));
            return None;
        }
        Some(Self { top, process: None })
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.top.join(file), text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.top.join(file))
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Puts a process of our own into the inner one.
    fn fill(&mut self) -> &Own {
        let process = Own::start("sleep", &["300"]);
        self.write("inner/cgroup.procs", &process.pid().to_string());
        self.process.insert(process)
    }

    fn usage(&self) -> CgroupUsage {
        let world = discover(&Wanted {
            usage: true,
            ..Wanted::default()
        });
        let process = world.process(self.process.as_ref().unwrap().pid()).unwrap();
        *world.usage(process).unwrap()
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        drop(self.process.take());
        for dir in [self.top.join("inner"), self.top.clone()] {
            eventually(|| fs::remove_dir(&dir).is_ok() || !dir.exists());
        }
    }
}

/// The mount point of the hierarchy with a controller; v2 without one.
fn hierarchy(controller: Option<&str>) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| {
        let (_, tail) = line.split_once(" - ").unwrap();
        match controller {
            None => tail.starts_with("cgroup2 "),
            Some(name) => {
                let options = tail.rsplit(' ').next().unwrap();
                tail.starts_with("cgroup ") && options.split(',').any(|o| o == name)
            }
        }
    })?;
    Some(PathBuf::from(line.split(' ').nth(4)?))
}

#[test]
fn a_cgroup_below_a_frozen_one_is_frozen_v2() {
    if !is_root() {
        return;
    }
    let Some(root) = hierarchy(None) else {
        return skip("no cgroup v2 hierarchy");
    };
    let Some(mut nested) = Nested::make(&root, "frozen") else {
        return;
    };
    nested.fill();
    assert_eq!(nested.usage().frozen, Some(false));
    nested.write("cgroup.freeze", "1");
    eventually(|| nested.read("inner/cgroup.events").contains("frozen 1"));
    assert_eq!(nested.usage().frozen, Some(true));
    nested.write("cgroup.freeze", "0");
    eventually(|| nested.usage().frozen == Some(false));
}

#[test]
fn a_cgroup_below_a_frozen_one_is_frozen_v1() {
    if !is_root() {
        return;
    }
    let Some(root) = hierarchy(Some("freezer")) else {
        return skip("no v1 freezer");
    };
    let Some(mut nested) = Nested::make(&root, "frozen") else {
        return;
    };
    nested.fill();
    assert_eq!(nested.usage().frozen, Some(false));
    nested.write("freezer.state", "FROZEN");
    eventually(|| nested.read("inner/freezer.state") == "FROZEN");
    assert_eq!(nested.usage().frozen, Some(true));
    nested.write("freezer.state", "THAWED");
    eventually(|| nested.usage().frozen == Some(false));
}

#[test]
fn limits_further_up_count() {
    if !is_root() {
        return;
    }
    let v1 = hierarchy(Some("pids"));
    let v2 = || {
        hierarchy(None).filter(|root| {
            let controllers = fs::read_to_string(root.join("cgroup.subtree_control"));
            controllers.is_ok_and(|c| c.contains("pids") && c.contains("memory"))
        })
    };
    let Some(root) = v1.clone().or_else(v2) else {
        return skip("no pids controller");
    };
    let Some(mut nested) = Nested::make(&root, "limits") else {
        return;
    };
    if v1.is_none() {
        nested.write("cgroup.subtree_control", "+pids +memory");
    }
    nested.write("pids.max", "7");
    nested.fill();
    // Another one beside it takes from the same limit.
    let beside = Own::start("sleep", &["300"]);
    let place = if v1.is_some() {
        "cgroup.procs"
    } else {
        "inner/cgroup.procs"
    };
    nested.write(place, &beside.pid().to_string());
    let usage = nested.usage();
    let inner: u64 = nested.read("inner/pids.current").parse().unwrap();
    let all: u64 = nested.read("pids.current").parse().unwrap();
    assert_eq!(usage.pids, Some(inner));
    assert_eq!(usage.pids_max, Some(7));
    assert_eq!(usage.pids_left, Some(7 - all));
    nested.write("inner/pids.max", "3");
    assert_eq!(nested.usage().pids_max, Some(3));
    drop(beside);
}

#[test]
fn memory_and_its_limit() {
    if !is_root() {
        return;
    }
    let (root, now, max) = match hierarchy(Some("memory")) {
        Some(root) => (root, "memory.usage_in_bytes", "memory.limit_in_bytes"),
        None => match hierarchy(None) {
            Some(root) if root.join("cgroup.controllers").exists() => {
                (root, "memory.current", "memory.max")
            }
            _ => return skip("no memory controller"),
        },
    };
    let Some(mut nested) = Nested::make(&root, "memory") else {
        return;
    };
    if max == "memory.max" {
        nested.write("cgroup.subtree_control", "+memory");
    }
    nested.fill();
    let parent_limits = nested.usage().memory_max_bytes;
    nested.write(max, "64M");
    let usage = nested.usage();
    let limit = 64 << 20;
    assert_eq!(
        usage.memory_max_bytes,
        Some(parent_limits.unwrap_or(limit).min(limit))
    );
    let held: u64 = nested.read(&format!("inner/{now}")).parse().unwrap();
    assert!(
        usage
            .memory_bytes
            .is_some_and(|bytes| bytes.abs_diff(held) < 1 << 20)
    );
}

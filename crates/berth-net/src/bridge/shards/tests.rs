//! Bridges in network namespaces of the tests' own.

use std::process::{Command, Stdio};

use berth_base::Timestamp;
use berth_base::state::STATE_VERSION;

use super::*;
use crate::{Driver, Subnet, bridge};

fn network() -> NetworkFile {
    let subnet = Subnet {
        subnet: "10.99.0.0/20".parse().unwrap(),
        range: None,
        gateway: Some("10.99.0.1".parse().unwrap()),
        auxiliary: std::collections::BTreeMap::new(),
    };
    NetworkFile {
        version: STATE_VERSION,
        id: "0123456789abcdef".repeat(4),
        name: "blue".parse().unwrap(),
        created_at: Timestamp::from(std::time::SystemTime::now()),
        driver: Driver::Bridge,
        subnets: vec![subnet],
        internal: false,
        interface: "berth0123456789".to_owned(),
        mtu: None,
        big_tcp: None,
        options: std::collections::BTreeMap::new(),
        labels: std::collections::BTreeMap::new(),
    }
}

/// Runs in a network namespace of its own, where somebody may make one.
fn in_a_namespace(test: impl FnOnce() + Send) {
    if !rustix::process::geteuid().is_root() {
        berth_testkit::skip("networks need root");
        return;
    }
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            const CLONE_NEWNET: u64 = 0x4000_0000;
            berth_sys::unshare_namespaces(CLONE_NEWNET).unwrap();
            test();
        });
        inside.join().unwrap();
    });
}

fn ip(batch: &str) {
    use std::io::Write as _;
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(batch.as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Fills a bridge with ports, from one number to another.
fn fill(bridge: &str, from: usize, to: usize) {
    let line =
        |n| format!("link add p{n} type veth peer name q{n}\nlink set p{n} master {bridge}\n");
    ip(&(from..=to).map(line).collect::<String>());
}

struct World {
    _folder: tempfile::TempDir,
    networks: Networks,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let networks = Networks::new(&folder.path().join("r"), &folder.path().join("s"));
    World {
        _folder: folder,
        networks,
    }
}

impl World {
    fn ensure(&self, number: u8) {
        let lock = || self.networks.lock();
        let (network, nothing) = (network(), || Ok::<(), NetError>(()));
        match number {
            0 => drop(bridge::ensure(&network, "first", lock, nothing).unwrap()),
            _ => ensure(&network, number, lock, nothing).unwrap(),
        }
    }

    fn spread(&self) -> Option<Spread> {
        let lock = self.networks.lock().unwrap();
        spread(&self.networks, &lock, &network()).unwrap()
    }

    fn shards(&self) -> Shards {
        read(&self.networks, &network())
    }
}

#[test]
fn names_fit_and_tell_networks_apart() {
    let network = network();
    assert_eq!(name(&network, 0), "berth0123456789");
    assert_eq!(name(&network, 1), "berth0123456s01");
    assert_eq!(name(&network, 99).len(), 15);
}

#[test]
fn the_kernel_refuses_what_is_said_here() {
    in_a_namespace(|| {
        let world = world();
        world.ensure(0);
        let bridge = network().interface;
        fill(&bridge, 1, MAX_PORTS);
        let socket = NetlinkSocket::route().unwrap();
        let index = route::index_of(&socket, &bridge).unwrap().unwrap();
        assert_eq!(route::names(&socket, Some(index)).unwrap().len(), MAX_PORTS);
        let number = route::port_number(&socket, &format!("p{MAX_PORTS}"));
        assert_eq!(number.unwrap().map(usize::from), Some(MAX_PORTS));
        assert_eq!(route::port_number(&socket, "q1").unwrap(), None);
        assert_eq!(route::port_number(&socket, "nobody").unwrap(), None);
        ip("link add p0 type veth peer name q0\n");
        let p0 = route::index_of(&socket, "p0").unwrap().unwrap();
        let mut batch = Batch::new();
        route::set_port(&mut batch, p0, index);
        let refused = socket.perform(batch.bytes().unwrap()).unwrap_err();
        assert_eq!(refused.errno, Errno::XFULL);
    });
}

#[test]
fn containers_spread_when_a_bridge_is_nearly_full() {
    in_a_namespace(|| {
        let world = world();
        world.ensure(0);
        let first = network().interface;
        fill(&first, 1, NEARLY_FULL - 1);
        let last = format!("p{}", NEARLY_FULL - 1);
        assert!(!is_near_the_end(&["p1", &last]).unwrap());
        assert_eq!(world.spread(), None);
        fill(&first, NEARLY_FULL, NEARLY_FULL);
        let last = format!("p{NEARLY_FULL}");
        assert!(is_near_the_end(&["gone", &last]).unwrap());
        let spread = world.spread().unwrap();
        let second = name(&network(), 1);
        assert_eq!((spread.full, spread.ports), (first.clone(), NEARLY_FULL));
        assert_eq!(spread.next, second);
        assert_eq!(world.shards(), Shards { made: 1, next: 1 });
        // It is made by whoever is put on it, and counts as roomy before.
        assert_eq!(world.spread(), None);
        world.ensure(1);
        world.ensure(1);
        assert_eq!(world.shards().names(&network()), [second.as_str()]);
        // The first has room again when the second is full.
        fill(&second, 2000, 2000 + NEARLY_FULL);
        assert_eq!(world.spread().unwrap().next, name(&network(), 2));
        let batch: String = (1..=100).map(|n| format!("link del p{n}\n")).collect();
        ip(&batch);
        world.ensure(2);
        fill(&name(&network(), 2), 4000, 4000 + NEARLY_FULL);
        assert_eq!(world.spread().unwrap().next, first);
        assert_eq!(world.shards(), Shards { made: 2, next: 0 });
    });
}

#[test]
fn shards_are_one_link_and_go_with_their_network() {
    in_a_namespace(|| {
        let world = world();
        for number in [0, 1, 2] {
            world.ensure(number);
        }
        let socket = NetlinkSocket::route().unwrap();
        let ports = |bridge: &str| {
            let index = route::index_of(&socket, bridge).unwrap();
            route::names(&socket, index).unwrap()
        };
        let network = network();
        let mut first = ports(&network.interface);
        first.sort();
        assert_eq!(first, ["berth0123456u01", "berth0123456u02"]);
        assert_eq!(ports(&name(&network, 2)), ["berth0123456d02"]);
        // Somebody else's stays.
        ip("link add berth9999999s01 type bridge\n");
        bridge::remove(&network).unwrap();
        let mut left = route::names(&socket, None).unwrap();
        left.retain(|name| name.starts_with("berth"));
        assert_eq!(left, ["berth9999999s01"]);
        bridge::remove(&network).unwrap();
    });
}

#[test]
fn a_shard_is_not_complete_before_its_rules_are() {
    in_a_namespace(|| {
        let world = world();
        world.ensure(0);
        let lock = || world.networks.lock();
        let refuse = || Err(NetError::NoPool);
        assert!(ensure(&network(), 1, lock, refuse).is_err());
        let opened = std::cell::Cell::new(0);
        for _ in 0..2 {
            let open = || -> Result<(), NetError> {
                opened.set(opened.get() + 1);
                Ok(())
            };
            ensure(&network(), 1, || world.networks.lock(), open).unwrap();
        }
        assert_eq!(opened.get(), 1);
    });
}

#[test]
fn what_cannot_be_read_is_the_first_bridge() {
    let world = world();
    assert_eq!(world.shards(), Shards::default());
    let folder = world.networks.volatile_folder(&network().name);
    std::fs::create_dir_all(&folder).unwrap();
    for text in ["", "1", "1 2", "x y", "200 1"] {
        std::fs::write(folder.join(FILE), text).unwrap();
        assert_eq!(world.shards(), Shards::default(), "{text:?}");
    }
    std::fs::write(folder.join(FILE), "3 1\n").unwrap();
    assert_eq!(world.shards(), Shards { made: 3, next: 1 });
}

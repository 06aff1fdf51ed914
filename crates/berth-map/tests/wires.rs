//! The wires of `berth map --ns net`, on fake hosts: bridges, pairs, links that stand on others,
//! ports that lead to containers.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod rich;
mod support;

use berth_base::{MacAddress, NamespaceId, NamespaceKind, PublishedPort, Transport};
use berth_map::draw::{self, MapOptions};
use berth_map::model::{Interface, Listener, Network, Peer, Protocol, World};
use berth_map::svg;
use support::{Fake, FakeHost, id, pid, run_file};

fn net(inode: u64) -> NamespaceId {
    rich::ns(NamespaceKind::Net, inode)
}

/// A namespace's interface of a kind; `on` is its bridge, `peer` the other end or what it stands on.
fn link(
    index: u32,
    name: &str,
    kind: &str,
    on: Option<u32>,
    peer: Option<(u64, u32)>,
) -> Interface {
    Interface {
        index,
        name: name.to_owned(),
        kind: (!kind.is_empty()).then(|| kind.to_owned()),
        is_up: true,
        is_loopback: false,
        addresses: Vec::new(),
        master: on,
        peer: peer.map(|(inode, index)| Peer {
            namespace: (inode != 0).then(|| net(inode)),
            index,
            name: match inode {
                0 => None,
                104 => Some(format!("far{index}")),
                _ => Some(format!("eth{}", index - 2)),
            },
        }),
        mac: Some(MacAddress::new([2, 0, 0, 0, 0, 1])),
        mtu: Some(1500),
        alias: None,
    }
}

fn with(mut interface: Interface, address: &str, prefix: u8) -> Interface {
    interface.addresses.push((address.parse().unwrap(), prefix));
    interface
}

fn network(interfaces: Vec<Interface>) -> Network {
    Network {
        interfaces,
        ..Network::default()
    }
}

fn port(transport: Transport, address: &str, host: u16, inside: u16) -> PublishedPort {
    PublishedPort {
        transport,
        host_address: address.parse().unwrap(),
        host_port: host,
        container_port: inside,
    }
}

fn listener(protocol: Protocol, address: &str, port: u16, process: u32) -> Listener {
    Listener {
        protocol,
        address: address.parse().unwrap(),
        port,
        inode: u64::from(port),
        process: Some(pid(process)),
    }
}

/// What is in the namespaces of [`world`].
fn networks() -> [(u64, Network); 5] {
    let bridge = Interface {
        alias: Some("berth: network blue".to_owned()),
        ..with(link(3, "berth0", "bridge", None, None), "10.210.0.1", 20)
    };
    let host = vec![
        with(link(2, "ens3", "", None, None), "192.0.2.7", 24),
        bridge,
        link(4, "bv01", "veth", Some(3), Some((301, 2))),
        link(5, "bv02", "veth", Some(3), Some((302, 2))),
        with(link(6, "docker0", "bridge", None, None), "172.17.0.1", 16),
        link(7, "vethx", "veth", Some(6), Some((0, 9))),
        with(
            link(8, "wire", "veth", None, Some((304, 2))),
            "10.9.0.1",
            24,
        ),
    ];
    let mut web = network(vec![with(
        link(2, "eth0", "veth", None, Some((104, 4))),
        "10.210.0.2",
        20,
    )]);
    web.published = vec![
        port(Transport::Tcp, "0.0.0.0", 8080, 80),
        port(Transport::Tcp, "::", 8080, 80),
        port(Transport::Udp, "127.0.0.1", 5300, 53),
        port(Transport::Sctp, "0.0.0.0", 99, 99),
    ];
    web.listeners = vec![
        listener(Protocol::Tcp, "0.0.0.0", 80, 41),
        // Nothing that comes from outside arrives there.
        listener(Protocol::Udp, "127.0.0.11", 53, 1),
    ];
    let mut down = link(2, "eth0", "veth", None, Some((104, 5)));
    down.is_up = false;
    [
        (104, network(host)),
        (301, web),
        (302, network(vec![with(down, "10.210.0.3", 20)])),
        (
            303,
            network(vec![with(
                link(2, "eth0", "macvlan", None, Some((104, 2))),
                "192.0.2.9",
                24,
            )]),
        ),
        (
            304,
            network(vec![with(
                link(2, "eth0", "veth", None, Some((104, 8))),
                "10.9.0.2",
                24,
            )]),
        ),
    ]
}

/// web and db on one bridge, cache on another engine's, lan on the host's card, pod on a wire of its
/// own, and one end whose other namespace nobody can see.
fn world() -> World {
    let inside = |host: u32, net: u64, name: &str| {
        let one = Fake::new(&[host, 1], 1, name);
        one.ns("pid", net + 1000).ns("net", net).process()
    };
    let mut processes = vec![Fake::new(&[1], 0, "init").process()];
    processes.push(inside(31, 301, "web"));
    processes.push(inside(32, 302, "db"));
    processes.push(inside(33, 303, "lan"));
    processes.push(inside(34, 304, "pod"));
    let server = Fake::new(&[41, 7], 31, "httpd")
        .ns("pid", 1301)
        .ns("net", 301);
    processes.push(server.process());
    let mut parts = support::parts(processes);
    for (digit, name, init) in [('a', "web", 31), ('b', "db", 32), ('c', "lan", 33)] {
        let process = parts.processes.iter().find(|p| p.pid == pid(init)).unwrap();
        let known = rich::known(berth_map::model::Engine::Berth, digit, name, process);
        parts.known.push(known);
    }
    parts.details.networks = networks()
        .map(|(inode, network)| (net(inode), network))
        .into();
    World::assemble(parts)
}

/// The lines below the boxes.
fn wires(world: &World, width: usize, scope: Option<&str>) -> String {
    let options = MapOptions {
        width,
        lens: NamespaceKind::Net,
        selection: match scope {
            Some(scope) => world.select(&scope.parse().unwrap()).unwrap(),
            None => MapOptions::default().selection,
        },
        ..MapOptions::default()
    };
    let text = draw::map(world, &options);
    assert!(
        text.lines().all(|line| line.chars().count() <= width),
        "{text}"
    );
    let lines = text.lines().skip_while(|line| !line.starts_with("wires:"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn wires_are_drawn_once_each_below_what_carries_them() {
    insta::assert_snapshot!(wires(&world(), 80, None), @r#"
    wires: host
      ens3  192.0.2.7/24
        eth0@lan  macvlan  192.0.2.9/24
      berth0  bridge of network blue  10.210.0.1/20
        bv01 <-> eth0@web  10.210.0.2/20
          :8080->80/tcp  httpd (pid 7, host 41)
          127.0.0.1:5300->53/udp  nobody listens
          :99->99/sctp
        bv02 <-> eth0@db  10.210.0.3/20  down
      docker0  bridge  172.17.0.1/16
        vethx <-> if9@?
      wire 10.9.0.1/24 <-> eth0@unshare/34  10.9.0.2/24
    "#);
}

#[test]
fn of_one_container_its_own_wires_are_drawn() {
    insta::assert_snapshot!(wires(&world(), 80, Some("db")), @r#"
    wires: host
      berth0  bridge of network blue  10.210.0.1/20
        bv02 <-> eth0@db  10.210.0.3/20  down
    "#);
}

#[test]
fn other_lenses_draw_no_wires_but_say_which_ports_lead_there() {
    let text = draw::map(&world(), &MapOptions::default());
    assert!(!text.contains("wires:"), "{text}");
    let foot = "eth0 10.210.0.2/20 <-> far4@host  :8080->80/tcp  127.0.0.1:5300->53/udp";
    assert!(text.contains(foot), "{text}");
}

#[test]
fn images_say_it_too() {
    let world = world();
    let options = |lens| svg::PictureOptions {
        lens,
        ..svg::PictureOptions::default()
    };
    let by_network = svg::write(&world, &options(NamespaceKind::Net));
    for part in [
        "wires: host",
        "bv01 &lt;-&gt; eth0@web",
        "berth0",
        "nobody listens",
    ] {
        assert!(by_network.contains(part), "{part} in {by_network}");
    }
    let by_pid = options(NamespaceKind::Pid);
    assert!(!svg::write(&world, &by_pid).contains("wires:"));
    assert!(svg::write(&world, &by_pid).contains(":8080-&gt;80/tcp"));
    assert!(berth_map::dot::write(&world, &by_pid).contains(":8080->80/tcp"));
}

#[test]
fn names_that_steer_a_terminal_are_escaped_in_wires() {
    let mut parts = support::parts(vec![Fake::new(&[1], 0, "init").process()]);
    let mut bridge = link(3, "a\x1b[2J", "bridge", None, None);
    bridge.alias = Some("berth: network \u{202e}x".to_owned());
    let host = network(vec![bridge, link(4, "\x07", "veth", Some(3), None)]);
    parts.details.networks = [(net(104), host)].into();
    let text = wires(&World::assemble(parts), 80, None);
    insta::assert_snapshot!(text, @r#"
    wires: host
      a\x1b[2J  bridge of network \u{202e}x
        \x07
    "#);
}

#[test]
fn published_ports_are_read_from_the_files_of_living_containers() {
    let web = Fake::new(&[700, 1], 1, "web").isolated(300);
    let host = FakeHost::new(&[Fake::new(&[1], 0, "init"), web]);
    let web = Fake::new(&[700, 1], 1, "web").isolated(300);
    host.record_run(&run_file('a', "web", &web, true));
    let wiring = |address: &str| {
        serde_json::json!({
            "version": 1,
            "interfaces": [{
                "network": "blue", "name": "eth0", "metric": 0,
                "link": {"kind": "pair", "bridge": "berth0", "host_interface": "bv01"},
                "addresses": [["10.210.0.2", 20]], "gateways": ["10.210.0.1"],
            }],
            "published": [
                {"transport": "tcp", "host_address": address, "host_port": 8080, "container_port": 80},
                // It has no address of this family: the port is held, and leads nowhere.
                {"transport": "tcp", "host_address": "::", "host_port": 8080, "container_port": 80},
            ],
        })
        .to_string()
    };
    let path = host
        .state()
        .join("containers")
        .join(id('a'))
        .join("wiring.json");
    let ports = || {
        let wanted = berth_map::model::Wanted::everything();
        let world = World::discover_with(&host.sources(), &wanted).unwrap();
        let mut networks = world.details().networks.values();
        networks
            .find(|n| !n.published.is_empty())
            .map(Network::shown_ports)
    };
    assert_eq!(ports(), None);
    std::fs::write(&path, wiring("127.0.0.1")).unwrap();
    let shown = ports().unwrap();
    assert_eq!(
        shown,
        [(
            "127.0.0.1:8080->80/tcp".to_owned(),
            port(Transport::Tcp, "127.0.0.1", 8080, 80)
        )]
    );
    for damaged in ["", "{", "[]", "{\"version\": 1}"] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(ports(), None, "{damaged}");
    }
}

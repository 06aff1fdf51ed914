//! A host with three networks, containers on them, and somebody outside.
//!
//!     world 203.0.113.2 ── 203.0.113.1 host ─┬─ berth0 10.99.1.1 ── web .2, peer .3
//!           2001:db8::2    2001:db8::1       ├─ berth1 10.99.2.1 ── other .2
//!                                            └─ berth2 10.99.3.1 ── inner .2   (internal)
//!
//! IPv6 on the networks is fd99:N::. Everybody knows the way to everybody: what does not arrive was
//! kept from arriving.

use std::fmt::Write as _;
use std::net::SocketAddr;

use berth_base::{PublishedPort, Transport};
use berth_net::nft::{self, Network, Published, Rules};
use berth_sys::batch::{Batch, NetlinkSocket};
use berth_sys::route;

use crate::space::Space;

pub(crate) struct Lab {
    pub(crate) world: Space,
    pub(crate) host: Space,
    pub(crate) web: Space,
    pub(crate) peer: Space,
    pub(crate) other: Space,
    pub(crate) inner: Space,
}

impl Lab {
    /// With a server on port 80 of each container and of the world, and no table yet.
    pub(crate) fn new() -> Option<Self> {
        let host = Space::new()?;
        let lab = Self {
            world: host.beside(),
            web: host.beside(),
            peer: host.beside(),
            other: host.beside(),
            inner: host.beside(),
            host,
        };
        let mut lines = format!(
            "link add eth0 type veth peer name eth0 netns {}\n\
             address add 203.0.113.1/24 dev eth0\n\
             address add 2001:db8::1/64 dev eth0 nodad\n\
             link set eth0 up\n",
            lab.world.path()
        );
        for number in 1..=3 {
            let bridge = format!("berth{}", number - 1);
            write!(
                lines,
                "link add {bridge} type bridge\n\
                 address add 10.99.{number}.1/24 dev {bridge}\n\
                 address add fd99:{number}::1/64 dev {bridge} nodad\n\
                 link set {bridge} up\n"
            )
            .unwrap();
        }
        let mut hairpin = Batch::new();
        for (number, place) in lab.places().iter().enumerate() {
            let (bridge, path) = (place.bridge, place.space.path());
            write!(
                lines,
                "link add bv{number} type veth peer name eth0 netns {path}\n\
                 link set bv{number} master {bridge} up\n"
            )
            .unwrap();
            route::set_hairpin(&mut hairpin, &format!("bv{number}"));
        }
        lab.host.ip(&lines);
        let rtnetlink = lab.host.run(|| NetlinkSocket::route().unwrap());
        rtnetlink.perform(hairpin.bytes().unwrap()).unwrap();
        lab.world.ip("address add 203.0.113.2/24 dev eth0\n\
             address add 2001:db8::2/64 dev eth0 nodad\n\
             link set eth0 up\n\
             route add default via 203.0.113.1\n\
             route add ::/0 via 2001:db8::1\n");
        lab.world.serve("203.0.113.2:80");
        lab.world.serve("[2001:db8::2]:80");
        for place in lab.places() {
            place.enter();
        }
        for sysctl in nft::sysctls_of_networks(&networks()) {
            lab.host.sysctl(&sysctl.path, sysctl.value);
        }
        Some(lab)
    }

    /// Whether frames that a bridge passes on go through the packet filter (br_netfilter), where the
    /// kernel can do that at all.
    pub(crate) fn filter_bridged(&self, value: &str) {
        for family in ["iptables", "ip6tables"] {
            let path = format!("/proc/sys/net/bridge/bridge-nf-call-{family}");
            if std::path::Path::new(&path).exists() {
                self.host.sysctl(&path, value);
            }
        }
    }

    fn places(&self) -> [Place<'_>; 4] {
        let place = |space, bridge, network, number| Place {
            space,
            bridge,
            network,
            number,
        };
        [
            place(&self.web, "berth0", 1, 2),
            place(&self.peer, "berth0", 1, 3),
            place(&self.other, "berth1", 2, 2),
            place(&self.inner, "berth2", 3, 2),
        ]
    }

    /// Installs the table with ports, and what the ports need.
    pub(crate) fn install(&self, published: Vec<Published>) {
        for (bridge, network) in [("berth0", "10.99.1."), ("berth1", "10.99.2.")] {
            let own = |port: &&Published| port.container.to_string().starts_with(network);
            let ports: Vec<_> = published.iter().filter(own).cloned().collect();
            for sysctl in nft::sysctls_of_ports(bridge, &ports) {
                self.host.sysctl(&sysctl.path, sysctl.value);
            }
        }
        let rules = Rules {
            networks: networks(),
            published,
            ..Rules::default()
        };
        let socket = self.host.netfilter();
        nft::install(&rules).unwrap().perform(&socket).unwrap();
        let installed = nft::inspect(&socket, &rules.tag).unwrap().unwrap();
        assert!(installed.matches(&rules).unwrap(), "{installed:?}");
    }
}

/// A container's place on a network.
struct Place<'a> {
    space: &'a Space,
    bridge: &'a str,
    network: u8,
    number: u8,
}

impl Place<'_> {
    fn enter(&self) {
        let (network, number) = (self.network, self.number);
        self.space.ip(&format!(
            "address add 10.99.{network}.{number}/24 dev eth0\n\
             address add fd99:{network}::{number}/64 dev eth0 nodad\n\
             link set eth0 up\n\
             route add default via 10.99.{network}.1\n\
             route add ::/0 via fd99:{network}::1\n"
        ));
        self.space.serve(&format!("10.99.{network}.{number}:80"));
        self.space.serve(&format!("[fd99:{network}::{number}]:80"));
    }
}

/// The networks of the lab.
pub(crate) fn networks() -> Vec<Network> {
    let network = |number: u8, internal| Network {
        bridge: format!("berth{}", number - 1),
        shards: Vec::new(),
        subnets: vec![
            format!("10.99.{number}.0/24").parse().unwrap(),
            format!("fd99:{number}::/64").parse().unwrap(),
        ],
        internal,
        masquerade: true,
    };
    vec![network(1, false), network(2, false), network(3, true)]
}

/// A published port, by both transports: `HOST:PORT` or `PORT` alone, and the container's.
pub(crate) fn both(host: &str, container: &str) -> Vec<Published> {
    [Transport::Tcp, Transport::Udp]
        .into_iter()
        .map(|transport| port(transport, host, container))
        .collect()
}

pub(crate) fn port(transport: Transport, host: &str, container: &str) -> Published {
    let container: SocketAddr = container.parse().unwrap();
    let any = match container {
        SocketAddr::V4(_) => "0.0.0.0",
        SocketAddr::V6(_) => "::",
    };
    let (address, host_port) = host.rsplit_once(':').unwrap_or((any, host));
    Published {
        port: PublishedPort {
            transport,
            host_address: address.trim_matches(['[', ']']).parse().unwrap(),
            host_port: host_port.parse().unwrap(),
            container_port: container.port(),
        },
        container: container.ip(),
        owner: "web".to_owned(),
    }
}

//! What is inside of a network namespace.

use std::net::IpAddr;

use berth_base::{HostPid, MacAddress, NamespaceId, PublishedPort, Transport};
use serde::{Deserialize, Serialize};

/// One network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its interfaces, by index.
    pub interfaces: Vec<Interface>,
    /// Sockets that listen, by protocol, port and address.
    pub listeners: Vec<Listener>,
    /// Ports of the host that lead here, as far as the engine's files say: Berth's. Not in a
    /// recording, whose first version knows none.
    #[serde(skip)]
    pub published: Vec<PublishedPort>,
}

impl Network {
    /// The published ports as people write them, `:8080->80/tcp`; one on all addresses of both
    /// families is said once.
    pub fn shown_ports(&self) -> Vec<(String, PublishedPort)> {
        let mut shown: Vec<(String, PublishedPort)> = Vec::new();
        for port in &self.published {
            let mut text = port.to_string();
            if port.host_address.is_unspecified() {
                text = format!(
                    ":{}->{}/{}",
                    port.host_port, port.container_port, port.transport
                );
            }
            if shown.iter().all(|(known, _)| *known != text) {
                shown.push((text, *port));
            }
        }
        shown
    }

    /// The sockets at which what comes by a published port arrives. `None` where they are not
    /// known: those of SCTP are not read.
    pub fn behind(&self, port: &PublishedPort) -> Option<Vec<&Listener>> {
        let protocol = match port.transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
            Transport::Sctp => return None,
        };
        let fits = |l: &&Listener| {
            l.protocol == protocol && l.port == port.container_port && !l.address.is_loopback()
        };
        Some(self.listeners.iter().filter(fits).collect())
    }
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name, which root of the namespace chooses. Escape before showing.
    pub name: String,
    /// `veth`, `bridge` and so on (IFLA_INFO_KIND); `None` for hardware and loopback.
    pub kind: Option<String>,
    /// Whether it is up (IFF_UP).
    pub is_up: bool,
    /// Whether it is a loopback interface (IFF_LOOPBACK).
    pub is_loopback: bool,
    /// Its addresses, each with the length of its prefix.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The index of the bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// The other end of a veth pair, or the lower interface of a macvlan and the like.
    pub peer: Option<Peer>,
    /// Its hardware address, when known. Not in a recording, as the two below.
    #[serde(skip)]
    pub mac: Option<MacAddress>,
    /// The most bytes of a packet, when known.
    #[serde(skip)]
    pub mtu: Option<u32>,
    /// What somebody noted down beside it (IFLA_IFALIAS). Escape before showing.
    #[serde(skip)]
    pub alias: Option<String>,
}

impl Interface {
    /// The network of Berth's that a bridge carries: its engine notes that down beside it.
    pub fn carries(&self) -> Option<&str> {
        self.alias.as_deref()?.strip_prefix("berth: network ")
    }
}

/// The interface that another one is linked to (IFLA_LINK, IFLA_LINK_NETNSID).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The namespace it is in, when it is one of the snapshot.
    pub namespace: Option<NamespaceId>,
    /// Its index there.
    pub index: u32,
    /// Its name there, when known. Escape before showing.
    pub name: Option<String>,
}

/// A protocol of listening sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP over IPv4 or IPv6, in state LISTEN.
    Tcp,
    /// UDP, bound and not connected.
    Udp,
}

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its protocol.
    pub protocol: Protocol,
    /// The local address; `0.0.0.0` and `::` mean all.
    pub address: IpAddr,
    /// The local port.
    pub port: u16,
    /// The inode number of the socket, as `/proc/PID/fd` shows it.
    pub inode: u64,
    /// The first process that has it open, when one could be found.
    pub process: Option<HostPid>,
}

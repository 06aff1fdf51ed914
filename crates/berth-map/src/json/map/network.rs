//! Networks and mounts of the map document.

use berth_base::NamespaceId;
use serde::Serialize;

use crate::model::{Interface, Listener, Mount, Network, Protocol};

/// What is inside of a network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkDocument {
    /// The network namespace.
    pub namespace: String,
    /// Its interfaces, by index.
    pub interfaces: Vec<InterfaceDocument>,
    /// Sockets that listen.
    pub listeners: Vec<ListenerDocument>,
    /// Ports of the host that lead here.
    pub published: Vec<PublishedDocument>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfaceDocument {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `bridge` and so on.
    pub kind: Option<String>,
    /// Whether it is up.
    pub up: bool,
    /// Whether it is a loopback interface.
    pub loopback: bool,
    /// `172.17.0.2/16`.
    pub addresses: Vec<String>,
    /// The index of the bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// The interface that it is linked to.
    pub peer: Option<PeerDocument>,
    /// Its hardware address.
    pub mac: Option<String>,
    /// The most bytes of a packet.
    pub mtu: Option<u32>,
    /// The network of Berth's that a bridge carries.
    pub network: Option<String>,
}

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedDocument {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
    /// The host's address; `0.0.0.0` and `::` mean all.
    pub host_address: String,
    /// The host's port.
    pub host_port: u16,
    /// The port here.
    pub port: u16,
    /// The host PIDs of who listens there; `null` where that is not known.
    pub processes: Option<Vec<u32>>,
}

/// The other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeerDocument {
    /// The network namespace it is in, when known.
    pub namespace: Option<String>,
    /// Its index there.
    pub index: u32,
    /// Its name there, when known.
    pub name: Option<String>,
}

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerDocument {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The local address.
    pub address: String,
    /// The local port.
    pub port: u16,
    /// The socket's inode number.
    pub inode: String,
    /// The host PID of the first process that has it open.
    pub process: Option<u32>,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MountDocument {
    /// The mount namespace.
    pub namespace: String,
    /// Its id.
    pub id: String,
    /// The id of the mount that carries it.
    pub parent: String,
    /// Which directory of the file system is its root.
    pub root: String,
    /// The mount point.
    pub point: String,
    /// The type of the file system.
    pub kind: String,
    /// The source.
    pub source: Option<String>,
    /// The options, as mountinfo writes them.
    pub options: String,
    /// The propagation, as mountinfo writes it.
    pub propagation: String,
}

pub(super) fn describe_network(namespace: NamespaceId, network: &Network) -> NetworkDocument {
    NetworkDocument {
        namespace: namespace.inode.to_string(),
        interfaces: network.interfaces.iter().map(describe_interface).collect(),
        listeners: network.listeners.iter().map(describe_listener).collect(),
        published: describe_published(network),
    }
}

fn describe_published(network: &Network) -> Vec<PublishedDocument> {
    let ports = network.published.iter();
    ports
        .map(|port| PublishedDocument {
            protocol: port.transport.as_str(),
            host_address: port.host_address.to_string(),
            host_port: port.host_port,
            port: port.container_port,
            processes: network.behind(port).map(|sockets| {
                let pids = sockets.iter().filter_map(|socket| socket.process);
                let mut pids: Vec<u32> = pids.map(berth_base::HostPid::get).collect();
                pids.sort_unstable();
                pids.dedup();
                pids
            }),
        })
        .collect()
}

fn describe_interface(interface: &Interface) -> InterfaceDocument {
    let addresses = interface.addresses.iter();
    InterfaceDocument {
        index: interface.index,
        name: interface.name.clone(),
        kind: interface.kind.clone(),
        up: interface.is_up,
        loopback: interface.is_loopback,
        addresses: addresses
            .map(|(a, prefix)| format!("{a}/{prefix}"))
            .collect(),
        master: interface.master,
        peer: interface.peer.as_ref().map(|peer| PeerDocument {
            namespace: peer.namespace.map(|id| id.inode.to_string()),
            index: peer.index,
            name: peer.name.clone(),
        }),
        mac: interface.mac.map(|mac| mac.to_string()),
        mtu: interface.mtu,
        network: interface.carries().map(str::to_owned),
    }
}

fn describe_listener(listener: &Listener) -> ListenerDocument {
    ListenerDocument {
        protocol: match listener.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        },
        address: listener.address.to_string(),
        port: listener.port,
        inode: listener.inode.to_string(),
        process: listener.process.map(berth_base::HostPid::get),
    }
}

pub(super) fn describe_mount(namespace: NamespaceId, mount: &Mount) -> MountDocument {
    MountDocument {
        namespace: namespace.inode.to_string(),
        id: mount.id.to_string(),
        parent: mount.parent.to_string(),
        root: mount.root.clone(),
        point: mount.point.clone(),
        kind: mount.kind.clone(),
        source: mount.source.clone(),
        options: mount.options.clone(),
        propagation: mount.propagation.clone(),
    }
}

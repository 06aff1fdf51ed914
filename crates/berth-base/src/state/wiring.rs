//! How a container is connected to networks, as data: decided by the engine, carried out by whoever
//! has the container's namespace at hand.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{MacAddress, PublishedPort};

/// The interfaces that a container gets besides its loopback.
///
/// Also the file `wiring.json`: what it has in this boot, so that a restart gives it the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiring {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// In the order of their default routes' preference.
    pub interfaces: Vec<WiredInterface>,
    /// The ports of the host that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PublishedPort>,
}

impl Default for Wiring {
    fn default() -> Self {
        Self {
            version: super::STATE_VERSION,
            interfaces: Vec::new(),
            published: Vec::new(),
        }
    }
}

/// One interface of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WiredInterface {
    /// The network that it belongs to, by name.
    pub network: String,
    /// Its name inside.
    pub name: String,
    /// What it is.
    pub link: WiredLink,
    /// Its hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// Its MTU; the link's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Its addresses with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Default routes, one for each family at most; none on an internal network.
    pub gateways: Vec<IpAddr>,
    /// The metric of these routes: the lowest wins.
    pub metric: u32,
}

/// What an interface of a container is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum WiredLink {
    /// One end of a pair; the other is a port of a bridge.
    Pair {
        /// The bridge, an interface of the host.
        bridge: String,
        /// The host's end.
        host_interface: String,
        /// Large pieces of TCP pass it whole, where the kernel can.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        big_tcp: bool,
    },
    /// An address of its own on the host's link.
    Macvlan {
        /// The host's interface.
        parent: String,
        /// MACVLAN_MODE_* (linux/if_link.h).
        mode: u32,
    },
    /// The host's own hardware address, other IP addresses.
    Ipvlan {
        /// The host's interface.
        parent: String,
        /// IPVLAN_MODE_* (linux/if_link.h).
        mode: u16,
    },
    /// A tap that a program of the host reads and writes: what a user without privilege can have.
    Tap {
        /// The program, as [`NetworkHelper::name`].
        helper: String,
    },
}

/// The program of the host that carries the packets of one container for a user without
/// privilege, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkHelper {
    /// What it is called in messages.
    pub name: String,
    /// Its path.
    pub program: PathBuf,
    /// Its arguments. It finds the container's network namespace at the descriptor
    /// [`Self::NAMESPACE`] and runs in the container's volatile folder.
    pub arguments: Vec<String>,
    /// How it says that the container is connected.
    pub readiness: Readiness,
    /// What is asked of its socket [`Self::API`] after that, one connection each; an answer with
    /// an `error` is a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
}

impl NetworkHelper {
    /// The descriptor of the network namespace.
    pub const NAMESPACE: i32 = 4;
    /// The descriptor that [`Readiness::Byte`] is written to.
    pub const READY: i32 = 3;
    /// The name of its socket in the container's volatile folder.
    pub const API: &str = "network.sock";
}

/// How a [`NetworkHelper`] says that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// It goes into the background: the process that was executed ends with code 0.
    Background,
    /// It writes a byte to [`NetworkHelper::READY`].
    Byte,
}

/// How a container's questions for names get to the resolver, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolverRequest {
    /// Where the container finds it.
    pub address: Ipv4Addr,
    /// The port on which the sockets in the container's namespace are.
    pub port: u16,
    /// A transaction for nfnetlink: port 53 leads to that port.
    pub redirect: Vec<u8>,
    /// The folder of the resolver's socket.
    pub folder: PathBuf,
    /// The socket's name there.
    pub socket: String,
    /// What is said to it, together with the two sockets and the pidfd of the first process.
    pub packet: String,
    /// What it answers when it accepts.
    pub accepted: String,
}

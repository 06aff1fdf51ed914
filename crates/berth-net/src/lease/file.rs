//! The record of one handed-out address, which is also that of a container on a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use berth_base::{ContainerId, MacAddress};
use serde::{Deserialize, Serialize};

/// A container's place on a network: `STATE/networks/NETWORK/leases/ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// [`berth_base::state::STATE_VERSION`].
    pub version: u32,
    /// Who has it.
    pub container: ContainerId,
    /// The container's name, which other containers can look up.
    pub name: String,
    /// More names on this network (`--network-alias`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Its IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// Its hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// The interface inside.
    pub interface: String,
    /// The host's end of the pair, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_interface: Option<String>,
}

impl Lease {
    /// Its addresses; a file is named after each.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (ipv4, ipv6) = (self.ipv4.map(IpAddr::V4), self.ipv6.map(IpAddr::V6));
        ipv4.into_iter().chain(ipv6)
    }
}

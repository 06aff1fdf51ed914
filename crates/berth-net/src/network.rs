//! A network, as it is kept: `ROOT/networks/NAME/network.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use berth_base::Timestamp;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::lease::Pool;

/// The name of the network that containers get when none is asked for.
pub const DEFAULT_NETWORK: &str = "bridge";

/// Names with a meaning of their own, which no network can have.
const RESERVED_NAMES: [&str; 4] = ["host", "none", "private", "default"];

/// The name of a network: like a container's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NetworkName(String);

impl NetworkName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that no network can be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for a network: {1}")]
pub struct InvalidNetworkName(String, &'static str);

impl FromStr for NetworkName {
    type Err = InvalidNetworkName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why| Err(InvalidNetworkName(text.to_owned(), why));
        if RESERVED_NAMES.contains(&text) {
            return wrong("it has a meaning of its own for --network");
        }
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let fits = text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if !begins || !fits || text.len() > 128 {
            return wrong("use at most 128 of [a-zA-Z0-9_.-], a letter or a digit first");
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for NetworkName {
    type Error = InvalidNetworkName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NetworkName> for String {
    fn from(name: NetworkName) -> Self {
        name.0
    }
}

/// What carries a network's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A bridge of the host, with addresses translated at its edge.
    Bridge,
    /// Containers have hardware addresses of their own on the host's link.
    Macvlan,
    /// Containers share the hardware address of the host's link.
    Ipvlan,
}

impl Driver {
    /// As users write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }
}

/// A range of addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// All of it.
    pub subnet: IpNet,
    /// The part that is handed out; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNet>,
    /// Where packets to elsewhere go: on a bridge the host's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Never handed out, with the reasons.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub auxiliary: BTreeMap<String, IpAddr>,
}

/// The record of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFile {
    /// [`berth_base::state::STATE_VERSION`].
    pub version: u32,
    /// 64 hex digits, drawn when it was made.
    pub id: String,
    /// Its name.
    pub name: NetworkName,
    /// When it was made.
    pub created_at: Timestamp,
    /// What carries it.
    pub driver: Driver,
    /// Its addresses: one subnet of each family at most.
    pub subnets: Vec<Subnet>,
    /// Nothing leaves it, nothing enters it.
    #[serde(default)]
    pub internal: bool,
    /// The bridge; for the others the interface of the host that they share.
    pub interface: String,
    /// The MTU of its interfaces; the kernel's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Whether large pieces of TCP pass its bridge whole; as the host's settings say when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub big_tcp: Option<bool>,
    /// `--opt`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// `--label`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl NetworkFile {
    /// Its IPv4 subnet.
    #[must_use]
    pub fn ipv4(&self) -> Option<(Ipv4Net, &Subnet)> {
        self.subnets.iter().find_map(|subnet| match subnet.subnet {
            IpNet::V4(net) => Some((net, subnet)),
            IpNet::V6(_) => None,
        })
    }

    /// Its IPv6 subnet.
    #[must_use]
    pub fn ipv6(&self) -> Option<(Ipv6Net, &Subnet)> {
        self.subnets.iter().find_map(|subnet| match subnet.subnet {
            IpNet::V6(net) => Some((net, subnet)),
            IpNet::V4(_) => None,
        })
    }

    /// What it hands out.
    #[must_use]
    pub fn pool(&self) -> Pool {
        let range = self.ipv4().and_then(|(_, subnet)| match subnet.range {
            Some(IpNet::V4(range)) => Some(range),
            _ => None,
        });
        let reserved = self.subnets.iter().flat_map(|subnet| {
            let auxiliary = subnet.auxiliary.values().copied();
            subnet.gateway.into_iter().chain(auxiliary)
        });
        Pool {
            ipv4: self.ipv4().map(|(net, _)| net),
            range,
            ipv6: self.ipv6().map(|(net, _)| net),
            reserved: reserved.collect(),
        }
    }

    /// Whether it is the one that containers get when none is asked for.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name.as_str() == DEFAULT_NETWORK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "my-net_1.0", "bridge"] {
            assert_eq!(good.parse::<NetworkName>().unwrap().as_str(), good);
        }
        for bad in ["", "host", "none", "-a", "a b", "a/b", "é"] {
            assert!(bad.parse::<NetworkName>().is_err(), "{bad}");
        }
    }
}

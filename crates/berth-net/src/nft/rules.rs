//! What the table is made of, in the engine's words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use berth_base::{PublishedPort, Transport};
use ipnet::IpNet;

use super::NftError;
use super::expr::Family;

/// Tells the tables of engines on different state folders apart: empty for the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tag(String);

impl Tag {
    /// A tag of up to 16 letters and digits.
    ///
    /// # Errors
    /// It has others, or more.
    pub fn new(text: &str) -> Result<Self, NftError> {
        let valid = text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match valid {
            true => Ok(Self(text.to_owned())),
            false => Err(NftError::Tag(text.to_owned())),
        }
    }

    /// The name of the table, and the mark of what is ours elsewhere.
    #[must_use]
    pub fn table(&self) -> String {
        match self.0.as_str() {
            "" => "berth".to_owned(),
            tag => format!("berth_{tag}"),
        }
    }
}

/// Everything that the table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whose table it is.
    pub tag: Tag,
    /// What becomes of packets that are none of ours.
    pub transit: Transit,
    /// The networks with a bridge on this host.
    pub networks: Vec<Network>,
    /// The published ports of all containers.
    pub published: Vec<Published>,
}

/// What becomes of packets that this host forwards, but neither from nor to a network of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transit {
    /// As if we were not there.
    #[default]
    Open,
    /// They are dropped: for a host that forwards nothing but for our sake. Turning forwarding on
    /// (net.ipv4.ip_forward) would otherwise make it a router between all its interfaces.
    Closed,
}

/// A network on a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The bridge's interface name.
    pub bridge: String,
    /// Further bridges, joined to it: it has more ports than one can have.
    pub shards: Vec<String>,
    /// Its addresses, of either family.
    pub subnets: Vec<IpNet>,
    /// Nothing leaves it and nothing enters.
    pub internal: bool,
    /// What leaves it carries the address of this host. Not for an internal network.
    pub masquerade: bool,
}

/// The first address of a range, and the first behind it unless the range ends with the last one
/// that there is.
pub(super) fn bounds(range: IpNet) -> (IpAddr, Option<IpAddr>) {
    match range {
        IpNet::V4(range) => {
            let last = range.broadcast().to_bits();
            let behind = last.checked_add(1).map(Ipv4Addr::from_bits);
            (range.network().into(), behind.map(Into::into))
        }
        IpNet::V6(range) => {
            let last = range.broadcast().to_bits();
            let behind = last.checked_add(1).map(Ipv6Addr::from_bits);
            (range.network().into(), behind.map(Into::into))
        }
    }
}

pub(super) fn family(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// The number of a transport in an IP header (IPPROTO_*).
pub(super) const fn number(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
        Transport::Sctp => 132,
    }
}

/// The transport of a number.
pub(super) fn transport_of(wanted: u8) -> Option<Transport> {
    [Transport::Tcp, Transport::Udp, Transport::Sctp]
        .into_iter()
        .find(|transport| number(*transport) == wanted)
}

/// A port of this host and the container that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// The port.
    pub port: PublishedPort,
    /// The container's address, of the family of the host's.
    pub container: IpAddr,
    /// Whose it is, for whoever reads the table: the container's id or name.
    pub owner: String,
}

impl Published {
    /// Leads a port to a container with these addresses; `None` when it has none of the family.
    #[must_use]
    pub fn to(port: PublishedPort, addresses: &[IpAddr], owner: &str) -> Option<Self> {
        let wanted = family(port.host_address);
        let container = *addresses.iter().find(|a| family(**a) == wanted)?;
        Some(Self {
            port,
            container,
            owner: owner.to_owned(),
        })
    }

    /// The address of this host, `None` for any.
    pub(super) fn host(&self) -> Option<IpAddr> {
        Some(self.port.host_address).filter(|address| !address.is_unspecified())
    }

    /// Whether a program on this host reaches it through an address of 127.0.0.0/8.
    pub(super) fn by_loopback(&self) -> bool {
        let by_host = self.host().is_none_or(|address| address.is_loopback());
        self.container.is_ipv4() && by_host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds_of(text: &str) -> String {
        match bounds(text.parse().unwrap()) {
            (first, Some(behind)) => format!("{first} {behind}"),
            (first, None) => format!("{first} end"),
        }
    }

    #[test]
    fn ranges_have_bounds() {
        assert_eq!(bounds_of("172.17.5.9/16"), "172.17.0.0 172.18.0.0");
        assert_eq!(bounds_of("10.0.0.1/32"), "10.0.0.1 10.0.0.2");
        assert_eq!(bounds_of("0.0.0.0/0"), "0.0.0.0 end");
        assert_eq!(bounds_of("255.255.255.0/24"), "255.255.255.0 end");
        assert_eq!(bounds_of("fd00:1::5/64"), "fd00:1:: fd00:1:0:1::");
        assert_eq!(bounds_of("::/0"), ":: end");
        assert_eq!(bounds_of("ffff::/16"), "ffff:: end");
    }

    #[test]
    fn a_tag_names_the_table() {
        assert_eq!(Tag::default().table(), "berth");
        assert_eq!(Tag::new("a1b2").unwrap().table(), "berth_a1b2");
        for bad in ["a b", "a}", "0123456789abcdef0"] {
            assert!(Tag::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_leads_to_an_address_of_its_family() {
        let addresses: Vec<IpAddr> = ["10.0.0.2", "fd00::2"].map(|a| a.parse().unwrap()).to_vec();
        let lead = |host: &str, addresses: &[IpAddr]| {
            let port = PublishedPort {
                transport: Transport::Udp,
                host_address: host.parse().unwrap(),
                host_port: 53,
                container_port: 53,
            };
            Published::to(port, addresses, "web")
        };
        let to = |host: &str| lead(host, &addresses).unwrap();
        assert_eq!(to("0.0.0.0").container, addresses[0]);
        assert_eq!(to("2001:db8::1").container, addresses[1]);
        assert_eq!(lead("::", &addresses[..1]), None);
        assert!(to("0.0.0.0").by_loopback());
        assert!(to("127.0.0.1").by_loopback());
        assert!(!to("10.1.1.1").by_loopback());
        assert!(!to("::").by_loopback());
    }
}

//! The sets and maps of the table, and what stands in them: all that differs between one host and
//! another. A network is an element or two in each, a published port one element in one of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use berth_base::PublishedPort;
use berth_sys::batch::Attributes;
use ipnet::IpNet;

use super::NftError;
use super::expr::Family;
use super::read;
use super::rules::{Network, Published, bounds, family, number, transport_of};
use super::wire::{DATA_VALUE, LIST_ELEMENT, comment, comment_of, element, set};

/// The length of an interface's name in a key (IFNAMSIZ).
const NAME: usize = 16;

/// A set or a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Set {
    /// The bridges of all networks.
    Bridges,
    /// Each of them twice: in by it and out by it.
    Within,
    /// Those besides the first of their network.
    Shards,
    /// The bridges of internal networks.
    Internal,
    /// The addresses of all networks.
    Subnets(Family),
    /// Those of networks whose packets leave with the host's address.
    Masquerade(Family),
    /// Ports of every address of the host.
    Published(Family),
    /// Ports of one address of the host.
    PublishedAt(Family),
}

/// A type that `nft` knows how to show (enum datatypes of nftables): its number, and its length in
/// a key.
#[derive(Clone, Copy)]
struct Kind(u32, u32);

const IPV4_ADDRESS: Kind = Kind(7, 4);
const IPV6_ADDRESS: Kind = Kind(8, 16);
const INET_PROTOCOL: Kind = Kind(12, 4);
const INET_SERVICE: Kind = Kind(13, 4);
const INTERFACE: Kind = Kind(41, 16);

const fn address(family: Family) -> Kind {
    match family {
        Family::V4 => IPV4_ADDRESS,
        Family::V6 => IPV6_ADDRESS,
    }
}

/// One type behind the other: six bits for the number of each, and each padded to four bytes.
fn concatenated(kinds: &[Kind]) -> Kind {
    kinds.iter().fold(Kind(0, 0), |sum, kind| {
        Kind(sum.0 << 6 | kind.0, sum.1 + kind.1)
    })
}

impl Set {
    /// All of them, in the order in which they are made.
    pub(super) const ALL: [Self; 12] = [
        Self::Bridges,
        Self::Within,
        Self::Shards,
        Self::Internal,
        Self::Subnets(Family::V4),
        Self::Subnets(Family::V6),
        Self::Masquerade(Family::V4),
        Self::Masquerade(Family::V6),
        Self::Published(Family::V4),
        Self::Published(Family::V6),
        Self::PublishedAt(Family::V4),
        Self::PublishedAt(Family::V6),
    ];

    pub(super) const fn name(self) -> &'static str {
        use Family::{V4, V6};
        match self {
            Self::Bridges => "bridges",
            Self::Within => "within",
            Self::Shards => "shards",
            Self::Internal => "internal",
            Self::Subnets(V4) => "subnets4",
            Self::Subnets(V6) => "subnets6",
            Self::Masquerade(V4) => "masquerade4",
            Self::Masquerade(V6) => "masquerade6",
            Self::Published(V4) => "published4",
            Self::Published(V6) => "published6",
            Self::PublishedAt(V4) => "published_at4",
            Self::PublishedAt(V6) => "published_at6",
        }
    }

    fn key(self) -> Kind {
        match self {
            Self::Bridges | Self::Shards | Self::Internal => INTERFACE,
            Self::Within => concatenated(&[INTERFACE, INTERFACE]),
            Self::Subnets(family) | Self::Masquerade(family) => address(family),
            Self::Published(_) => concatenated(&[INET_PROTOCOL, INET_SERVICE]),
            Self::PublishedAt(family) => {
                concatenated(&[address(family), INET_PROTOCOL, INET_SERVICE])
            }
        }
    }

    /// What a map leads to.
    fn datum(self) -> Option<Kind> {
        match self {
            Self::Published(family) | Self::PublishedAt(family) => {
                Some(concatenated(&[address(family), INET_SERVICE]))
            }
            _ => None,
        }
    }

    /// Writes what NFT_MSG_NEWSET wants to know behind table and name.
    pub(super) fn declare(self, a: &mut Attributes<'_>) {
        let mut flags = 0;
        if matches!(self, Self::Subnets(_) | Self::Masquerade(_)) {
            flags |= set::INTERVAL;
        }
        let datum = self.datum();
        if datum.is_some() {
            flags |= set::MAP;
        }
        let Kind(number, length) = self.key();
        a.net_number(set::FLAGS, flags)
            .net_number(set::KEY_TYPE, number)
            .net_number(set::KEY_LENGTH, length);
        if let Some(Kind(number, length)) = datum {
            a.net_number(set::DATA_TYPE, number)
                .net_number(set::DATA_LENGTH, length);
        }
        if matches!(self, Self::Bridges | Self::Shards | Self::Internal) {
            a.bytes(set::USER_DATA, &host_order());
        }
        // Within the transaction only; we refer by name.
        let id = Self::ALL.iter().position(|s| *s == self).unwrap_or(0) + 1;
        a.net_number(set::ID, u32::try_from(id).unwrap_or(1));
    }
}

/// Without this `nft` shows names as empty (libnftnl's NFTNL_UDATA_SET_KEYBYTEORDER, 4 bytes, of
/// nftables' BYTEORDER_HOST_ENDIAN).
fn host_order() -> Vec<u8> {
    let mut bytes = vec![0, 4];
    bytes.extend(1u32.to_ne_bytes());
    bytes
}

/// An element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) key: Vec<u8>,
    /// The first key behind an interval.
    pub(super) end: bool,
    pub(super) datum: Option<Vec<u8>>,
    pub(super) comment: Option<String>,
}

impl Element {
    fn of_key(key: Vec<u8>) -> Self {
        Self {
            key,
            end: false,
            datum: None,
            comment: None,
        }
    }

    /// Writes it as an element of a list; to remove one, its key is enough.
    pub(super) fn write(&self, list: &mut Attributes<'_>, whole: Whole) {
        list.nest(LIST_ELEMENT, |a| {
            a.nest(element::KEY, |a| {
                a.bytes(DATA_VALUE, &self.key);
            });
            if self.end {
                a.net_number(element::FLAGS, element::INTERVAL_END);
            }
            if whole == Whole::Key {
                return;
            }
            if let Some(datum) = &self.datum {
                a.nest(element::DATA, |a| {
                    a.bytes(DATA_VALUE, datum);
                });
            }
            if let Some(text) = &self.comment {
                a.bytes(element::USER_DATA, &comment(text));
            }
        });
    }

    pub(super) fn read(attributes: read::Attributes<'_>) -> Option<Self> {
        let flags = attributes.number(element::FLAGS).unwrap_or(0);
        Some(Self {
            key: attributes.data(element::KEY)?.to_vec(),
            end: flags & element::INTERVAL_END != 0,
            datum: attributes.data(element::DATA).map(<[u8]>::to_vec),
            comment: attributes.value(element::USER_DATA).and_then(comment_of),
        })
    }
}

/// How much of an element is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// The key alone.
    Key,
    /// Everything.
    Element,
}

/// Elements with the sets where they belong.
pub(super) type Elements = Vec<(Set, Element)>;

/// An interface's name as a key.
///
/// # Errors
/// The kernel would not take it as a name.
pub(super) fn interface(name: &str) -> Result<Vec<u8>, NftError> {
    let blank = |byte: u8| byte.is_ascii_whitespace() || byte == b'/' || byte == 0;
    let valid = (1..NAME).contains(&name.len()) && !name.bytes().any(blank);
    if !valid {
        return Err(NftError::Interface(name.to_owned()));
    }
    let mut key = name.as_bytes().to_vec();
    key.resize(NAME, 0);
    Ok(key)
}

/// The name in a key.
pub(super) fn interface_of(key: &[u8]) -> String {
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
    String::from_utf8_lossy(key.get(..end).unwrap_or_default()).into_owned()
}

/// The elements of a network.
///
/// # Errors
/// A name or a subnet of it is none.
pub(super) fn of_network(network: &Network) -> Result<Elements, NftError> {
    let shards = network.shards.iter();
    let bridges: Result<Vec<_>, _> = std::iter::once(&network.bridge)
        .chain(shards)
        .map(|name| interface(name))
        .collect();
    let bridges = bridges?;
    let mut elements = Elements::new();
    for bridge in &bridges {
        elements.push((Set::Bridges, Element::of_key(bridge.clone())));
        // Where bridged frames pass the packet filter, they come by one and leave by another.
        let pairs = bridges
            .iter()
            .map(|other| [&bridge[..], &other[..]].concat());
        elements.extend(pairs.map(|key| (Set::Within, Element::of_key(key))));
        if network.internal {
            elements.push((Set::Internal, Element::of_key(bridge.clone())));
        }
    }
    let shards = bridges.into_iter().skip(1);
    elements.extend(shards.map(|key| (Set::Shards, Element::of_key(key))));
    for subnet in &network.subnets {
        let family = family(subnet.addr());
        let interval = interval(*subnet);
        if network.masquerade && !network.internal {
            let masqueraded = interval.iter().cloned();
            elements.extend(masqueraded.map(|e| (Set::Masquerade(family), e)));
        }
        elements.extend(interval.into_iter().map(|e| (Set::Subnets(family), e)));
    }
    Ok(elements)
}

fn interval(subnet: IpNet) -> Vec<Element> {
    let (first, behind) = bounds(subnet);
    let mut elements = vec![Element::of_key(octets(first))];
    if let Some(behind) = behind {
        elements.push(Element {
            end: true,
            ..Element::of_key(octets(behind))
        });
    }
    elements
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The element of a published port.
///
/// # Errors
/// Its two addresses are not of one family, or the host's is ::1.
pub(super) fn of_published(port: &Published) -> Result<(Set, Element), NftError> {
    let own = family(port.container);
    if family(port.port.host_address) != own {
        return Err(NftError::Families {
            port: port.port,
            container: port.container,
        });
    }
    let mut key = Vec::new();
    let set = match port.host() {
        Some(host) if host == Ipv6Addr::LOCALHOST => return Err(NftError::Loopback(port.port)),
        Some(host) => {
            key.extend(octets(host));
            Set::PublishedAt(own)
        }
        None => Set::Published(own),
    };
    key.extend([number(port.port.transport), 0, 0, 0]);
    key.extend(padded(port.port.host_port));
    let mut datum = octets(port.container);
    datum.extend(padded(port.port.container_port));
    let element = Element {
        datum: Some(datum),
        comment: (!port.owner.is_empty()).then(|| port.owner.clone()),
        ..Element::of_key(key)
    };
    Ok((set, element))
}

/// A port in network order, padded.
fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// The published port of an element; `None` when it is not one of ours.
pub(super) fn published_of(set: Set, element: &Element) -> Option<Published> {
    let (family, host, rest) = match set {
        Set::Published(family) => (family, any(family), &element.key[..]),
        Set::PublishedAt(family) => {
            let (host, rest) = split_address(family, &element.key)?;
            (family, host, rest)
        }
        _ => return None,
    };
    let [transport, _, _, _, high, low, ..] = *rest else {
        return None;
    };
    let (container, port) = split_address(family, element.datum.as_deref()?)?;
    Some(Published {
        port: PublishedPort {
            transport: transport_of(transport)?,
            host_address: host,
            host_port: u16::from_be_bytes([high, low]),
            container_port: u16::from_be_bytes(*port.first_chunk()?),
        },
        container,
        owner: element.comment.clone().unwrap_or_default(),
    })
}

/// The address that stands for all of a family.
fn any(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn split_address(family: Family, bytes: &[u8]) -> Option<(IpAddr, &[u8])> {
    match family {
        Family::V4 => {
            let (address, rest) = bytes.split_first_chunk::<4>()?;
            Some((IpAddr::from(*address), rest))
        }
        Family::V6 => {
            let (address, rest) = bytes.split_first_chunk::<16>()?;
            Some((IpAddr::from(*address), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use berth_base::Transport;

    use super::*;

    #[test]
    fn types_are_concatenated_by_six_bits() {
        let Kind(number, length) = Set::PublishedAt(Family::V6).key();
        assert_eq!((number, length), (8 << 12 | 12 << 6 | 13, 24));
        let Kind(number, length) = Set::Published(Family::V4).datum().unwrap();
        assert_eq!((number, length), (7 << 6 | 13, 8));
    }

    fn published(host: &str, container: &str) -> Published {
        Published {
            port: PublishedPort {
                transport: Transport::Sctp,
                host_address: host.parse().unwrap(),
                host_port: 8080,
                container_port: 80,
            },
            container: container.parse().unwrap(),
            owner: "web".to_owned(),
        }
    }

    #[test]
    fn published_ports_come_back() {
        for (host, container) in [
            ("0.0.0.0", "172.17.0.2"),
            ("192.0.2.1", "172.17.0.2"),
            ("::", "fd00::2"),
            ("2001:db8::1", "fd00::2"),
        ] {
            let port = published(host, container);
            let (set, element) = of_published(&port).unwrap();
            assert_eq!(published_of(set, &element), Some(port));
        }
    }

    #[test]
    fn what_cannot_be_published_is_said() {
        for (host, container) in [
            ("::", "10.0.0.2"),
            ("2001:db8::1", "10.0.0.2"),
            ("0.0.0.0", "fd00::2"),
        ] {
            let error = of_published(&published(host, container)).unwrap_err();
            assert!(matches!(error, NftError::Families { .. }), "{error}");
        }
        let error = of_published(&published("::1", "fd00::2")).unwrap_err();
        insta::assert_snapshot!(error, @"cannot publish [::1]:8080->80/sctp: the kernel leads nothing from ::1 to another interface; publish it on 127.0.0.1");
    }

    #[test]
    fn interfaces_are_names() {
        assert_eq!(interface_of(&interface("berth0").unwrap()), "berth0");
        for bad in ["", "a/b", "a b", "sixteen-bytes-xx"] {
            assert!(interface(bad).is_err(), "{bad}");
        }
    }
}

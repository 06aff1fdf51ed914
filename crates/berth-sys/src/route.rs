//! rtnetlink(7) requests for the interfaces, addresses and routes of containers.
//!
//! Each function adds one message to a [`Batch`]; whoever sends it decides the namespace. What is
//! read is in `ask`, snapshots of all links in [`crate::links`].

mod ask;

use std::net::IpAddr;

use crate::batch::{Attributes, Batch};
pub use ask::{
    Outside, alias_of, default_routes, destinations, index_of, names, outside, port_number,
};

/// Attributes of links (linux/if_link.h) that libc does not name.
const VETH_INFO_PEER: u16 = 1;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BRPORT_MODE: u16 = 4;
/// linux/if_link.h: whether an interface makes itself a link-local address, and how.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const AF_INET6: u16 = 10;
/// How much TCP data may pass in one piece, by family and direction: made up of segments before it
/// leaves, put together after it came (IPv4's since Linux 6.3).
const IFLA_GSO_MAX_SIZE: u16 = 41;
const IFLA_GRO_MAX_SIZE: u16 = 58;
const IFLA_GSO_IPV4_MAX_SIZE: u16 = 63;
const IFLA_GRO_IPV4_MAX_SIZE: u16 = 64;
/// IFA_F_NODAD (linux/if_addr.h): nobody else can have what we hand out.
const IFA_F_NODAD: u8 = 0x02;

/// Flags of a message that makes something new.
const NEW: i32 = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;

/// What goes into a link that is made, besides its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewLink<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its hardware address; drawn by the kernel when absent.
    pub mac: Option<[u8; 6]>,
    /// Its MTU; the kind's own when absent.
    pub mtu: Option<u32>,
    /// The index of the bridge that it becomes a port of.
    pub master: Option<u32>,
    /// How many bytes of TCP pass it in one piece, the kernel's own 64 KiB when absent. What goes on
    /// by an interface that takes less is cut there.
    pub piece: Option<u32>,
}

/// In which network namespace the container's end is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of a process, by its PID in the sender's PID namespace.
    Process(u32),
    /// That of an open file of nsfs, by the number of the sender's descriptor.
    Descriptor(i32),
}

/// How interfaces share the link of their parent (linux/if_link.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedLink {
    /// macvlan, with MACVLAN_MODE_*.
    Macvlan(u32),
    /// ipvlan, with IPVLAN_MODE_*.
    Ipvlan(u16),
}

/// A bridge, up. Multicast snooping is off: without a querier it forgets listeners of IPv6
/// neighbour discovery.
pub fn add_bridge(batch: &mut Batch, link: &NewLink<'_>) {
    batch.message(libc::RTM_NEWLINK, NEW, &link_head(0, up(), up()), |a| {
        describe(a, link);
        a.nest(libc::IFLA_LINKINFO, |a| {
            a.text(libc::IFLA_INFO_KIND, "bridge");
            a.nest(libc::IFLA_INFO_DATA, |a| {
                a.bytes(IFLA_BR_MCAST_SNOOPING, &[0]);
            });
        });
    });
}

/// A pair of virtual Ethernet interfaces (veth(4)): one here, up; the other there, down.
pub fn add_pair(batch: &mut Batch, here: &NewLink<'_>, there: &NewLink<'_>, place: Place) {
    batch.message(libc::RTM_NEWLINK, NEW, &link_head(0, up(), up()), |a| {
        describe(a, here);
        a.nest(libc::IFLA_LINKINFO, |a| {
            a.text(libc::IFLA_INFO_KIND, "veth");
            a.nest(libc::IFLA_INFO_DATA, |a| {
                a.nest_after(VETH_INFO_PEER, &link_head(0, 0, 0), |a| {
                    describe(a, there);
                    put(a, place);
                });
            });
        });
    });
}

/// Keeps an interface from answering for the host's addresses (IFF_NOARP, netdevice(7)): a host
/// answers for all of them at each interface.
pub fn set_silent(batch: &mut Batch, index: u32) {
    let flag = libc::IFF_NOARP.cast_unsigned();
    let head = link_head(index, flag, flag);
    batch.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, &head, |_| {});
}

/// A pair of virtual Ethernet interfaces, both here, down.
pub fn add_joint(batch: &mut Batch, one: &NewLink<'_>, other: &NewLink<'_>) {
    batch.message(libc::RTM_NEWLINK, NEW, &link_head(0, 0, 0), |a| {
        describe(a, one);
        a.nest(libc::IFLA_LINKINFO, |a| {
            a.text(libc::IFLA_INFO_KIND, "veth");
            a.nest(libc::IFLA_INFO_DATA, |a| {
                a.nest_after(VETH_INFO_PEER, &link_head(0, 0, 0), |a| {
                    describe(a, other);
                });
            });
        });
    });
}

/// Makes an interface a port of a bridge, and brings it up.
pub fn set_port(batch: &mut Batch, index: u32, bridge: u32) {
    let head = link_head(index, up(), up());
    batch.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, &head, |a| {
        a.number(libc::IFLA_MASTER, bridge);
    });
}

/// An interface on the link of another one, made there, down.
pub fn add_shared(
    batch: &mut Batch,
    parent: u32,
    shared: SharedLink,
    there: &NewLink<'_>,
    place: Place,
) {
    batch.message(libc::RTM_NEWLINK, NEW, &link_head(0, 0, 0), |a| {
        describe(a, there);
        a.number(libc::IFLA_LINK, parent);
        put(a, place);
        a.nest(libc::IFLA_LINKINFO, |a| {
            let kind = match shared {
                SharedLink::Macvlan(_) => "macvlan",
                SharedLink::Ipvlan(_) => "ipvlan",
            };
            a.text(libc::IFLA_INFO_KIND, kind);
            a.nest(libc::IFLA_INFO_DATA, |a| match shared {
                SharedLink::Macvlan(mode) => {
                    a.number(IFLA_MACVLAN_MODE, mode);
                }
                SharedLink::Ipvlan(mode) => {
                    a.bytes(IFLA_IPVLAN_MODE, &mode.to_ne_bytes());
                }
            });
        });
    });
}

/// Lets more TCP data pass an interface in one piece. Refused with EINVAL for a bridge without ports
/// that take as much.
pub fn set_piece(batch: &mut Batch, index: u32, piece: u32) {
    let head = link_head(index, 0, 0);
    batch.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, &head, |a| {
        put_piece(a, piece);
    });
}

/// Brings an interface up.
pub fn set_up(batch: &mut Batch, index: u32) {
    let head = link_head(index, up(), up());
    batch.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, &head, |_| {});
}

/// Keeps an interface that is not up yet from making itself a link-local IPv6 address (`addrgenmode
/// none` of ip-link(8)). Refused with EAFNOSUPPORT in a kernel without IPv6.
pub fn set_no_link_local(batch: &mut Batch, index: u32) {
    let head = link_head(index, 0, 0);
    batch.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, &head, |a| {
        a.nest(libc::IFLA_AF_SPEC, |a| {
            a.nest(AF_INET6, |a| {
                a.bytes(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
            });
        });
    });
}

/// Lets a bridge send a frame back by the port that it came from. A packet to a container's own
/// published port takes that way where bridged frames pass the packet filter (br_netfilter). The
/// port is named, so that this can stand behind the request that makes it.
pub fn set_hairpin(batch: &mut Batch, port: &str) {
    let head = link_head(0, 0, 0);
    batch.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, &head, |a| {
        a.text(libc::IFLA_IFNAME, port);
        a.nest(libc::IFLA_LINKINFO, |a| {
            a.text(IFLA_INFO_SLAVE_KIND, "bridge");
            a.nest(IFLA_INFO_SLAVE_DATA, |a| {
                a.bytes(IFLA_BRPORT_MODE, &[1]);
            });
        });
    });
}

/// Writes a text for people, and for finding the interface again.
pub fn set_alias(batch: &mut Batch, index: u32, alias: &str) {
    let head = link_head(index, 0, 0);
    batch.message(libc::RTM_NEWLINK, libc::NLM_F_ACK, &head, |a| {
        // No NUL at its end: it would be shown.
        a.bytes(libc::IFLA_IFALIAS, alias.as_bytes());
    });
}

/// Removes an interface, and with one end of a pair the other.
pub fn delete_link(batch: &mut Batch, index: u32) {
    batch.message(
        libc::RTM_DELLINK,
        libc::NLM_F_ACK,
        &link_head(index, 0, 0),
        |_| {},
    );
}

/// Gives an interface an address, without asking the link whether somebody has it.
pub fn add_address(batch: &mut Batch, index: u32, address: IpAddr, prefix: u8) {
    let mut head = [family(address), prefix, 0, 0, 0, 0, 0, 0];
    if address.is_ipv6() {
        place(&mut head, 2, &[IFA_F_NODAD]);
    }
    place(&mut head, 4, &index.to_ne_bytes());
    batch.message(libc::RTM_NEWADDR, NEW, &head, |a| {
        with_octets(address, |bytes| {
            a.bytes(libc::IFA_LOCAL, bytes);
            a.bytes(libc::IFA_ADDRESS, bytes);
        });
        if let (IpAddr::V4(v4), 1..=30) = (address, prefix) {
            let all = u32::from(v4) | (u32::MAX >> prefix);
            a.bytes(libc::IFA_BROADCAST, &all.to_be_bytes());
        }
    });
}

/// The way to everywhere else. With `metric` the lower one of several wins; IPv4's default is 0,
/// IPv6's 1024.
pub fn add_default_route(batch: &mut Batch, index: u32, gateway: Option<IpAddr>, metric: u32) {
    let family = gateway.map_or_else(|| family_number(libc::AF_INET), family);
    // linux/rtnetlink.h, struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type,
    // flags. RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE or RT_SCOPE_LINK, RTN_UNICAST.
    let scope = if gateway.is_some() { 0 } else { 253 };
    let head = [family, 0, 0, 0, 254, 3, scope, 1, 0, 0, 0, 0];
    batch.message(libc::RTM_NEWROUTE, NEW, &head, |a| {
        if let Some(gateway) = gateway {
            with_octets(gateway, |bytes| {
                a.bytes(libc::RTA_GATEWAY, bytes);
            });
        }
        a.number(libc::RTA_OIF, index);
        if metric > 0 {
            a.number(libc::RTA_PRIORITY, metric);
        }
    });
}

fn describe(a: &mut Attributes<'_>, link: &NewLink<'_>) {
    a.text(libc::IFLA_IFNAME, link.name);
    if let Some(mac) = &link.mac {
        a.bytes(libc::IFLA_ADDRESS, mac);
    }
    if let Some(mtu) = link.mtu {
        a.number(libc::IFLA_MTU, mtu);
    }
    if let Some(master) = link.master {
        a.number(libc::IFLA_MASTER, master);
    }
    if let Some(piece) = link.piece {
        put_piece(a, piece);
    }
}

fn put_piece(a: &mut Attributes<'_>, piece: u32) {
    for kind in [
        IFLA_GSO_MAX_SIZE,
        IFLA_GRO_MAX_SIZE,
        IFLA_GSO_IPV4_MAX_SIZE,
        IFLA_GRO_IPV4_MAX_SIZE,
    ] {
        a.number(kind, piece);
    }
}

fn put(a: &mut Attributes<'_>, place: Place) {
    match place {
        Place::Process(pid) => a.number(libc::IFLA_NET_NS_PID, pid),
        Place::Descriptor(fd) => a.number(libc::IFLA_NET_NS_FD, fd.cast_unsigned()),
    };
}

/// `struct ifinfomsg`.
fn link_head(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut head = [0; 16];
    place(&mut head, 4, &index.to_ne_bytes());
    place(&mut head, 8, &flags.to_ne_bytes());
    place(&mut head, 12, &change.to_ne_bytes());
    head
}

const fn up() -> u32 {
    libc::IFF_UP.cast_unsigned()
}

fn family(address: IpAddr) -> u8 {
    family_number(match address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    })
}

/// Families fit in a byte.
fn family_number(family: i32) -> u8 {
    u8::try_from(family).unwrap_or(0)
}

fn with_octets(address: IpAddr, use_them: impl FnOnce(&[u8])) {
    match address {
        IpAddr::V4(v4) => use_them(&v4.octets()),
        IpAddr::V6(v6) => use_them(&v6.octets()),
    }
}

fn place(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (slot, byte) in bytes.iter_mut().skip(at).zip(value) {
        *slot = *byte;
    }
}

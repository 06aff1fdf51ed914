//! What a container's network namespace needs for 127.0.0.11 to answer on port 53.
//!
//! The sockets are on ports of their own, so that 53 stays free for a server of the container's:
//! a table of ours in its namespace turns 127.0.0.11:53 into their addresses, and conntrack turns
//! the answers back. Who calls is in the container's network namespace, with CAP_NET_ADMIN over
//! it. nft shows what becomes of it:
//!
//! ```text
//! table ip berth_dns {
//!     chain output {
//!         type nat hook output priority dstnat; policy accept;
//!         ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:40123
//!         ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:38123
//!     }
//! }
//! ```

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use berth_sys::batch::{Attributes, Batch};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with};

/// Where a container finds its resolver, on port 53.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
/// The port that the sockets have if it is free, as it is in a new namespace: the same for new ones
/// after a crash, so that what conntrack knows of a client that goes on with its old socket stays
/// right. Above the ports that the kernel hands out, where nobody's server is.
pub const BEHIND: u16 = 61_053;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;
const TABLE: &str = "berth_dns";
const CHAIN: &str = "output";

/// The sockets on which a container's questions arrive.
#[derive(Debug)]
pub struct Sockets {
    /// Bound to a port of 127.0.0.11.
    pub udp: OwnedFd,
    /// Listens on a port of 127.0.0.11.
    pub tcp: OwnedFd,
}

/// Opens the sockets in the caller's network namespace, whose loopback interface must be up.
///
/// # Errors
/// As socket(2), bind(2) and listen(2); EADDRNOTAVAIL where `lo` is down.
pub fn open_sockets() -> Result<Sockets, Errno> {
    let open = |kind| -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET, kind, flags, None)?;
        if kind == SocketType::STREAM {
            // Connections of an earlier listener may not be over.
            set_socket_reuseaddr(&socket, true)?;
        }
        match bind(&socket, &SocketAddrV4::new(ADDRESS, BEHIND)) {
            Err(Errno::ADDRINUSE) => bind(&socket, &SocketAddrV4::new(ADDRESS, 0))?,
            other => other?,
        }
        Ok(socket)
    };
    let udp = open(SocketType::DGRAM)?;
    let tcp = open(SocketType::STREAM)?;
    listen(&tcp, BACKLOG)?;
    Ok(Sockets { udp, tcp })
}

/// The transaction of [`redirect_to`] for these sockets.
///
/// # Errors
/// As getsockname(2).
pub fn redirect(sockets: &Sockets) -> Result<Batch, Errno> {
    let port = |socket: &OwnedFd| -> Result<u16, Errno> {
        Ok(SocketAddrV4::try_from(getsockname(socket)?)?.port())
    };
    Ok(redirect_to(port(&sockets.udp)?, port(&sockets.tcp)?))
}

/// The transaction for nfnetlink ([`berth_sys::batch::NetlinkSocket::netfilter`]) that leads
/// 127.0.0.11:53 to a UDP and a TCP port there. It replaces an earlier one, so that new sockets can
/// take over in a namespace that has the table already.
#[must_use]
pub fn redirect_to(udp: u16, tcp: u16) -> Batch {
    let mut batch = Batch::new();
    transaction(&mut batch, wire::BATCH_BEGIN);
    // Made, removed and made again: removing what is not there would be refused.
    for kind in [wire::NEW_TABLE, wire::DELETE_TABLE, wire::NEW_TABLE] {
        batch.message(kind, wire::CREATE, &head(wire::IPV4, 0), |a| {
            a.text(wire::TABLE_NAME, TABLE);
        });
    }
    batch.message(wire::NEW_CHAIN, wire::CREATE, &head(wire::IPV4, 0), |a| {
        a.text(wire::CHAIN_TABLE, TABLE)
            .text(wire::CHAIN_NAME, CHAIN)
            .text(wire::CHAIN_TYPE, "nat")
            .nest(wire::CHAIN_HOOK, |a| {
                a.net_number(wire::HOOK_NUMBER, wire::HOOK_OUTPUT)
                    .net_number(wire::HOOK_PRIORITY, wire::PRIORITY_DSTNAT);
            });
    });
    rule(&mut batch, wire::UDP, udp, 0);
    // The last message but the end asks for the answer.
    rule(&mut batch, wire::TCP, tcp, wire::ACK);
    transaction(&mut batch, wire::BATCH_END);
    batch
}

/// `ip daddr 127.0.0.11 PROTOCOL dport 53 dnat to 127.0.0.11:PORT`
fn rule(batch: &mut Batch, protocol: u8, port: u16, flags: i32) {
    let flags = flags | wire::CREATE | wire::APPEND;
    batch.message(wire::NEW_RULE, flags, &head(wire::IPV4, 0), |a| {
        a.text(wire::RULE_TABLE, TABLE)
            .text(wire::RULE_CHAIN, CHAIN)
            .nest(wire::RULE_EXPRESSIONS, |a| {
                // The destination in the IPv4 header.
                payload(a, wire::NETWORK_HEADER, 16, 4);
                compare(a, &ADDRESS.octets());
                expression(a, "meta", |a| {
                    a.net_number(wire::META_REGISTER, wire::REGISTER_1)
                        .net_number(wire::META_KEY, wire::META_L4PROTO);
                });
                compare(a, &[protocol]);
                // The destination's port, which UDP and TCP have at the same place.
                payload(a, wire::TRANSPORT_HEADER, 2, 2);
                compare(a, &PORT.to_be_bytes());
                immediate(a, wire::REGISTER_1, &ADDRESS.octets());
                immediate(a, wire::REGISTER_2, &port.to_be_bytes());
                expression(a, "nat", |a| {
                    a.net_number(wire::NAT_TYPE, wire::NAT_DESTINATION)
                        .net_number(wire::NAT_FAMILY, u32::from(wire::IPV4))
                        .net_number(wire::NAT_ADDRESS, wire::REGISTER_1)
                        .net_number(wire::NAT_PORT, wire::REGISTER_2);
                });
            });
    });
}

fn expression(a: &mut Attributes<'_>, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
    a.nest(wire::LIST_ELEMENT, |a| {
        a.text(wire::EXPRESSION_NAME, name)
            .nest(wire::EXPRESSION_DATA, data);
    });
}

fn payload(a: &mut Attributes<'_>, base: u32, offset: u32, length: u32) {
    expression(a, "payload", |a| {
        a.net_number(wire::PAYLOAD_REGISTER, wire::REGISTER_1)
            .net_number(wire::PAYLOAD_BASE, base)
            .net_number(wire::PAYLOAD_OFFSET, offset)
            .net_number(wire::PAYLOAD_LENGTH, length);
    });
}

fn compare(a: &mut Attributes<'_>, value: &[u8]) {
    expression(a, "cmp", |a| {
        a.net_number(wire::COMPARE_REGISTER, wire::REGISTER_1)
            .net_number(wire::COMPARE_OPERATOR, wire::EQUAL)
            .nest(wire::COMPARE_DATA, |a| {
                a.bytes(wire::DATA_VALUE, value);
            });
    });
}

fn immediate(a: &mut Attributes<'_>, register: u32, value: &[u8]) {
    expression(a, "immediate", |a| {
        a.net_number(wire::IMMEDIATE_REGISTER, register)
            .nest(wire::IMMEDIATE_DATA, |a| {
                a.bytes(wire::DATA_VALUE, value);
            });
    });
}

/// The begin or end of a transaction of nf_tables.
fn transaction(batch: &mut Batch, kind: u16) {
    batch.message(kind, 0, &head(0, wire::SUBSYSTEM), |_| {});
}

/// `struct nfgenmsg`: family, version, resource in network byte order.
fn head(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// Numbers of linux/netfilter/nfnetlink.h and linux/netfilter/nf_tables.h.
mod wire {
    /// NFNL_SUBSYS_NFTABLES.
    pub(super) const SUBSYSTEM: u16 = 10;
    /// NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END.
    pub(super) const BATCH_BEGIN: u16 = 16;
    pub(super) const BATCH_END: u16 = 17;
    /// NFT_MSG_*, each with the subsystem in the upper byte.
    pub(super) const NEW_TABLE: u16 = SUBSYSTEM << 8;
    pub(super) const DELETE_TABLE: u16 = (SUBSYSTEM << 8) + 2;
    pub(super) const NEW_CHAIN: u16 = (SUBSYSTEM << 8) + 3;
    pub(super) const NEW_RULE: u16 = (SUBSYSTEM << 8) + 6;
    /// NLM_F_ACK, NLM_F_CREATE, NLM_F_APPEND (linux/netlink.h).
    pub(super) const ACK: i32 = 4;
    pub(super) const CREATE: i32 = 0x400;
    pub(super) const APPEND: i32 = 0x800;
    /// NFPROTO_IPV4.
    pub(super) const IPV4: u8 = 2;
    /// IPPROTO_UDP and IPPROTO_TCP (linux/in.h).
    pub(super) const UDP: u8 = 17;
    pub(super) const TCP: u8 = 6;
    /// NFTA_TABLE_NAME.
    pub(super) const TABLE_NAME: u16 = 1;
    /// NFTA_CHAIN_*.
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const CHAIN_TYPE: u16 = 7;
    /// NFTA_HOOK_*; NF_INET_LOCAL_OUT; NF_IP_PRI_NAT_DST, -100.
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
    pub(super) const HOOK_OUTPUT: u32 = 3;
    pub(super) const PRIORITY_DSTNAT: u32 = (-100_i32).cast_unsigned();
    /// NFTA_RULE_*.
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    /// NFTA_LIST_ELEM; NFTA_EXPR_*.
    pub(super) const LIST_ELEMENT: u16 = 1;
    pub(super) const EXPRESSION_NAME: u16 = 1;
    pub(super) const EXPRESSION_DATA: u16 = 2;
    /// NFT_REG_1 and NFT_REG_2, each of 16 bytes.
    pub(super) const REGISTER_1: u32 = 1;
    pub(super) const REGISTER_2: u32 = 2;
    /// NFTA_PAYLOAD_*; NFT_PAYLOAD_NETWORK_HEADER and NFT_PAYLOAD_TRANSPORT_HEADER.
    pub(super) const PAYLOAD_REGISTER: u16 = 1;
    pub(super) const PAYLOAD_BASE: u16 = 2;
    pub(super) const PAYLOAD_OFFSET: u16 = 3;
    pub(super) const PAYLOAD_LENGTH: u16 = 4;
    pub(super) const NETWORK_HEADER: u32 = 1;
    pub(super) const TRANSPORT_HEADER: u32 = 2;
    /// NFTA_CMP_*; NFT_CMP_EQ; NFTA_DATA_VALUE.
    pub(super) const COMPARE_REGISTER: u16 = 1;
    pub(super) const COMPARE_OPERATOR: u16 = 2;
    pub(super) const COMPARE_DATA: u16 = 3;
    pub(super) const EQUAL: u32 = 0;
    pub(super) const DATA_VALUE: u16 = 1;
    /// NFTA_META_*; NFT_META_L4PROTO.
    pub(super) const META_REGISTER: u16 = 1;
    pub(super) const META_KEY: u16 = 2;
    pub(super) const META_L4PROTO: u32 = 16;
    /// NFTA_IMMEDIATE_*.
    pub(super) const IMMEDIATE_REGISTER: u16 = 1;
    pub(super) const IMMEDIATE_DATA: u16 = 2;
    /// NFTA_NAT_*; NFT_NAT_DNAT.
    pub(super) const NAT_TYPE: u16 = 1;
    pub(super) const NAT_FAMILY: u16 = 2;
    pub(super) const NAT_ADDRESS: u16 = 3;
    pub(super) const NAT_PORT: u16 = 5;
    pub(super) const NAT_DESTINATION: u32 = 1;
}

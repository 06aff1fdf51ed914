//! Reading of rtnetlink(7): one interface by its name, the names of all, where routes lead.
//!
//! One question each; snapshots of all links are in [`crate::links`].

use std::net::IpAddr;

use rustix::io::Errno;

use super::{IFLA_GSO_IPV4_MAX_SIZE, IFLA_INFO_SLAVE_DATA, link_head};
use crate::batch::{Batch, NetlinkSocket, Refusal};
use crate::netlink::{attribute_of, number, short};

/// Attribute of a bridge's port (linux/if_link.h) that libc does not name.
const IFLA_BRPORT_NO: u16 = 18;

/// An interface that others are connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Its index.
    pub index: u32,
    /// How many bytes of TCP over IPv4 pass it in one piece; `None` before Linux 6.3, where larger
    /// pieces than 64 KiB are not known.
    pub piece: Option<u32>,
}

/// The index of an interface; `None` where there is none of that name.
///
/// # Errors
/// As sendto(2) and recvfrom(2).
pub fn index_of(socket: &NetlinkSocket, name: &str) -> Result<Option<u32>, Refusal> {
    look(socket, name, |body| number(body, 4)).map(Option::flatten)
}

/// An interface that others are to be connected to; `None` where there is none of that name.
///
/// # Errors
/// As sendto(2) and recvfrom(2).
pub fn outside(socket: &NetlinkSocket, name: &str) -> Result<Option<Outside>, Refusal> {
    let read = |body: &[u8]| {
        let attributes = body.get(16..).unwrap_or_default();
        let piece = attribute_of(attributes, IFLA_GSO_IPV4_MAX_SIZE);
        Some(Outside {
            index: number(body, 4)?,
            piece: piece.and_then(|bytes| number(bytes, 0)),
        })
    };
    look(socket, name, read).map(Option::flatten)
}

/// The alias of an interface; `None` where there is no interface or no alias.
///
/// # Errors
/// As sendto(2) and recvfrom(2).
pub fn alias_of(socket: &NetlinkSocket, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let alias = |body: &[u8]| {
        let attributes = body.get(16..).unwrap_or_default();
        let text = attribute_of(attributes, libc::IFLA_IFALIAS)?;
        Some(text.strip_suffix(b"\0").unwrap_or(text).to_vec())
    };
    look(socket, name, alias).map(Option::flatten)
}

/// The number of a bridge's port, by its name; `None` where there is no such interface, or it is no
/// port. The kernel gives the lowest that is free, from 1 on.
///
/// # Errors
/// As sendto(2) and recvfrom(2).
pub fn port_number(socket: &NetlinkSocket, name: &str) -> Result<Option<u16>, Refusal> {
    let port = |body: &[u8]| {
        let attributes = body.get(16..).unwrap_or_default();
        let info = attribute_of(attributes, libc::IFLA_LINKINFO)?;
        let data = attribute_of(info, IFLA_INFO_SLAVE_DATA)?;
        short(attribute_of(data, IFLA_BRPORT_NO)?, 0)
    };
    look(socket, name, port).map(Option::flatten)
}

/// The names of all interfaces; with a bridge, of its ports.
///
/// # Errors
/// As sendto(2) and recvfrom(2).
pub fn names(socket: &NetlinkSocket, bridge: Option<u32>) -> Result<Vec<String>, Refusal> {
    let mut question = Batch::new();
    question.message(
        libc::RTM_GETLINK,
        libc::NLM_F_DUMP,
        &link_head(0, 0, 0),
        |a| {
            if let Some(bridge) = bridge {
                a.number(libc::IFLA_MASTER, bridge);
            }
        },
    );
    whole(socket, &question, |found, kind, body| {
        let attributes = body.get(16..).unwrap_or_default();
        let name = attribute_of(attributes, libc::IFLA_IFNAME);
        // A kernel that does not filter dumps all.
        let master = attribute_of(attributes, libc::IFLA_MASTER).and_then(|bytes| number(bytes, 0));
        if kind == libc::RTM_NEWLINK && (bridge.is_none() || master == bridge) {
            let name = name.map(|name| name.strip_suffix(b"\0").unwrap_or(name));
            found.extend(name.map(|name| String::from_utf8_lossy(name).into_owned()));
        }
    })
}

/// Asks for a dump until one was not disturbed by others' changes: EINTR stands for NLM_F_DUMP_INTR
/// (linux/netlink.h).
fn whole<T>(
    socket: &NetlinkSocket,
    question: &Batch,
    mut each: impl FnMut(&mut Vec<T>, u16, &[u8]),
) -> Result<Vec<T>, Refusal> {
    const TRIES: usize = 100;
    let mut last = Refusal::from(Errno::INTR);
    for _ in 0..TRIES {
        let mut found = Vec::new();
        match socket.ask(question, |kind, body| each(&mut found, kind, body)) {
            Ok(()) => return Ok(found),
            Err(refusal) if refusal.errno == Errno::INTR => last = refusal,
            Err(refusal) => return Err(refusal),
        }
    }
    Err(last)
}

/// Where the routes of all tables lead: addresses and lengths of prefixes (RTM_GETROUTE).
///
/// # Errors
/// As sendto(2) and recvfrom(2).
pub fn destinations(socket: &NetlinkSocket) -> Result<Vec<(IpAddr, u8)>, Refusal> {
    /// RTN_UNICAST, behind the other bytes of struct rtmsg.
    const UNICAST: u8 = 1;
    let mut question = Batch::new();
    question.message(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &[0; 12], |_| {});
    whole(socket, &question, |found, kind, body| {
        let [family, prefix, _, _, _, _, _, UNICAST, ..] = *body else {
            return;
        };
        let destination = attribute_of(body.get(12..).unwrap_or_default(), libc::RTA_DST);
        let address = match (i32::from(family), destination) {
            (libc::AF_INET, Some(bytes)) => bytes.first_chunk::<4>().map(|b| IpAddr::from(*b)),
            (libc::AF_INET6, Some(bytes)) => bytes.first_chunk::<16>().map(|b| IpAddr::from(*b)),
            _ => None,
        };
        if kind == libc::RTM_NEWROUTE {
            found.extend(address.map(|address| (address, prefix)));
        }
    })
}

/// Whether the main table has a default route for IPv4, and one for IPv6 (RTM_GETROUTE).
///
/// # Errors
/// As sendto(2) and recvfrom(2).
pub fn default_routes(socket: &NetlinkSocket) -> Result<(bool, bool), Refusal> {
    /// RTN_UNICAST, behind the other bytes of struct rtmsg.
    const UNICAST: u8 = 1;
    const MAIN: u8 = libc::RT_TABLE_MAIN;
    let mut question = Batch::new();
    question.message(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &[0; 12], |_| {});
    let mut found = (false, false);
    socket.ask(&question, |kind, body| {
        let [family, 0, _, _, MAIN, _, _, UNICAST, ..] = *body else {
            return;
        };
        match i32::from(family) {
            libc::AF_INET if kind == libc::RTM_NEWROUTE => found.0 = true,
            libc::AF_INET6 if kind == libc::RTM_NEWROUTE => found.1 = true,
            _ => {}
        }
    })?;
    Ok(found)
}

/// Asks for one interface (RTM_GETLINK).
fn look<T>(
    socket: &NetlinkSocket,
    name: &str,
    read: impl Fn(&[u8]) -> T,
) -> Result<Option<T>, Refusal> {
    let mut question = Batch::new();
    question.message(libc::RTM_GETLINK, 0, &link_head(0, 0, 0), |a| {
        a.text(libc::IFLA_IFNAME, name);
    });
    let mut found = None;
    let asked = socket.ask(&question, |kind, body| {
        if kind == libc::RTM_NEWLINK {
            found = Some(read(body));
        }
    });
    match asked {
        Ok(()) => Ok(found),
        Err(refusal) if refusal.errno == Errno::NODEV => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

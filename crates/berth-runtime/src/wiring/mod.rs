//! Interfaces of a container: the host's ends made by one request each, the container's ends
//! addressed from inside.
//!
//! Who we are: the stage while init composes its root, or the engine connecting a running
//! container. We have CAP_NET_ADMIN in both network namespaces and one thread, and are in the host's
//! network namespace before and after. What is half done when something fails goes with the
//! container's namespace; the host has no interface that is not one end of a pair.

pub(crate) mod helper;
mod resolver;

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};

use berth_base::state::{ResolverRequest, WiredInterface, WiredLink, Wiring};
use berth_base::{ErrorClass, HostPid};
use berth_sys::batch::{Batch, NetlinkSocket, Refusal};
use berth_sys::route::{self, NewLink, Outside, Place, SharedLink};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use resolver::Ends;

/// How many bytes of TCP pass a bridge and its pairs in one piece: a hop costs about the same for a
/// piece of any size, and by way of a bridge there is one hop more than through a pair alone. What
/// leaves by an interface that takes less is cut there.
const PIECE: u32 = 192 << 10;

/// A container could not be connected.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The interface that a network stands on is gone.
    #[error("cannot connect {inside} to {outside}: there is no such interface on this host")]
    Gone {
        /// The container's interface.
        inside: String,
        /// The host's.
        outside: String,
    },
    /// The kernel refused a request.
    #[error("cannot {what} {interface}: {why}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The container's interface.
        interface: String,
        /// The kernel's answer.
        why: Refusal,
    },
    /// The resolver did not take the container.
    #[error("cannot have names looked up for the container: the resolver did not take it: {0}")]
    Resolver(std::io::Error),
    /// The program that carries the packets of a user's container did not get ready.
    #[error(
        "{name} cannot connect the container: {why}; \"--network none\" does without a connection"
    )]
    Helper {
        /// The program.
        name: String,
        /// What it said, or what could not be done for it.
        why: String,
    },
    /// The container's namespace could not be entered, or ours not again.
    #[error("cannot enter the container's network namespace: {0}")]
    Enter(std::io::Error),
}

impl WiringError {
    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Gone { .. } => ErrorClass::Conflict,
            Self::Refused { why, .. } => match why.errno {
                Errno::PERM | Errno::ACCESS => ErrorClass::Denied,
                Errno::OPNOTSUPP | Errno::AFNOSUPPORT => ErrorClass::Unsupported,
                Errno::EXIST | Errno::BUSY => ErrorClass::Conflict,
                _ => ErrorClass::Unavailable,
            },
            Self::Helper { .. } => ErrorClass::Unavailable,
            Self::Enter(_) | Self::Resolver(_) => ErrorClass::Internal,
        }
    }
}

/// Connects the network namespace of a process, from that of the caller. The process's pidfd tells
/// the resolver when the container has ended.
///
/// # Errors
/// As [`WiringError`] says; interfaces that were made before stay.
pub fn connect(
    process: HostPid,
    pidfd: BorrowedFd<'_>,
    wiring: &Wiring,
    resolver: Option<&ResolverRequest>,
) -> Result<(), WiringError> {
    // Taps are made by who carries their packets (`helper`).
    let is_tap = |i: &WiredInterface| matches!(i.link, WiredLink::Tap { .. });
    if wiring.interfaces.iter().all(is_tap) {
        return Ok(());
    }
    make_interfaces(process, &wiring.interfaces)?;
    let (socket, ends) = inside(process, || {
        let ends = resolver.map(Ends::open).transpose()?;
        Ok((NetlinkSocket::route()?, ends))
    })?;
    for interface in &wiring.interfaces {
        configure(&socket, interface)?;
    }
    match (resolver, ends) {
        (Some(request), Some(ends)) => ends.hand_over(request, pidfd),
        _ => Ok(()),
    }
}

/// Takes an interface away from a running container, and with it the host's end. One that is gone is
/// fine.
///
/// # Errors
/// As [`WiringError`] says.
pub fn disconnect(process: HostPid, interface: &str) -> Result<(), WiringError> {
    let refused = |why: Refusal| WiringError::Refused {
        what: "remove the interface",
        interface: interface.to_owned(),
        why,
    };
    let socket = inside(process, NetlinkSocket::route)?;
    let Some(index) = route::index_of(&socket, interface).map_err(refused)? else {
        return Ok(());
    };
    let mut batch = Batch::new();
    route::delete_link(&mut batch, index);
    let bytes = batch.bytes().map_err(|errno| refused(errno.into()))?;
    match socket.perform(bytes) {
        Err(why) if why.errno == Errno::NODEV => Ok(()),
        other => other.map_err(refused),
    }
}

/// Has a running container served by the resolver, in place of one that is gone.
///
/// # Errors
/// As [`WiringError`] says.
pub fn reconnect_resolver(
    process: HostPid,
    pidfd: BorrowedFd<'_>,
    request: &ResolverRequest,
) -> Result<(), WiringError> {
    inside(process, || Ends::open(request))?.hand_over(request, pidfd)
}

/// Makes all interfaces in one batch; they appear in the container's namespace, down.
fn make_interfaces(process: HostPid, interfaces: &[WiredInterface]) -> Result<(), WiringError> {
    let first = interfaces.first().map_or("eth0", |i| i.name.as_str());
    let refused = |index: usize, why: Refusal| WiringError::Refused {
        what: "make the interface",
        interface: interfaces.get(index).map_or(first.to_owned(), described),
        why,
    };
    let socket = NetlinkSocket::route().map_err(|errno| refused(0, errno.into()))?;
    let mut batch = Batch::new();
    // Which interface each message is about.
    let mut subjects = Vec::new();
    // Bridges with no port as yet that takes larger pieces.
    let mut narrow = Batch::new();
    for (at, interface) in interfaces.iter().enumerate() {
        let outside = match &interface.link {
            WiredLink::Pair { bridge, .. } => bridge,
            WiredLink::Macvlan { parent, .. } | WiredLink::Ipvlan { parent, .. } => parent,
            WiredLink::Tap { .. } => continue,
        };
        let found = route::outside(&socket, outside).map_err(|why| refused(at, why))?;
        let found = found.ok_or_else(|| WiringError::Gone {
            inside: interface.name.clone(),
            outside: outside.clone(),
        })?;
        request(&mut batch, interface, found, process);
        let wide = piece(&interface.link, found);
        if let Some(piece) = wide.filter(|piece| found.piece < Some(*piece)) {
            route::set_piece(&mut narrow, found.index, piece);
        }
        subjects.resize(usize::try_from(batch.len()).unwrap_or(usize::MAX), at);
    }
    let bytes = batch.bytes().map_err(|errno| refused(0, errno.into()))?;
    socket.perform(bytes).map_err(|why| {
        let index = why.index.and_then(|index| usize::try_from(index).ok());
        let at = index.and_then(|index| subjects.get(index));
        refused(at.copied().unwrap_or(0), why)
    })?;
    // Refused where a port that somebody else put there cannot: then the host sends smaller ones.
    if let Ok(bytes) = narrow.bytes() {
        drop(socket.perform(bytes));
    }
    Ok(())
}

/// An interface with what the kernel may not have of it.
fn described(interface: &WiredInterface) -> String {
    let name = &interface.name;
    match &interface.link {
        WiredLink::Pair { .. } | WiredLink::Tap { .. } => name.clone(),
        WiredLink::Macvlan { parent, .. } => format!("{name} (macvlan on {parent})"),
        WiredLink::Ipvlan { parent, .. } => format!("{name} (ipvlan on {parent})"),
    }
}

/// One interface, below or on `outside`.
fn request(batch: &mut Batch, interface: &WiredInterface, outside: Outside, process: HostPid) {
    let Outside { index, .. } = outside;
    let piece = piece(&interface.link, outside);
    let place = Place::Process(process.get());
    let there = NewLink {
        name: &interface.name,
        mac: interface.mac.map(berth_base::MacAddress::bytes),
        mtu: interface.mtu,
        piece,
        ..NewLink::default()
    };
    match &interface.link {
        WiredLink::Pair { host_interface, .. } => {
            let here = NewLink {
                name: host_interface,
                mtu: interface.mtu,
                master: Some(index),
                piece,
                ..NewLink::default()
            };
            route::add_pair(batch, &here, &there, place);
            route::set_hairpin(batch, host_interface);
        }
        WiredLink::Macvlan { mode, .. } => {
            route::add_shared(batch, index, SharedLink::Macvlan(*mode), &there, place);
        }
        WiredLink::Ipvlan { mode, .. } => {
            route::add_shared(batch, index, SharedLink::Ipvlan(*mode), &there, place);
        }
        WiredLink::Tap { .. } => {}
    }
}

/// What an interface takes in one piece, where that is more than the kernel's own. Only on kernels that
/// have it for IPv4, too (BIG TCP, Linux 6.3): their packet filter knows since then that the length of
/// a packet may not fit the 16 bits of its header.
fn piece(link: &WiredLink, outside: Outside) -> Option<u32> {
    match link {
        WiredLink::Pair { big_tcp: true, .. } => outside.piece.map(|now| now.max(PIECE)),
        _ => None,
    }
}

/// Does something in the network namespace of a process: sockets made there act there wherever we
/// are afterwards.
fn inside<T>(process: HostPid, work: impl FnOnce() -> Result<T, Errno>) -> Result<T, WiringError> {
    let enter = |errno: Errno| WiringError::Enter(errno.into());
    // by path: procfs of the host
    let theirs = File::open(format!("/proc/{process}/ns/net")).map_err(WiringError::Enter)?;
    // by path: procfs of the host
    let ours = File::open("/proc/self/ns/net").map_err(WiringError::Enter)?;
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(theirs.as_fd(), network).map_err(enter)?;
    let done = work();
    move_into_link_name_space(ours.as_fd(), network).map_err(enter)?;
    done.map_err(enter)
}

/// A container on a bridge that has no IPv6 gets no link-local address either: what it sends for one
/// when it starts (neighbours and routers asked for, groups joined) goes to every port of the bridge,
/// and is dealt with in each of the containers there.
fn is_ipv4_alone(interface: &WiredInterface) -> bool {
    let is_ipv6 = |(address, _): &(IpAddr, u8)| address.is_ipv6();
    matches!(interface.link, WiredLink::Pair { .. }) && !interface.addresses.iter().any(is_ipv6)
}

/// Addresses, up, routes: in this order, since a route needs its interface up.
fn configure(inside: &NetlinkSocket, interface: &WiredInterface) -> Result<(), WiringError> {
    let refused = |why: Refusal| WiringError::Refused {
        what: "set up the interface",
        interface: interface.name.clone(),
        why,
    };
    let index = route::index_of(inside, &interface.name).map_err(refused)?;
    let index = index.ok_or_else(|| refused(Errno::NODEV.into()))?;
    if is_ipv4_alone(interface) {
        let mut batch = Batch::new();
        route::set_no_link_local(&mut batch, index);
        let bytes = batch.bytes().map_err(|errno| refused(errno.into()))?;
        // A kernel without IPv6 has nothing to keep quiet.
        drop(inside.perform(bytes));
    }
    let mut batch = Batch::new();
    for (address, prefix) in &interface.addresses {
        route::add_address(&mut batch, index, *address, *prefix);
    }
    route::set_up(&mut batch, index);
    for gateway in &interface.gateways {
        route::add_default_route(&mut batch, index, Some(*gateway), interface.metric);
    }
    let bytes = batch.bytes().map_err(|errno| refused(errno.into()))?;
    inside.perform(bytes).map_err(refused)
}

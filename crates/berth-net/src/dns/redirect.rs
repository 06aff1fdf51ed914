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

use berth_sys::batch::Batch;
use berth_sys::net::serve_at;
use rustix::io::Errno;
use rustix::net::{SocketType, getsockname};

use crate::nft::{self, Before};

/// Where a container finds its resolver, on port 53.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
/// The port that the sockets have if it is free, as it is in a new namespace: the same for new ones
/// after a crash, so that what conntrack knows of a client that goes on with its old socket stays
/// right. Above the ports that the kernel hands out, where nobody's server is.
pub const BEHIND: u16 = 61_053;

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
    let open = |kind| match serve_at(kind, SocketAddrV4::new(ADDRESS, BEHIND)) {
        Err(Errno::ADDRINUSE) => serve_at(kind, SocketAddrV4::new(ADDRESS, 0)),
        other => other,
    };
    let udp = open(SocketType::DGRAM)?;
    let tcp = open(SocketType::STREAM)?;
    Ok(Sockets { udp, tcp })
}

/// The transaction of [`redirect_behind`] for these sockets. It replaces an earlier one, so that new
/// sockets can take over in a namespace that has the table already.
///
/// # Errors
/// As getsockname(2).
pub fn redirect(sockets: &Sockets) -> Result<Batch, Errno> {
    let port = |socket: &OwnedFd| -> Result<u16, Errno> {
        Ok(SocketAddrV4::try_from(getsockname(socket)?)?.port())
    };
    let ports = [port(&sockets.udp)?, port(&sockets.tcp)?];
    Ok(nft::lead(ADDRESS, PORT, ports, Before::Perhaps).batch())
}

/// The transaction for nfnetlink ([`berth_sys::batch::NetlinkSocket::netfilter`]) that leads
/// 127.0.0.11:53 to [`BEHIND`] there.
#[must_use]
pub fn redirect_behind(before: Before) -> Batch {
    nft::lead(ADDRESS, PORT, [BEHIND, BEHIND], before).batch()
}

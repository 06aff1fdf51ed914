//! Ports of the host: reserved by sockets, and who has them.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;

use berth_base::Transport;
use berth_sys::links::{self, ListeningSocket};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt,
};

/// A port could not be reserved.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody has it.
    #[error("it is taken")]
    Taken,
    /// The host has no such address.
    #[error("{0} is no address of this host")]
    NotOurs(IpAddr),
    /// The kernel has none to give.
    #[error("no port is free")]
    NoneFree,
    /// Anything else.
    #[error("{0}")]
    Other(io::Error),
}

/// Binds a socket to a port, 0 for one of the kernel's choice. As long as any process has the
/// socket nobody else can be bound there.
///
/// # Errors
/// As [`PortError`] says.
pub fn reserve(
    transport: Transport,
    address: IpAddr,
    port: u16,
) -> Result<(u16, OwnedFd), PortError> {
    match bound(transport, address, port, Reuse::No) {
        // Past connections of the port that are not forgotten yet (TIME_WAIT) are in nobody's way.
        Err(PortError::Taken) if transport != Transport::Udp => {
            bound(transport, address, port, Reuse::Yes)
        }
        other => other,
    }
}

/// Whether SO_REUSEADDR is set (socket(7)).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reuse {
    /// Alone by being bound. What reaches the port nevertheless is refused at once.
    No,
    /// Alone by listening: two that are merely bound could have the same port.
    Yes,
}

fn bound(
    transport: Transport,
    address: IpAddr,
    port: u16,
    reuse: Reuse,
) -> Result<(u16, OwnedFd), PortError> {
    let other = |errno: Errno| PortError::Other(errno.into());
    let family = match address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let (kind, protocol) = match transport {
        Transport::Tcp => (SocketType::STREAM, None),
        Transport::Udp => (SocketType::DGRAM, None),
        Transport::Sctp => (SocketType::STREAM, Some(rustix::net::ipproto::SCTP)),
    };
    let socket =
        socket_with(family, kind, SocketFlags::CLOEXEC, protocol).map_err(|errno| {
            match (errno, address) {
                (Errno::AFNOSUPPORT, IpAddr::V6(_)) => PortError::NotOurs(address),
                _ => other(errno),
            }
        })?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true).map_err(other)?;
    }
    if reuse == Reuse::Yes {
        sockopt::set_socket_reuseaddr(&socket, true).map_err(other)?;
    }
    bind(&socket, &SocketAddr::new(address, port)).map_err(|errno| refused(errno, address))?;
    if reuse == Reuse::Yes {
        listen(&socket, 0).map_err(|errno| refused(errno, address))?;
    }
    let bound = getsockname(&socket).map_err(other)?;
    let bound = SocketAddr::try_from(bound).map_err(other)?;
    Ok((bound.port(), socket))
}

fn refused(errno: Errno, address: IpAddr) -> PortError {
    match errno {
        Errno::ADDRINUSE => PortError::Taken,
        Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT => PortError::NotOurs(address),
        _ => PortError::Other(errno.into()),
    }
}

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its PID.
    pub pid: u32,
    /// What it calls itself.
    pub name: String,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)
    }
}

/// Who listens on a port of the caller's network namespace, as far as the caller may see it.
#[must_use]
pub fn listener(transport: Transport, port: u16) -> Option<Listener> {
    let kind = match transport {
        Transport::Tcp => links::Transport::Tcp,
        Transport::Udp => links::Transport::Udp,
        Transport::Sctp => return None,
    };
    let sockets = links::listening_sockets(kind).ok()?;
    let socket: &ListeningSocket = sockets.iter().find(|socket| socket.port == port)?;
    owner(socket.inode)
}

/// The process that has a socket open.
fn owner(inode: u64) -> Option<Listener> {
    let wanted = format!("socket:[{inode}]");
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let pid: Option<u32> = entry.file_name().to_str().and_then(|n| n.parse().ok());
        let Some(pid) = pid else {
            continue;
        };
        let Ok(fds) = std::fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let has = fds
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link == Path::new(&wanted)));
        if has {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(Listener {
                pid,
                name: berth_base::escape_untrusted(name.trim_end()).into_owned(),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_reserved_port_is_nobody_elses() {
        let (port, socket) = reserve(Transport::Tcp, LOOPBACK, 0).unwrap();
        assert!(matches!(
            reserve(Transport::Tcp, LOOPBACK, port),
            Err(PortError::Taken)
        ));
        assert!(TcpListener::bind((LOOPBACK, port)).is_err());
        // Nobody is there, and who asks hears that at once.
        let refused = TcpStream::connect((LOOPBACK, port)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        drop(socket);
        TcpListener::bind((LOOPBACK, port)).unwrap();
    }

    #[test]
    fn udp_is_apart_from_tcp() {
        let (port, _socket) = reserve(Transport::Udp, LOOPBACK, 0).unwrap();
        assert!(UdpSocket::bind((LOOPBACK, port)).is_err());
        assert!(matches!(
            reserve(Transport::Udp, LOOPBACK, port),
            Err(PortError::Taken)
        ));
    }

    #[test]
    fn a_port_with_remembered_connections_is_free() {
        let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        // The server's side closes first and remembers the connection.
        drop(server);
        drop(client);
        drop(listener);
        reserve(Transport::Tcp, LOOPBACK, address.port()).unwrap();
    }

    #[test]
    fn an_address_of_others_is_said_to_be_one() {
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert!(matches!(
            reserve(Transport::Tcp, other, 0),
            Err(PortError::NotOurs(_))
        ));
    }

    #[test]
    fn who_listens_is_found() {
        let taken = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(
            reserve(Transport::Tcp, LOOPBACK, port),
            Err(PortError::Taken)
        ));
        let found = listener(Transport::Tcp, port).unwrap();
        assert_eq!(found.pid, std::process::id());
    }
}

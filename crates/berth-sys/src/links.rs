//! rtnetlink(7) and sock_diag(7), as far as reading interfaces and listening sockets needs them.
//!
//! A socket acts in the namespace in which it was made. From there it can ask about the links and
//! addresses of another one that has a number (nsid) in its own table, without entering it
//! (IFLA_TARGET_NETNSID, 4.15; IFA_TARGET_NETNSID, 4.20). A number is a change of that table, and
//! reading a link gives one to the namespace at its other end; so whoever wants to change nothing
//! asks from [`private_socket`].

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};

use crate::clone::last_errno;
use crate::namespace::unshare_namespaces;
use crate::netlink::{Message, Reply, answers, attribute_of, number, short};

/// IFLA_TARGET_NETNSID (linux/if_link.h) and IFA_TARGET_NETNSID (linux/if_addr.h).
const IFLA_TARGET_NETNSID: u16 = 46;
const IFA_TARGET_NETNSID: u16 = 10;
/// NETNSA_NSID and NETNSA_FD (linux/net_namespace.h).
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;
/// RTM_NEWNSID and RTM_GETNSID (linux/rtnetlink.h).
const RTM_NEWNSID: u16 = 88;
const RTM_GETNSID: u16 = 90;

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name, as bytes.
    pub name: Vec<u8>,
    /// IFLA_INFO_KIND: `veth`, `bridge` and so on.
    pub kind: Option<Vec<u8>>,
    /// IFF_* (netdevice(7)).
    pub flags: u32,
    /// The index of the interface that it is a port of.
    pub master: Option<u32>,
    /// The index of the interface that it is linked to.
    pub link: Option<u32>,
    /// The number of the namespace where that is, in the table of the asking socket's namespace;
    /// `None` is the same namespace.
    pub link_namespace: Option<i32>,
    /// Its hardware address; empty where the link has none.
    pub address: Vec<u8>,
    /// The most bytes of a packet.
    pub mtu: Option<u32>,
    /// IFLA_IFALIAS: what somebody noted down beside it.
    pub alias: Option<Vec<u8>>,
}

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The index of the interface.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
}

/// One socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListeningSocket {
    /// The local address.
    pub address: IpAddr,
    /// The local port.
    pub port: u16,
    /// Its inode number.
    pub inode: u64,
}

/// A protocol of which [`listening_sockets`] lists sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, in state LISTEN.
    Tcp,
    /// UDP, bound and not connected.
    Udp,
}

/// A netlink socket in a new network namespace that nobody is in, and that goes away with it.
///
/// A thread of ours makes both and ends; no thread that the caller knows changes its namespace.
/// About 0.4 ms. Fails with EPERM without CAP_SYS_ADMIN, ENOPROTOOPT
/// before 4.20.
pub fn private_socket() -> Result<OwnedFd, Errno> {
    let make = || {
        let flag = u64::from(libc::CLONE_NEWNET.cast_unsigned());
        unshare_namespaces(flag)?;
        let socket = crate::netlink::open()?;
        demand_strictness(&socket)?;
        Ok(socket)
    };
    let builder = std::thread::Builder::new().name("netlink".to_owned());
    let thread = builder.spawn(make).map_err(|_| Errno::AGAIN)?;
    thread.join().map_err(|_| Errno::AGAIN)?
}

/// Makes the kernel read the attributes of dump requests (NETLINK_GET_STRICT_CHK, 4.20): without
/// it, a request for the addresses of another namespace is answered with those of our own.
fn demand_strictness(socket: &OwnedFd) -> Result<(), Errno> {
    const NETLINK_GET_STRICT_CHK: libc::c_int = 12;
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(|_| Errno::INVAL)?;
    // SAFETY: the option is an int; `on` is a live one, and `length` says its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            NETLINK_GET_STRICT_CHK,
            (&raw const on).cast(),
            length,
        )
    };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Gives a namespace a number in the table of the socket's namespace (RTM_NEWNSID, 4.0).
///
/// Fails with EEXIST when it has one or the number is taken, EPERM without CAP_NET_ADMIN there.
pub fn assign_number(
    socket: BorrowedFd<'_>,
    namespace: BorrowedFd<'_>,
    id: i32,
) -> Result<(), Errno> {
    // struct rtgenmsg, padded.
    let mut message = Message::new(RTM_NEWNSID, 0, &[0; 4]);
    message.attribute(NETNSA_NSID, &id.to_ne_bytes())?;
    message.attribute(NETNSA_FD, &namespace.as_raw_fd().to_ne_bytes())?;
    message.perform(socket)
}

/// The number of a namespace in the table of the socket's namespace (RTM_GETNSID, 4.0); `None`
/// when it has none. Gives none either.
///
/// Fails with EINVAL when the descriptor is no network namespace.
pub fn number_of(socket: BorrowedFd<'_>, namespace: BorrowedFd<'_>) -> Result<Option<i32>, Errno> {
    let mut message = Message::question(RTM_GETNSID, &[0; 4]);
    message.attribute(NETNSA_FD, &namespace.as_raw_fd().to_ne_bytes())?;
    message.send(socket)?;
    let mut found = None;
    answers(socket, Reply::Single, |kind, body| {
        if kind == RTM_NEWNSID {
            // struct rtgenmsg, padded. NETNSA_NSID_NOT_ASSIGNED is -1.
            let value = attribute_of(body.get(4..).unwrap_or_default(), NETNSA_NSID);
            found = value
                .and_then(|value| number(value, 0))
                .map(u32::cast_signed);
        }
        Ok(())
    })?;
    match found {
        Some(number) => Ok((number >= 0).then_some(number)),
        None => Err(Errno::BADMSG),
    }
}

/// The interfaces of the socket's namespace, or of the one with a number (RTM_GETLINK).
///
/// Fails with EINVAL when there is no such number, EPERM or EACCES without CAP_NET_ADMIN over that
/// namespace, EOPNOTSUPP on kernels that cannot ask about another one.
pub fn links(socket: BorrowedFd<'_>, target: Option<i32>) -> Result<Vec<Link>, Errno> {
    /// RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h, 4.4): a fifth of the bytes.
    const SKIP_STATS: u32 = 1 << 3;
    let mut message = Message::dump(libc::RTM_GETLINK, &[0; LINK]);
    message.attribute(libc::IFLA_EXT_MASK, &SKIP_STATS.to_ne_bytes())?;
    if let Some(id) = target {
        message.attribute(IFLA_TARGET_NETNSID, &id.to_ne_bytes())?;
    }
    message.send(socket)?;
    let mut found = Vec::new();
    answers(socket, Reply::Many, |kind, body| {
        if kind == libc::RTM_NEWLINK {
            found.push(read_link(body).ok_or(Errno::BADMSG)?);
        }
        Ok(())
    })?;
    Ok(found)
}

const LINK: usize = 16;
const ADDRESS: usize = 8;

/// Takes RTM_NEWLINK apart.
fn read_link(body: &[u8]) -> Option<Link> {
    let rest = body.get(LINK..)?;
    let word = |kind| attribute_of(rest, kind).and_then(|value| number(value, 0));
    let text = |value: &[u8]| value.strip_suffix(b"\0").unwrap_or(value).to_vec();
    let info = attribute_of(rest, libc::IFLA_LINKINFO).unwrap_or_default();
    Some(Link {
        index: number(body, 4)?,
        name: text(attribute_of(rest, libc::IFLA_IFNAME)?),
        kind: attribute_of(info, libc::IFLA_INFO_KIND).map(text),
        flags: number(body, 8)?,
        master: word(libc::IFLA_MASTER),
        // 0 is the other end that is gone, or that the kernel does not name.
        link: word(libc::IFLA_LINK).filter(|index| *index != 0),
        link_namespace: word(libc::IFLA_LINK_NETNSID).map(u32::cast_signed),
        address: attribute_of(rest, libc::IFLA_ADDRESS).map_or_else(Vec::new, <[u8]>::to_vec),
        mtu: word(libc::IFLA_MTU),
        alias: attribute_of(rest, libc::IFLA_IFALIAS).map(text),
    })
}

/// The addresses of all interfaces of the socket's namespace, or of the one with a number
/// (RTM_GETADDR). Fails as [`links`] does.
pub fn addresses(socket: BorrowedFd<'_>, target: Option<i32>) -> Result<Vec<LinkAddress>, Errno> {
    let mut message = Message::dump(libc::RTM_GETADDR, &[0; ADDRESS]);
    if let Some(id) = target {
        message.attribute(IFA_TARGET_NETNSID, &id.to_ne_bytes())?;
    }
    message.send(socket)?;
    let mut found = Vec::new();
    answers(socket, Reply::Many, |kind, body| {
        if kind == libc::RTM_NEWADDR {
            found.extend(read_address(body));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Takes RTM_NEWADDR apart; `None` for families other than IP.
fn read_address(body: &[u8]) -> Option<LinkAddress> {
    let rest = body.get(ADDRESS..)?;
    // On a point-to-point interface IFA_ADDRESS is the other end; IPv6 often has that one only.
    let own = attribute_of(rest, libc::IFA_LOCAL);
    let bytes = own.or_else(|| attribute_of(rest, libc::IFA_ADDRESS))?;
    Some(LinkAddress {
        index: number(body, 4)?,
        address: ip(i32::from(*body.first()?), bytes)?,
        prefix: *body.get(1)?,
    })
}

/// An address of a family.
fn ip(family: i32, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        libc::AF_INET => bytes.first_chunk::<4>().map(|b| IpAddr::from(*b)),
        libc::AF_INET6 => bytes.first_chunk::<16>().map(|b| IpAddr::from(*b)),
        _ => None,
    }
}

/// The listening sockets of the caller's network namespace, IPv4 and IPv6 (sock_diag(7)).
///
/// Does not grow with the connections, as `/proc/net/tcp` does, which walks the table of all of
/// them. Fails with ENOENT where the kernel lacks inet_diag.
pub fn listening_sockets(transport: Transport) -> Result<Vec<ListeningSocket>, Errno> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        list_family(&socket, transport, family, &mut found)?;
    }
    Ok(found)
}

fn list_family(
    socket: &OwnedFd,
    transport: Transport,
    family: i32,
    found: &mut Vec<ListeningSocket>,
) -> Result<(), Errno> {
    use std::os::fd::AsFd as _;
    /// linux/sock_diag.h; numbers of states as in linux/net/tcp_states.h.
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const TCP_CLOSE: u32 = 7;
    const TCP_LISTEN: u32 = 10;
    let (protocol, state) = match transport {
        Transport::Tcp => (libc::IPPROTO_TCP, TCP_LISTEN),
        Transport::Udp => (libc::IPPROTO_UDP, TCP_CLOSE),
    };
    // struct inet_diag_req_v2: family, protocol, extensions, padding, states, id.
    let mut request = [0u8; 56];
    let byte = |value: i32| u8::try_from(value).map_err(|_| Errno::INVAL);
    let head = [byte(family)?, byte(protocol)?];
    for (slot, value) in request.iter_mut().zip(head) {
        *slot = value;
    }
    let states = (1u32 << state).to_ne_bytes();
    for (slot, value) in request.iter_mut().skip(4).zip(states) {
        *slot = value;
    }
    let mut message = Message::dump(SOCK_DIAG_BY_FAMILY, &request);
    message.send(socket.as_fd())?;
    answers(socket.as_fd(), Reply::Many, |kind, body| {
        if kind == SOCK_DIAG_BY_FAMILY {
            found.extend(read_socket(family, body));
        }
        Ok(())
    })
}

/// Takes struct inet_diag_msg apart; `None` for a socket that is not bound.
fn read_socket(family: i32, body: &[u8]) -> Option<ListeningSocket> {
    let port = u16::from_be(short(body, 4)?);
    let socket = ListeningSocket {
        address: ip(family, body.get(8..24)?)?,
        port,
        inode: u64::from(number(body, 68)?),
    };
    (port != 0).then_some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn own_loopback_from_inside_and_from_a_private_namespace() {
        let own = crate::netlink::open().unwrap();
        let mut here = links(own.as_fd(), None).unwrap();
        let lo = here.iter().find(|link| link.name == b"lo").unwrap();
        assert_ne!(lo.flags & libc::IFF_LOOPBACK.cast_unsigned(), 0);
        assert_eq!(lo.link, None);
        let socket = match private_socket() {
            Ok(socket) => socket,
            Err(error) => return assert_eq!(error, Errno::PERM),
        };
        let socket = socket.as_fd();
        assert_eq!(links(socket, None).unwrap().len(), 1);
        assert_eq!(links(socket, Some(7)), Err(Errno::INVAL));
        let namespace = File::open("/proc/self/ns/net").unwrap();
        assert_eq!(number_of(socket, namespace.as_fd()), Ok(None));
        assign_number(socket, namespace.as_fd(), 7).unwrap();
        assert_eq!(number_of(socket, namespace.as_fd()), Ok(Some(7)));
        let other = File::open("/proc/self/ns/uts").unwrap();
        assert_eq!(number_of(socket, other.as_fd()), Err(Errno::INVAL));
        let again = assign_number(socket, namespace.as_fd(), 8);
        assert_eq!(again, Err(Errno::EXIST));
        let mut there = links(socket, Some(7)).unwrap();
        // Numbers of namespaces differ from table to table.
        for link in here.iter_mut().chain(&mut there) {
            link.link_namespace = None;
        }
        assert_eq!(here, there);
        assert_eq!(
            addresses(own.as_fd(), None).unwrap(),
            addresses(socket, Some(7)).unwrap()
        );
    }

    #[test]
    fn own_listeners_are_found_by_inode() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0")
            .or_else(|_| UdpSocket::bind("127.0.0.1:0"))
            .unwrap();
        let own = |fd: BorrowedFd<'_>| File::from(fd.try_clone_to_owned().unwrap());
        let cases = [
            (Transport::Tcp, tcp.local_addr(), own(tcp.as_fd())),
            (Transport::Udp, udp.local_addr(), own(udp.as_fd())),
        ];
        for (transport, address, file) in cases {
            let found = match listening_sockets(transport) {
                Ok(found) => found,
                Err(error) => return assert_eq!(error, Errno::NOENT),
            };
            let inode = file.metadata().unwrap().ino();
            let socket = found.iter().find(|s| s.inode == inode).unwrap();
            let address = address.unwrap();
            assert_eq!(
                (socket.address, socket.port),
                (address.ip(), address.port())
            );
        }
    }
}

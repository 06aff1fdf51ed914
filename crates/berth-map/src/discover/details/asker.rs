//! Asking a socket of another process where it was made, and whether it listens, through a
//! duplicate that is closed at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_sys::socket;
use rustix::net::{AddressFamily, ipproto, sockopt};

use super::descriptors::Socket;
use crate::discover::hierarchy::inode_of;
use crate::discover::ways;
use crate::model::{Listener, Protocol};

/// What the TCP sockets of one network namespace that were asked are.
#[derive(Debug, Default)]
pub(super) struct Tcp {
    /// How many of them `sockstat` counts, and how many `sockstat6`: those that listen or are
    /// connected.
    pub(super) counted: [u64; 2],
    /// Those that listen, by the same two families.
    pub(super) listeners: [Vec<Listener>; 2],
}

/// Asks sockets, remembering what it can.
pub(super) struct Asker {
    /// The pidfd of the process asked last; sockets come process by process.
    process: Option<(HostPid, Option<OwnedFd>)>,
    /// Namespaces by the number that the kernel gives them; `None` may not be opened.
    cookies: HashMap<u64, Option<NamespaceId>>,
    /// The sockets asked: one that several processes have counts once.
    asked: HashSet<u64>,
    tcp: BTreeMap<NamespaceId, Tcp>,
}

impl Asker {
    /// `own` is the network namespace that we are in, which takes no privilege to recognise.
    pub(super) fn new(own: Option<NamespaceId>) -> Self {
        let mut cookies = HashMap::new();
        if let Ok(socket) = berth_sys::netlink::open()
            && let Ok(cookie) = socket::network_namespace_cookie(&socket)
            && own.is_some()
        {
            cookies.insert(cookie, own);
        }
        Self {
            process: None,
            cookies,
            asked: HashSet::new(),
            tcp: BTreeMap::new(),
        }
    }

    /// The network namespace in which a socket was made; `None` where the kernel does not tell us,
    /// or the descriptor is another one by now.
    pub(super) fn ask(&mut self, wanted: Socket) -> Option<NamespaceId> {
        if self.process.as_ref().is_none_or(|p| p.0 != wanted.pid) {
            self.process = Some((wanted.pid, ways::open_pidfd(wanted.pid)));
        }
        let pidfd = self.process.as_ref()?.1.as_ref()?;
        let duplicate = ways::duplicate_socket(pidfd, wanted.fd)?;
        if inode_of(&duplicate).ok()? != wanted.inode {
            return None;
        }
        let id = match socket::network_namespace_cookie(&duplicate) {
            Ok(cookie) => *self
                .cookies
                .entry(cookie)
                .or_insert_with(|| open_namespace(&duplicate)),
            Err(_) => open_namespace(&duplicate),
        }?;
        if self.asked.insert(wanted.inode) {
            self.note_tcp(id, wanted.inode, &duplicate);
        }
        Some(id)
    }

    /// What was learned of TCP.
    pub(super) fn into_tcp(self) -> BTreeMap<NamespaceId, Tcp> {
        self.tcp
    }

    /// Notes what a socket is, if it is one of TCP.
    fn note_tcp(&mut self, id: NamespaceId, inode: u64, socket: &OwnedFd) -> Option<()> {
        let family = match sockopt::socket_domain(socket).ok()? {
            AddressFamily::INET => 0,
            AddressFamily::INET6 => 1,
            _ => return None,
        };
        if sockopt::socket_protocol(socket).ok()? != Some(ipproto::TCP) {
            return None;
        }
        let listens = sockopt::socket_acceptconn(socket).ok()?;
        let tcp = self.tcp.entry(id).or_default();
        if listens || rustix::net::getpeername(socket).is_ok_and(|peer| peer.is_some()) {
            *tcp.counted.get_mut(family)? += 1;
        }
        if listens {
            let address = rustix::net::getsockname(socket).ok()?;
            let address = SocketAddr::try_from(address).ok()?;
            tcp.listeners.get_mut(family)?.push(Listener {
                protocol: Protocol::Tcp,
                address: address.ip(),
                port: address.port(),
                inode,
                process: None,
            });
        }
        Some(())
    }
}

fn open_namespace(duplicate: impl AsFd) -> Option<NamespaceId> {
    let descriptor = socket::open_network_namespace(duplicate).ok()?;
    Some(NamespaceId {
        kind: NamespaceKind::Net,
        inode: inode_of(&descriptor).ok()?,
    })
}

//! The foot of a box: what its network namespace holds.

use std::net::IpAddr;

use berth_base::{NamespaceId, NamespaceKind, escape_untrusted};

use super::{Span, Tone, Words, cut};
use crate::model::{Interface, Listener, Network, Peer, Protocol};
use crate::picture::{Forest, Space};

/// The most cells of an interface's name (IFNAMSIZ is 16, all of which may need escapes).
const NAME_ROOM: usize = 20;
/// The most interfaces, and the most sockets, that a foot lists.
const MOST: usize = 6;

impl Words<'_> {
    /// Interfaces and listening sockets of the network namespace that belongs to a box: the one
    /// of its first process where that is neither the host's nor that of the box around; with the
    /// network lens, the box's own.
    pub(crate) fn foot(&self, forest: &Forest, space: Space) -> Vec<Span> {
        let network = match (forest.lens(), space) {
            (NamespaceKind::Net, Space::Known(id)) => Some(id),
            (NamespaceKind::Net, Space::Host) => self.host_network(),
            (_, Space::Host | Space::Unread) => None,
            _ => self.own_network(forest, space),
        };
        let found = network.and_then(|id| self.world.details().networks.get(&id));
        // The host's wires have lines of their own.
        let is_host = space == Space::Host;
        found.map_or_else(Vec::new, |network| {
            self.describe_network(network, |i| !is_host || !is_wire(i))
        })
    }

    pub(super) fn host_network(&self) -> Option<NamespaceId> {
        self.world.host().namespaces.of(NamespaceKind::Net)
    }

    fn own_network(&self, forest: &Forest, space: Space) -> Option<NamespaceId> {
        let of = |space| forest.head(space)?.namespaces.of(NamespaceKind::Net);
        let own = of(space)?;
        let around = match forest.outer(space) {
            Space::Host => self.host_network(),
            outer => of(outer),
        };
        (Some(own) != around && Some(own) != self.host_network()).then_some(own)
    }

    fn describe_network(
        &self,
        network: &Network,
        wanted: impl Fn(&Interface) -> bool,
    ) -> Vec<Span> {
        let shown =
            |i: &&Interface| !i.is_loopback && (i.is_up || !i.addresses.is_empty()) && wanted(i);
        let interfaces: Vec<&Interface> = network.interfaces.iter().filter(shown).collect();
        let mut words: Vec<Span> = interfaces
            .iter()
            .take(MOST)
            .map(|i| Span::new(Tone::Plain, self.interface(i)))
            .collect();
        words.extend(more(interfaces.len()));
        let ports = network.shown_ports();
        let count = ports.len();
        let shown = ports.into_iter().take(MOST);
        words.extend(shown.map(|(text, _)| Span::new(Tone::Plain, text)));
        words.extend(more(count));
        let mut sockets: Vec<String> = network.listeners.iter().map(listener).collect();
        // The same port of both families is said once.
        sockets.dedup();
        let count = sockets.len();
        words.extend(
            sockets
                .into_iter()
                .take(MOST)
                .map(|text| Span::new(Tone::Plain, text)),
        );
        words.extend(more(count));
        words
    }

    /// `eth0 172.17.0.2/16 <-> veth1a2b@host`.
    fn interface(&self, interface: &Interface) -> String {
        let mut text = cut(&escape_untrusted(&interface.name), NAME_ROOM, "..");
        for (address, prefix) in interface.addresses.iter().filter(|(a, _)| is_global(a)) {
            text.push_str(&format!(" {address}/{prefix}"));
        }
        if let Some(peer) = &interface.peer {
            text.push_str(&format!(" <-> {}", self.peer(peer)));
        }
        text
    }

    /// The other end: its name, and where that is.
    pub(super) fn peer(&self, peer: &Peer) -> String {
        let name = match &peer.name {
            Some(name) => cut(&escape_untrusted(name), NAME_ROOM, ".."),
            None => format!("if{}", peer.index),
        };
        format!("{name}@{}", self.place(peer.namespace))
    }

    /// Whose a network namespace is.
    pub(super) fn place(&self, namespace: Option<NamespaceId>) -> String {
        match namespace {
            None => "?".to_owned(),
            id if id == self.host_network() => "host".to_owned(),
            Some(id) => match self.residents.get(&id).and_then(|all| all.first()) {
                Some(index) => self.world.container_label(*index),
                None => id.to_string(),
            },
        }
    }
}

/// Whether an interface is a bridge or hangs on a wire.
fn is_wire(interface: &Interface) -> bool {
    let is_bridge = interface.kind.as_deref() == Some("bridge");
    is_bridge || interface.master.is_some() || interface.peer.is_some()
}

/// Whether an address is worth a place: IPv6 link-local ones are on every interface.
pub(super) fn is_global(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    }
}

/// `:80 LISTEN`, `127.0.0.1:53 udp`.
fn listener(listener: &Listener) -> String {
    let port = listener.port;
    let place = match listener.address {
        address if address.is_unspecified() => format!(":{port}"),
        IpAddr::V4(v4) => format!("{v4}:{port}"),
        IpAddr::V6(v6) => format!("[{v6}]:{port}"),
    };
    match listener.protocol {
        Protocol::Tcp => format!("{place} LISTEN"),
        Protocol::Udp => format!("{place} udp"),
    }
}

fn more(count: usize) -> Option<Span> {
    let rest = count.saturating_sub(MOST);
    (rest > 0).then(|| Span::new(Tone::Faint, format!("and {rest} more")))
}

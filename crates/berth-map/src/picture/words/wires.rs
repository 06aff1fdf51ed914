//! The wires between network namespaces: bridges with their ports, pairs, and links that stand on
//! others.
//!
//! All of it is the kernel's word, so that it holds for every engine: a port's bridge, the other
//! end of a pair, the interface that a macvlan stands on. Berth's own files add which ports of the
//! host lead to a container.

use std::collections::{BTreeMap, HashSet};

use berth_base::{NamespaceId, NamespaceKind, escape_untrusted};

use super::network::is_global;
use super::{NAME_ROOM, Words, cut};
use crate::model::{Interface, Network};
use crate::picture::Forest;

/// An interface by where it is.
type At = (NamespaceId, u32);

/// Kinds of links that stand on another one, which carries their packets.
const STANDING: [&str; 4] = ["macvlan", "macvtap", "ipvlan", "vlan"];

/// What the namespaces' interfaces are to each other.
#[derive(Default)]
struct Wires {
    /// Ports of bridges and bonds, and links that stand on another: by what carries them.
    carried: BTreeMap<At, Vec<At>>,
    /// Pairs of which no end is a port, each by the end that comes first.
    loose: Vec<At>,
}

impl Words<'_> {
    /// With the network lens, a line for each bridge, each pair, each published port; the host's
    /// first. Nothing with other lenses.
    pub(crate) fn wires(&self, forest: &Forest) -> Vec<String> {
        if forest.lens() != NamespaceKind::Net {
            return Vec::new();
        }
        let networks = &self.world.details().networks;
        let host = self.host_network();
        let mut order: Vec<NamespaceId> = networks.keys().copied().collect();
        order.sort_by_key(|id| Some(*id) != host);
        let mut wires = self.find_wires(&order);
        // Of a part of the world, what touches it; the host's own is around every part.
        let selection = forest.selection();
        let is_meant = |id: NamespaceId| Some(id) != host && selection.has_namespace(id);
        let is_shown = |at: &At| {
            let far = self.interface_at(*at).and_then(other_end);
            selection.is_whole() || is_meant(at.0) || far.is_some_and(|(id, _)| is_meant(id))
        };
        wires.loose.retain(is_shown);
        wires
            .carried
            .values_mut()
            .for_each(|all| all.retain(is_shown));
        wires.carried.retain(|_, all| !all.is_empty());
        let mut told = HashSet::new();
        order
            .into_iter()
            .flat_map(|id| self.wires_of(id, &wires, &mut told))
            .collect()
    }

    fn find_wires(&self, order: &[NamespaceId]) -> Wires {
        let mut wires = Wires::default();
        let mut seen: HashSet<At> = HashSet::new();
        for id in order {
            let network = self.world.details().networks.get(id);
            for interface in network.into_iter().flat_map(|n| &n.interfaces) {
                let at = (*id, interface.index);
                if let Some(master) = interface.master {
                    wires.carried.entry((*id, master)).or_default().push(at);
                    continue;
                }
                let Some((space, index)) = other_end(interface) else {
                    continue;
                };
                let is_standing = |kind: &str| STANDING.contains(&kind);
                if interface.kind.as_deref().is_some_and(is_standing) {
                    wires.carried.entry((space, index)).or_default().push(at);
                    continue;
                }
                // From a port's end a pair is told below its bridge.
                let is_port = self
                    .interface_at((space, index))
                    .is_some_and(|far| far.master.is_some());
                if !is_port && seen.insert(at) && seen.insert((space, index)) {
                    wires.loose.push(at);
                }
            }
        }
        wires
    }

    fn wires_of(
        &self,
        id: NamespaceId,
        wires: &Wires,
        told: &mut HashSet<NamespaceId>,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let carriers = wires.carried.range((id, 0)..=(id, u32::MAX));
        for (carrier, carried) in carriers {
            lines.push(format!("  {}", self.carrier(*carrier)));
            for at in carried {
                lines.extend(self.wire(*at, id, "    ", told));
            }
        }
        for at in wires.loose.iter().filter(|(space, _)| *space == id) {
            lines.extend(self.wire(*at, id, "  ", told));
        }
        if !lines.is_empty() {
            lines.insert(0, format!("wires: {}", self.place(Some(id))));
        }
        lines
    }

    /// `berth0  bridge of network blue  10.210.0.1/20`.
    fn carrier(&self, at: At) -> String {
        let Some(interface) = self.interface_at(at) else {
            return format!("if{}", at.1);
        };
        let mut text = shown_name(interface);
        if let Some(kind) = &interface.kind {
            text.push_str(&format!("  {}", escape_untrusted(kind)));
        }
        if let Some(network) = interface.carries() {
            let network = cut(&escape_untrusted(network), NAME_ROOM, "..");
            text.push_str(&format!(" of network {network}"));
        }
        text.push_str(&state_and_addresses(interface));
        text
    }

    /// `bv01ab23cd45 <-> eth0@web  10.210.0.2/20`, and the ports that lead there below it. `from` is
    /// the namespace below which it is told.
    fn wire(
        &self,
        at: At,
        from: NamespaceId,
        indent: &str,
        told: &mut HashSet<NamespaceId>,
    ) -> Vec<String> {
        let Some(near) = self.interface_at(at) else {
            return Vec::new();
        };
        let is_elsewhere = at.0 != from;
        let far = other_end(near).filter(|_| near.kind.as_deref() == Some("veth"));
        let mut text = format!("{indent}{}", shown_name(near));
        let mut network = at.0;
        match (far, &near.peer) {
            _ if is_elsewhere => {
                // It stands on an interface of this namespace, and lives in another.
                text.push_str(&format!("@{}", self.place(Some(at.0))));
                let kind = near.kind.as_deref().unwrap_or_default();
                text.push_str(&format!(
                    "  {}{}",
                    escape_untrusted(kind),
                    state_and_addresses(near)
                ));
            }
            (Some(far), Some(peer)) => {
                text.push_str(&own_addresses(near));
                text.push_str(&format!(" <-> {}", self.peer(peer)));
                network = far.0;
                if let Some(far) = self.interface_at(far) {
                    text.push_str(&state_and_addresses(far));
                }
            }
            (None, Some(peer)) if peer.namespace.is_none() => {
                text.push_str(&format!("{} <-> {}", own_addresses(near), self.peer(peer)));
            }
            _ => text.push_str(&state_and_addresses(near)),
        }
        let mut lines = vec![text];
        // A namespace with several wires has its ports told once.
        let known = self.world.details().networks.get(&network);
        if let (Some(known), true) = (known, network != from && told.insert(network)) {
            lines.extend(self.ports(known).map(|text| format!("{indent}  {text}")));
        }
        lines
    }

    /// `:8080->80/tcp  httpd (pid 7, host 31995)`, and who listens there.
    fn ports(&self, network: &Network) -> impl Iterator<Item = String> {
        network
            .shown_ports()
            .into_iter()
            .map(move |(text, port)| match network.behind(&port) {
                None => text,
                Some(sockets) if sockets.is_empty() => format!("{text}  nobody listens"),
                Some(sockets) => {
                    let mut names: Vec<String> = sockets
                        .iter()
                        .filter_map(|socket| self.listening(socket.process?))
                        .collect();
                    names.dedup();
                    match names.is_empty() {
                        true => format!("{text}  somebody listens"),
                        false => format!("{text}  {}", names.join(", ")),
                    }
                }
            })
    }

    /// `httpd (pid 7, host 31995)`.
    fn listening(&self, pid: berth_base::HostPid) -> Option<String> {
        let process = self.world.process(pid)?;
        let name = super::shown_name(&process.comm);
        Some(match process.pids.as_slice() {
            [.., inner] if process.level() > 0 => format!("{name} (pid {inner}, host {pid})"),
            _ => format!("{name} (host {pid})"),
        })
    }

    fn interface_at(&self, (id, index): At) -> Option<&Interface> {
        let network = self.world.details().networks.get(&id)?;
        network.interfaces.iter().find(|i| i.index == index)
    }
}

/// The other end, where its namespace is known.
fn other_end(interface: &Interface) -> Option<At> {
    let peer = interface.peer.as_ref()?;
    Some((peer.namespace?, peer.index))
}

fn shown_name(interface: &Interface) -> String {
    cut(&escape_untrusted(&interface.name), NAME_ROOM, "..")
}

/// ` 10.9.0.1/24`: those worth a place.
fn own_addresses(interface: &Interface) -> String {
    let addresses = interface.addresses.iter().filter(|(a, _)| is_global(a));
    addresses
        .map(|(address, prefix)| format!(" {address}/{prefix}"))
        .collect()
}

/// The same, and whether it is down.
fn state_and_addresses(interface: &Interface) -> String {
    let mut text = own_addresses(interface);
    if !text.is_empty() {
        text.insert(0, ' ');
    }
    if !interface.is_up {
        text.push_str("  down");
    }
    text
}

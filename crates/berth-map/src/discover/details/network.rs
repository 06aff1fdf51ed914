//! What is inside of network namespaces: interfaces, addresses, the other ends of veth pairs, and
//! listening sockets with their process.
//!
//! rtnetlink tells interfaces best, and answers for a namespace to which the asking socket's
//! namespace has given a number. To enter none, and to leave the host's table of numbers alone, we
//! ask from a socket in a private network namespace in which every known one gets a number: one
//! table, in which the other end of every veth pair is found. That costs 0.4 ms once and about
//! 0.1 ms for each namespace. Without privilege our own namespace is asked in the same way, and
//! the others tell what `/proc/PID/net` shows.
//!
//! Listening sockets are not told to another namespace. Our own is asked by sock_diag, which lists
//! them alone. For the others `/proc/PID/net/udp` is cheap, but for `tcp` the kernel walks the
//! connections of the whole host (3 ms here, for each namespace). So the TCP sockets that processes
//! have open are asked themselves (`asker`), and the table is read only where `sockstat` counts
//! others than those: of the kernel, of a process that may not be asked, of nobody any more.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use berth_base::{HostPid, MacAddress, NamespaceId, NamespaceKind};
use berth_sys::links::{self, Link, Transport};
use rustix::io::Errno;

use super::Reading;
use super::asker::Tcp;
use super::net_tables::{self, InterfaceTables};
use crate::discover::proc_root::read_file;
use crate::model::{Interface, Listener, Network, Peer, Protocol, decode_untrusted};

/// IFF_UP and IFF_LOOPBACK of netdevice(7).
const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;

/// Reads all network namespaces that can be looked into.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let ids: Vec<NamespaceId> = reading.ways.of_kind(NamespaceKind::Net).collect();
    let own = reading.own_network();
    let mut interfaces = read_interfaces(reading, &ids, own);
    let owners = socket_owners(reading);
    for id in ids {
        let mut listeners = read_listeners(reading, id, own);
        if interfaces.contains_key(&id) || !listeners.is_empty() {
            for listener in &mut listeners {
                listener.process = owners.get(&listener.inode).copied();
            }
            listeners.sort_by_key(|l| (l.protocol, l.port, l.address, l.inode));
            let network = Network {
                interfaces: interfaces.remove(&id).unwrap_or_default(),
                listeners,
                published: Vec::new(),
            };
            reading.details.networks.insert(id, network);
        }
    }
    name_peers(&mut reading.details.networks);
    Ok(())
}

/// Asks which numbers our own namespace has given to the others, as lsns does.
pub(super) fn read_numbers(reading: &mut Reading<'_>) -> Result<(), String> {
    let socket = berth_sys::netlink::open().map_err(|error| format!("no netlink: {error}"))?;
    for id in reading.ways.of_kind(NamespaceKind::Net) {
        if let Some(descriptor) = reading.ways.open(reading.proc, id)
            && let Ok(number) = links::number_of(socket.as_fd(), descriptor.as_fd())
        {
            reading.details.network_numbers.insert(id, number);
        }
    }
    Ok(())
}

/// The first process that has each socket open.
fn socket_owners(reading: &Reading<'_>) -> HashMap<u64, HostPid> {
    let mut owners = HashMap::new();
    for socket in &reading.descriptors.sockets {
        owners.entry(socket.inode).or_insert(socket.pid);
    }
    owners
}

/// The interfaces of each namespace, as well as they can be read.
fn read_interfaces(
    reading: &Reading<'_>,
    ids: &[NamespaceId],
    own: Option<NamespaceId>,
) -> BTreeMap<NamespaceId, Vec<Interface>> {
    let mut found = BTreeMap::new();
    let only_own = ids.iter().all(|id| Some(*id) == own);
    if !only_own {
        // Without privilege there is no private namespace.
        found = read_by_numbers(reading, ids).unwrap_or_default();
    }
    for id in ids.iter().filter(|id| Some(**id) == own) {
        if !found.contains_key(id)
            && let Ok(socket) = berth_sys::netlink::open()
            && let Ok(interfaces) = ask(socket.as_fd(), *id, None, &BTreeMap::new())
        {
            found.insert(*id, interfaces);
        }
    }
    for id in ids {
        if !found.contains_key(id)
            && let Some(tables) = read_tables(reading, *id)
        {
            found.insert(*id, net_tables::parse_interfaces(&tables));
        }
    }
    found
}

/// Asks about every namespace from a private one.
fn read_by_numbers(
    reading: &Reading<'_>,
    ids: &[NamespaceId],
) -> Result<BTreeMap<NamespaceId, Vec<Interface>>, Errno> {
    let socket = links::private_socket()?;
    let socket = socket.as_fd();
    let mut numbers = BTreeMap::new();
    // All numbers first: the kernel gives free ones to the other ends that it meets.
    for (number, id) in (0i32..).zip(ids) {
        if let Some(descriptor) = reading.ways.open(reading.proc, *id)
            && links::assign_number(socket, descriptor.as_fd(), number).is_ok()
        {
            numbers.insert(number, *id);
        }
    }
    let mut found = BTreeMap::new();
    for (number, id) in &numbers {
        if let Ok(interfaces) = ask(socket, *id, Some(*number), &numbers) {
            found.insert(*id, interfaces);
        }
    }
    Ok(found)
}

/// Asks about one namespace.
fn ask(
    socket: BorrowedFd<'_>,
    id: NamespaceId,
    number: Option<i32>,
    numbers: &BTreeMap<i32, NamespaceId>,
) -> Result<Vec<Interface>, Errno> {
    let mut addresses: HashMap<u32, Vec<(IpAddr, u8)>> = HashMap::new();
    let mut found = links::links(socket, number)?;
    for one in links::addresses(socket, number)? {
        let of_link = addresses.entry(one.index).or_default();
        of_link.push((one.address, one.prefix));
    }
    found.sort_by_key(|link| link.index);
    let describe = |link: Link| Interface {
        index: link.index,
        name: decode_untrusted(&link.name),
        kind: link.kind.as_deref().map(decode_untrusted),
        is_up: link.flags & IFF_UP != 0,
        is_loopback: link.flags & IFF_LOOPBACK != 0,
        addresses: addresses.remove(&link.index).unwrap_or_default(),
        master: link.master,
        peer: link.link.map(|index| Peer {
            namespace: match link.link_namespace {
                None => Some(id),
                Some(number) => numbers.get(&number).copied(),
            },
            index,
            name: None,
        }),
        mac: hardware_address(&link.address),
        mtu: link.mtu,
        alias: link.alias.as_deref().map(decode_untrusted),
    };
    Ok(found.into_iter().map(describe).collect())
}

/// The address of an interface that has an Ethernet address; loopback's is all zeroes.
fn hardware_address(bytes: &[u8]) -> Option<MacAddress> {
    let bytes: [u8; 6] = bytes.try_into().ok()?;
    Some(MacAddress::new(bytes)).filter(|mac| mac.is_individual())
}

/// Writes the names of the interfaces at the other ends.
fn name_peers(networks: &mut BTreeMap<NamespaceId, Network>) {
    let mut names: HashMap<(NamespaceId, u32), String> = HashMap::new();
    for (id, network) in networks.iter() {
        for interface in &network.interfaces {
            names.insert((*id, interface.index), interface.name.clone());
        }
    }
    let interfaces = networks.values_mut().flat_map(|n| &mut n.interfaces);
    for peer in interfaces.filter_map(|i| i.peer.as_mut()) {
        if let Some(id) = peer.namespace {
            peer.name = names.get(&(id, peer.index)).cloned();
        }
    }
}

/// Reads the tables of one namespace; `None` without a process that shows them.
fn read_tables(reading: &Reading<'_>, id: NamespaceId) -> Option<InterfaceTables> {
    let folder = reading.ways.folder(id)?;
    let read = |table: &str| {
        let mut text = Vec::new();
        read_file(reading.proc, format!("{folder}/net/{table}"), &mut text).ok()?;
        Some(text)
    };
    Some(InterfaceTables {
        dev: read("dev")?,
        inet6: read("if_inet6").unwrap_or_default(),
        igmp: read("igmp").unwrap_or_default(),
        fib_trie: read("fib_trie").unwrap_or_default(),
        route: read("route").unwrap_or_default(),
    })
}

/// The sockets of a namespace that listen.
fn read_listeners(
    reading: &Reading<'_>,
    id: NamespaceId,
    own: Option<NamespaceId>,
) -> Vec<Listener> {
    if Some(id) == own
        && let Ok(found) = ask_own_listeners()
    {
        return found;
    }
    let none = Tcp::default();
    let asked = reading.tcp.get(&id).unwrap_or(&none);
    let mut found = Vec::new();
    let Some(folder) = reading.ways.folder(id) else {
        // Nobody lives there, and what was asked is all there is.
        found.extend(asked.listeners.iter().flatten().cloned());
        return found;
    };
    let mut text = Vec::new();
    for (family, suffix) in ["", "6"].into_iter().enumerate() {
        let mut read = |table: &str| {
            let path = format!("{folder}/net/{table}{suffix}");
            let read = read_file(reading.proc, path, &mut text);
            read.map(|()| text.clone()).unwrap_or_default()
        };
        let counts = read("sockstat");
        let tcp = net_tables::count_sockets(&counts, &format!("TCP{suffix}:"));
        let udp = net_tables::count_sockets(&counts, &format!("UDP{suffix}:"));
        if tcp.is_some() && tcp == asked.counted.get(family).copied() {
            found.extend(asked.listeners.get(family).into_iter().flatten().cloned());
        } else {
            found.extend(net_tables::parse_listeners(&read("tcp"), Protocol::Tcp));
        }
        if udp != Some(0) {
            found.extend(net_tables::parse_listeners(&read("udp"), Protocol::Udp));
        }
    }
    found
}

fn ask_own_listeners() -> Result<Vec<Listener>, Errno> {
    let mut found = Vec::new();
    for (transport, protocol) in [
        (Transport::Tcp, Protocol::Tcp),
        (Transport::Udp, Protocol::Udp),
    ] {
        let sockets = links::listening_sockets(transport)?;
        found.extend(sockets.into_iter().map(|socket| Listener {
            protocol,
            address: socket.address,
            port: socket.port,
            inode: socket.inode,
            process: None,
        }));
    }
    Ok(found)
}

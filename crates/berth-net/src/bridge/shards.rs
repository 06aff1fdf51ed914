//! Further bridges of a network: a bridge has 1,023 ports, a network may have more containers.
//!
//! A *shard* is a bridge joined to the network's first one by a pair of interfaces, so that all
//! containers are on one link; the host's addresses stay on the first. How many there are, and which
//! one the next container is put on, is a file in the volatile folder. It is looked at by every
//! start and changed only when the kernel gave a port number near the end: nobody counts ports as
//! long as there are enough. The next bridge is made then, while the first one has a port for it.

use berth_persist::{Durability, make_dirs, replace};
use berth_sys::batch::{Batch, NetlinkSocket, Refusal};
use berth_sys::route::{self, NewLink};
use rustix::io::Errno;

use super::{complete, delete, is_ready, mac, make, perform};
use crate::{NetError, NetworkFile, Networks, NetworksLock};

/// The ports of a bridge: numbers of ten bits, without 0 (BR_PORT_BITS in net/bridge/br_private.h).
pub const MAX_PORTS: usize = 1023;
/// From this port on the next container goes elsewhere: what is left is for those that start just
/// now, and for the ports of those that have just ended, which the kernel removes later.
const NEARLY_FULL: usize = 960;
/// A bridge with fewer is chosen before another one is made.
const ROOMY: usize = 900;
/// Each shard takes a port of the first bridge, and two digits of a name.
const MOST: u8 = 99;

const FILE: &str = "shards";

/// Which bridges a network has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    /// How many there are besides the first.
    pub made: u8,
    /// Which one the next container is put on; 0 is the first bridge.
    pub next: u8,
}

impl Shards {
    /// The names of those besides the first.
    #[must_use]
    pub fn names(self, network: &NetworkFile) -> Vec<String> {
        (1..=self.made).map(|n| name(network, n)).collect()
    }
}

/// A bridge that is nearly full, and where containers go from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The bridge.
    pub full: String,
    /// How many ports it has.
    pub ports: usize,
    /// The bridge of the next container.
    pub next: String,
}

/// The name of a network's bridge by its number, at most 15 bytes (IFNAMSIZ): no digit of an id is
/// an `s`.
#[must_use]
pub fn name(network: &NetworkFile, number: u8) -> String {
    match number {
        0 => network.interface.clone(),
        _ => format!("{}{number:02}", prefix(network, 's')),
    }
}

fn prefix(network: &NetworkFile, kind: char) -> String {
    format!("berth{}{kind}", network.id.get(..7).unwrap_or_default())
}

/// What is on record; the first bridge alone where nothing is, or nothing that can be read.
#[must_use]
pub fn read(networks: &Networks, network: &NetworkFile) -> Shards {
    let path = networks.volatile_folder(&network.name).join(FILE);
    let text = berth_persist::read_to_string(&path).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(made)), Some(Ok(next))) if next <= made && made <= MOST => Shards { made, next },
        _ => Shards::default(),
    }
}

/// Makes sure that a shard is there, up and joined to the first bridge. `open` is called before
/// anybody takes it for complete, and before the lock of all networks is taken.
///
/// # Errors
/// [`NetError::Kernel`], and those of `lock` and `open`.
pub fn ensure<L, E: From<NetError>>(
    network: &NetworkFile,
    number: u8,
    lock: impl FnOnce() -> Result<L, NetError>,
    open: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let shard = name(network, number);
    let failed = |why: Refusal| {
        NetError::kernel(
            format!("make the bridge {shard} of network {}", network.name),
            why,
        )
    };
    let alias = format!("berth: network {}, bridge {number}", network.name);
    let socket = NetlinkSocket::route().map_err(|errno| failed(errno.into()))?;
    if is_ready(&socket, &shard, &alias).map_err(failed)? {
        return Ok(());
    }
    open()?;
    let _lock = lock()?;
    // Like the first one's, with the shard's number in place of its second byte.
    let mac = mac(network).map(|mut mac| {
        mac[1] ^= 0x80 | number;
        mac
    });
    let index = make(&socket, &shard, mac, network.mtu).map_err(failed)?;
    // Else containers would take it for the gateway.
    let mut batch = Batch::new();
    route::set_silent(&mut batch, index);
    perform(&socket, &batch, &[]).map_err(failed)?;
    join(&socket, network, number, index).map_err(|why| match why.errno {
        Errno::XFULL => NetError::NoPorts(network.name.clone()),
        _ => failed(why),
    })?;
    Ok(complete(&socket, index, &alias).map_err(failed)?)
}

/// The pair that makes two bridges one link. Neither end sends a frame back where it came from
/// (no hairpin mode): that would be a loop.
fn join(
    socket: &NetlinkSocket,
    network: &NetworkFile,
    number: u8,
    shard: u32,
) -> Result<(), Refusal> {
    let first = route::outside(socket, &network.interface)?;
    let first = first.ok_or(Errno::NODEV)?;
    let (up, down) = (
        format!("{}{number:02}", prefix(network, 'u')),
        format!("{}{number:02}", prefix(network, 'd')),
    );
    let end = |name| NewLink {
        name,
        mtu: network.mtu,
        piece: first.piece,
        ..NewLink::default()
    };
    let mut batch = Batch::new();
    route::add_joint(&mut batch, &end(&up), &end(&down));
    perform(socket, &batch, &[Errno::EXIST])?;
    let mut batch = Batch::new();
    for (end, bridge) in [(&up, first.index), (&down, shard)] {
        let index = route::index_of(socket, end)?.ok_or(Errno::NODEV)?;
        route::set_port(&mut batch, index, bridge);
    }
    perform(socket, &batch, &[])
}

/// Whether a container's interface got a port near the last one of its bridge: then call [`spread`].
/// An interface that is gone has none.
///
/// # Errors
/// [`NetError::Kernel`].
pub fn is_near_the_end(host_interfaces: &[&str]) -> Result<bool, NetError> {
    let failed = |why: Refusal| NetError::kernel("read the numbers of ports of a bridge", why);
    let socket = NetlinkSocket::route().map_err(|errno| failed(errno.into()))?;
    for interface in host_interfaces {
        let number = route::port_number(&socket, interface).map_err(failed)?;
        if number.is_some_and(|number| usize::from(number) >= NEARLY_FULL) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Counts the ports of a network's bridges, and where the one that is to take the next container is
/// nearly full, puts another one on record: one with room, or a new one, which is to be made then.
///
/// # Errors
/// [`NetError::Kernel`], those of files, and [`NetError::NoPorts`].
pub fn spread(
    networks: &Networks,
    _lock: &NetworksLock,
    network: &NetworkFile,
) -> Result<Option<Spread>, NetError> {
    let before = read(networks, network);
    let failed = |why: Refusal| {
        NetError::kernel(format!("count the ports of network {}", network.name), why)
    };
    let socket = NetlinkSocket::route().map_err(|errno| failed(errno.into()))?;
    let count = |number: u8| -> Result<usize, NetError> {
        let ports = match route::index_of(&socket, &name(network, number)).map_err(failed)? {
            Some(index) => route::names(&socket, Some(index)).map_err(failed)?.len(),
            None => 0,
        };
        Ok(ports)
    };
    let ports = count(before.next)?;
    if ports < NEARLY_FULL {
        return Ok(None);
    }
    let mut next = before.made.saturating_add(1);
    for number in 0..=before.made {
        if count(number)? < ROOMY {
            next = number;
            break;
        }
    }
    if next > MOST {
        return Err(NetError::NoPorts(network.name.clone()));
    }
    let after = Shards {
        made: before.made.max(next),
        next,
    };
    let folder = networks.volatile_folder(&network.name);
    make_dirs("network.shards.folder", &folder, 0o700)
        .map_err(|e| NetError::file("make", &folder, e))?;
    let text = format!("{} {}\n", after.made, after.next);
    let point = "network.shards.write";
    replace(point, &folder, FILE, text.as_bytes(), Durability::Boot)?;
    Ok(Some(Spread {
        full: name(network, before.next),
        ports,
        next: name(network, next),
    }))
}

/// Removes the shards of a network, whatever is on record, and what joins them.
pub(super) fn remove(socket: &NetlinkSocket, network: &NetworkFile) -> Result<(), Refusal> {
    let prefixes = ['s', 'u', 'd'].map(|kind| prefix(network, kind));
    for name in route::names(socket, None)? {
        let number = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
        if number.is_some_and(|number| number.len() == 2) {
            delete(socket, &name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Bridges on the host: made when the first container of a network starts.

use std::net::IpAddr;

use berth_sys::batch::{Batch, NetlinkSocket, Refusal};
use berth_sys::route::{self, NewLink};
use rustix::io::Errno;

use crate::{NetError, NetworkFile};

/// Makes sure that a network's bridge is there, up and has the gateways' addresses; answers whether
/// it was made just now.
///
/// Two may do so at once: the kernel decides who makes it, and the other one waits for its addresses
/// with the lock of all networks, which `lock` takes.
///
/// # Errors
/// [`NetError::Kernel`].
pub fn ensure<L>(
    network: &NetworkFile,
    alias: &str,
    lock: impl FnOnce() -> Result<L, NetError>,
) -> Result<bool, NetError> {
    let name = network.interface.as_str();
    let failed = |why: Refusal| {
        NetError::kernel(
            format!("make the bridge {name} of network {}", network.name),
            why,
        )
    };
    let socket = NetlinkSocket::route().map_err(|errno| failed(errno.into()))?;
    if is_ready(&socket, name, alias).map_err(failed)? {
        return Ok(false);
    }
    let _lock = lock()?;
    let index = match route::index_of(&socket, name).map_err(failed)? {
        // Left half made by somebody who died.
        Some(index) => index,
        None => {
            let mut batch = Batch::new();
            let link = NewLink {
                name,
                mac: mac(network),
                mtu: network.mtu,
                ..NewLink::default()
            };
            route::add_bridge(&mut batch, &link);
            perform(&socket, &batch, &[]).map_err(failed)?;
            let made = route::index_of(&socket, name).map_err(failed)?;
            made.ok_or_else(|| failed(Errno::NODEV.into()))?
        }
    };
    for (gateway, prefix) in gateways(network) {
        let mut batch = Batch::new();
        route::add_address(&mut batch, index, gateway, prefix);
        perform(&socket, &batch, &[Errno::EXIST]).map_err(failed)?;
    }
    let mut batch = Batch::new();
    route::set_up(&mut batch, index);
    route::set_alias(&mut batch, index, alias);
    perform(&socket, &batch, &[]).map_err(failed)?;
    Ok(true)
}

/// Whether the host has an interface of this name.
#[must_use]
pub fn exists(name: &str) -> bool {
    let found = NetlinkSocket::route().map_err(Refusal::from);
    let found = found.and_then(|socket| route::index_of(&socket, name));
    matches!(found, Ok(Some(_)))
}

/// Removes a network's bridge; one that is gone is fine.
///
/// # Errors
/// [`NetError::Kernel`].
pub fn remove(name: &str) -> Result<(), NetError> {
    let failed = |why: Refusal| NetError::kernel(format!("remove the bridge {name}"), why);
    let socket = NetlinkSocket::route().map_err(|errno| failed(errno.into()))?;
    let Some(index) = route::index_of(&socket, name).map_err(failed)? else {
        return Ok(());
    };
    let mut batch = Batch::new();
    route::delete_link(&mut batch, index);
    perform(&socket, &batch, &[Errno::NODEV]).map_err(failed)
}

/// The alias is written last: a bridge that has it is complete.
fn is_ready(socket: &NetlinkSocket, name: &str, alias: &str) -> Result<bool, Refusal> {
    let found = route::alias_of(socket, name)?;
    Ok(found.is_some_and(|found| found == alias.as_bytes()))
}

/// An address of its own, from the network's id: a bridge without one has that of a port, and
/// another when the port goes, which containers have to find out.
fn mac(network: &NetworkFile) -> Option<[u8; 6]> {
    let mut bytes = [0x02, 0x42, 0, 0, 0, 0];
    for (byte, at) in bytes.iter_mut().skip(2).zip((0..).step_by(2)) {
        let digits = network.id.get(at..at + 2)?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

fn gateways(network: &NetworkFile) -> impl Iterator<Item = (IpAddr, u8)> {
    let subnets = network.subnets.iter();
    subnets.filter_map(|subnet| Some((subnet.gateway?, subnet.subnet.prefix_len())))
}

/// Sends a batch; some refusals are fine.
fn perform(socket: &NetlinkSocket, batch: &Batch, fine: &[Errno]) -> Result<(), Refusal> {
    match socket.perform(batch.bytes()?) {
        Err(refusal) if fine.contains(&refusal.errno) => Ok(()),
        other => other,
    }
}

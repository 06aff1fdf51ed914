//! Bridges on the host: made when the first container of a network starts, with further ones where
//! a network has more containers than a bridge has ports ([`shards`]).

pub mod shards;

use std::net::IpAddr;

use berth_sys::batch::{Batch, NetlinkSocket, Refusal};
use berth_sys::route::{self, NewLink};
use rustix::io::Errno;

use crate::{NetError, NetworkFile};

/// Makes sure that a network's bridge is there, up and has the gateways' addresses. When it was not,
/// `open` does what else a host needs before it carries packets, before anybody takes it for
/// complete: a crash in between is made good by whoever comes next. `true` when this call did.
///
/// Two may do so at once: the kernel decides who makes it, and the other one waits for its addresses
/// with the lock of all networks, which `lock` takes. `open` is called without it, since it may wait
/// for others who want it, and twice where two begin at once.
///
/// # Errors
/// [`NetError::Kernel`], and those of `lock` and `open`.
pub fn ensure<L, E: From<NetError>>(
    network: &NetworkFile,
    alias: &str,
    lock: impl FnOnce() -> Result<L, NetError>,
    open: impl FnOnce() -> Result<(), E>,
) -> Result<bool, E> {
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
    let lock = lock()?;
    if is_ready(&socket, name, alias).map_err(failed)? {
        return Ok(false);
    }
    let index = make(&socket, name, mac(network), network.mtu).map_err(failed)?;
    for (gateway, prefix) in gateways(network) {
        let mut batch = Batch::new();
        route::add_address(&mut batch, index, gateway, prefix);
        perform(&socket, &batch, &[Errno::EXIST]).map_err(failed)?;
    }
    drop(lock);
    open()?;
    complete(&socket, index, alias).map_err(failed)?;
    Ok(true)
}

/// Whether the host has an interface of this name.
#[must_use]
pub fn exists(name: &str) -> bool {
    let found = NetlinkSocket::route().map_err(Refusal::from);
    let found = found.and_then(|socket| route::index_of(&socket, name));
    matches!(found, Ok(Some(_)))
}

/// Removes a network's bridges; those that are gone are fine.
///
/// # Errors
/// [`NetError::Kernel`].
pub fn remove(network: &NetworkFile) -> Result<(), NetError> {
    let name = network.interface.as_str();
    let failed = |why: Refusal| NetError::kernel(format!("remove the bridge {name}"), why);
    let socket = NetlinkSocket::route().map_err(|errno| failed(errno.into()))?;
    shards::remove(&socket, network).map_err(failed)?;
    delete(&socket, name).map_err(failed)
}

/// Removes an interface; one that is gone is fine.
fn delete(socket: &NetlinkSocket, name: &str) -> Result<(), Refusal> {
    let Some(index) = route::index_of(socket, name)? else {
        return Ok(());
    };
    let mut batch = Batch::new();
    route::delete_link(&mut batch, index);
    perform(socket, &batch, &[Errno::NODEV])
}

/// Makes a bridge, unless somebody who died left it half made; its index.
fn make(
    socket: &NetlinkSocket,
    name: &str,
    mac: Option<[u8; 6]>,
    mtu: Option<u32>,
) -> Result<u32, Refusal> {
    if let Some(index) = route::index_of(socket, name)? {
        return Ok(index);
    }
    let mut batch = Batch::new();
    let link = NewLink {
        name,
        mac,
        mtu,
        ..NewLink::default()
    };
    route::add_bridge(&mut batch, &link);
    perform(socket, &batch, &[])?;
    route::index_of(socket, name)?.ok_or_else(|| Errno::NODEV.into())
}

/// The alias is written last: a bridge that has it is complete.
fn complete(socket: &NetlinkSocket, index: u32, alias: &str) -> Result<(), Refusal> {
    let mut batch = Batch::new();
    route::set_up(&mut batch, index);
    route::set_alias(&mut batch, index, alias);
    perform(socket, &batch, &[])
}

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

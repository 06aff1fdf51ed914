//! One container's ports in the table and out of it, whatever other processes of ours do meanwhile.
//!
//! Who has a port of the host is decided elsewhere, by a socket bound to it; the table follows. A
//! container that died may have left its element when the next one gets the port, and its remover
//! may come late: so an element is only ever replaced or removed in the state in which it was seen
//! (NFNL_BATCH_GENID), and removed only while it leads to the container it is removed for.

use berth_sys::batch::{Batch, NetlinkSocket};
use rustix::io::Errno;

use super::NftError;
use super::flows::{self, Which};
use super::read;
use super::rules::{Published, Tag};
use super::sets::{self, Element, Elements, Set, Whole};
use super::table;
use super::transaction::{Transaction, current};
use super::wire::{INET, element, head, message};

/// A try takes some 15 us, and fails only where somebody else's change went through meanwhile: as many
/// as there may be containers ending at once.
const TRIES: u32 = 1000;

/// Makes ports of the host lead to a container: one transaction of an element for each. For ports of
/// UDP the kernel is told to forget flows that lead elsewhere.
///
/// To be called by whoever holds the ports' sockets: an element that leads elsewhere is a dead
/// container's, and is replaced.
///
/// # Errors
/// The table is not there (install it), or as of [`Transaction::perform`].
pub fn publish(socket: &NetlinkSocket, tag: &Tag, ports: &[Published]) -> Result<(), NftError> {
    add(socket, tag, ports)?;
    flows::forget(socket, ports, Which::Elsewhere)
}

fn add(socket: &NetlinkSocket, tag: &Tag, ports: &[Published]) -> Result<(), NftError> {
    let plain = table::add_published(tag, ports)?;
    for _ in 0..TRIES {
        match plain.perform(socket) {
            Err(NftError::Taken { .. }) => {}
            other => return other,
        }
        match replace(socket, tag, ports) {
            Err(NftError::Raced { .. }) => {}
            other => return other,
        }
    }
    Err(raced(ports))
}

fn replace(socket: &NetlinkSocket, tag: &Tag, ports: &[Published]) -> Result<(), NftError> {
    let generation = current(socket)?;
    let mut wanted = Elements::new();
    let mut stale = Elements::new();
    for port in ports {
        let (set, element) = sets::of_published(port)?;
        if let Some(found) = find(socket, tag, set, &element)?
            && found.datum != element.datum
        {
            stale.push((set, found));
        }
        wanted.push((set, element));
    }
    let mut transaction = Transaction::after(generation, INET, &tag.table());
    transaction.delete_elements(&stale);
    transaction.add_elements(&wanted);
    transaction.perform(socket)
}

/// Takes the ports of a container out of the table, as far as they still lead to it; can be
/// repeated. A table that is not there has none.
///
/// To be called before the container's address is given to another.
///
/// # Errors
/// As of [`Transaction::perform`].
pub fn unpublish(socket: &NetlinkSocket, tag: &Tag, ports: &[Published]) -> Result<(), NftError> {
    for _ in 0..TRIES {
        match remove(socket, tag, ports) {
            Err(NftError::Raced { .. }) => {}
            Ok(()) | Err(NftError::Missing { .. }) => {
                return flows::forget(socket, ports, Which::There);
            }
            other => return other,
        }
    }
    Err(raced(ports))
}

fn remove(socket: &NetlinkSocket, tag: &Tag, ports: &[Published]) -> Result<(), NftError> {
    let generation = current(socket)?;
    let mut own = Elements::new();
    for port in ports {
        let (set, element) = sets::of_published(port)?;
        // The same port twice is one element.
        let known = own.iter().any(|(s, e)| *s == set && e.key == element.key);
        let found = find(socket, tag, set, &element)?;
        if !known && found.is_some_and(|found| found.datum == element.datum) {
            own.push((set, element));
        }
    }
    let mut transaction = Transaction::after(generation, INET, &tag.table());
    transaction.delete_elements(&own);
    transaction.perform(socket)
}

/// The element with the same key.
fn find(
    socket: &NetlinkSocket,
    tag: &Tag,
    set: Set,
    wanted: &Element,
) -> Result<Option<Element>, NftError> {
    let mut question = Batch::new();
    question.message(message::GET_ELEMENT, 0, &head(INET), |a| {
        a.text(element::TABLE, &tag.table())
            .text(element::SET, set.name());
        a.nest(element::ELEMENTS, |list| wanted.write(list, Whole::Key));
    });
    let mut found = None;
    let answer = socket.ask(&question, |_, body| {
        let mut list = read::Attributes::of_message(body).list(element::ELEMENTS);
        found = list.next().and_then(Element::read);
    });
    match answer {
        Ok(()) => Ok(found),
        // No such element, or no such table, which the transaction finds out.
        Err(refusal) if refusal.errno == Errno::NOENT => Ok(None),
        Err(refusal) => Err(NftError::refused("read the published ports", refusal)),
    }
}

fn raced(ports: &[Published]) -> NftError {
    let names: Vec<String> = ports.iter().map(|p| p.port.to_string()).collect();
    NftError::Raced {
        what: format!("change the published ports {}", names.join(", ")),
    }
}

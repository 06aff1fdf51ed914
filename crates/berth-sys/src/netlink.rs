//! rtnetlink(7), as far as moving an interface between network namespaces needs it.
//!
//! Nothing here allocates: messages are put together and taken apart on the stack. A socket acts
//! in the namespace in which it was made, whoever holds it.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

const HEADER: usize = 16;
const LINK: usize = 16;
const ADDRESS: usize = 8;

/// An address of an interface.
#[derive(Clone, Copy, Default)]
struct Address {
    family: u8,
    prefix: u8,
    /// IFA_LOCAL, IFA_ADDRESS and IFA_BROADCAST: bytes, and how many count.
    parts: [([u8; 16], usize); 3],
}

/// The attributes of [`Address::parts`].
const PARTS: [u16; 3] = [libc::IFA_LOCAL, libc::IFA_ADDRESS, libc::IFA_BROADCAST];

/// Addresses that one interface can bring along.
const MAX_ADDRESSES: usize = 32;

/// A socket for rtnetlink(7) in the caller's network namespace.
pub fn open() -> Result<OwnedFd, Errno> {
    // Protocol 0 is NETLINK_ROUTE.
    socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )
}

/// Takes the interface `name` out of the namespace of `outside` into the caller's own, under the
/// name `inside` (`%d` in it stands for the first free number), with its global permanent addresses, and brings it up.
///
/// The kernel takes addresses and routes off an interface that changes its namespace; only the
/// addresses are given back. Fails with ENODEV when there is no such interface, EINVAL when it
/// cannot leave its namespace (a loopback, a tunnel's base), EEXIST when the name is taken, E2BIG
/// beyond 32 addresses, EPERM without CAP_NET_ADMIN in both namespaces.
pub fn take_interface(outside: BorrowedFd<'_>, name: &CStr, inside: &CStr) -> Result<(), Errno> {
    use std::os::fd::AsFd;
    let index = index_of(outside, name)?;
    let mut addresses = [Address::default(); MAX_ADDRESSES];
    let count = addresses_of(outside, index, &mut addresses)?;
    let index = send_over(outside, index, inside)?;
    let own = open()?;
    let own = own.as_fd();
    for address in addresses.get(..count).unwrap_or_default() {
        let mut message = Message::address(address, index);
        for (kind, (bytes, length)) in PARTS.into_iter().zip(address.parts) {
            let bytes = bytes.get(..length).unwrap_or_default();
            if !bytes.is_empty() {
                message.attribute(kind, bytes)?;
            }
        }
        message.perform(own)?;
    }
    let up = u32::try_from(libc::IFF_UP).map_err(|_| Errno::INVAL)?;
    Message::link(index, up).perform(own)
}

/// Moves an interface into our namespace; its index there, which it keeps unless it is taken.
fn send_over(socket: BorrowedFd<'_>, index: i32, inside: &CStr) -> Result<i32, Errno> {
    /// linux/if_link.h, Linux 5.13.
    const IFLA_NEW_IFINDEX: u16 = 49;
    const TRIES: i32 = 256;
    let own_pid = rustix::process::getpid().as_raw_nonzero().get();
    for new in index..index.saturating_add(TRIES) {
        let mut message = Message::link(index, 0);
        // Looked up among the PIDs of the sender, which are ours.
        message.attribute(libc::IFLA_NET_NS_PID, &own_pid.to_ne_bytes())?;
        message.attribute(IFLA_NEW_IFINDEX, &new.to_ne_bytes())?;
        message.attribute(libc::IFLA_IFNAME, inside.to_bytes_with_nul())?;
        match message.perform(socket) {
            Err(Errno::BUSY) => {}
            other => return other.map(|()| new),
        }
    }
    Err(Errno::BUSY)
}

/// The index of an interface (RTM_GETLINK).
fn index_of(socket: BorrowedFd<'_>, name: &CStr) -> Result<i32, Errno> {
    let mut message = Message::link(0, 0);
    message.set_kind(libc::RTM_GETLINK, libc::NLM_F_REQUEST);
    message.attribute(libc::IFLA_IFNAME, name.to_bytes_with_nul())?;
    message.send(socket)?;
    let mut index = None;
    answers(socket, Reply::Single, |kind, body| {
        if kind == libc::RTM_NEWLINK {
            index = number(body, 4).map(u32::cast_signed);
        }
        Ok(())
    })?;
    index.ok_or(Errno::NODEV)
}

/// The global permanent addresses of an interface (RTM_GETADDR); how many there are.
fn addresses_of(socket: BorrowedFd<'_>, index: i32, list: &mut [Address]) -> Result<usize, Errno> {
    let mut message = Message::address(&Address::default(), 0);
    message.set_kind(libc::RTM_GETADDR, libc::NLM_F_REQUEST | libc::NLM_F_DUMP);
    message.send(socket)?;
    let mut count = 0;
    answers(socket, Reply::Many, |kind, body| {
        let [family, prefix, flags, scope, ..] = *body else {
            return Ok(());
        };
        let permanent = u32::from(flags) & libc::IFA_F_PERMANENT != 0;
        let ours = number(body, 4) == Some(index.cast_unsigned());
        if kind != libc::RTM_NEWADDR || !ours || !permanent || scope != libc::RT_SCOPE_UNIVERSE {
            return Ok(());
        }
        let slot = list.get_mut(count).ok_or(Errno::TOOBIG)?;
        slot.family = family;
        slot.prefix = prefix;
        for (part, kind) in slot.parts.iter_mut().zip(PARTS) {
            let bytes = attribute_of(body.get(ADDRESS..).unwrap_or_default(), kind);
            let bytes = bytes.unwrap_or_default();
            let room = part.0.get_mut(..bytes.len()).ok_or(Errno::TOOBIG)?;
            room.copy_from_slice(bytes);
            part.1 = bytes.len();
        }
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// How many messages answer a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// One, or an acknowledgement.
    Single,
    /// Any number, up to NLMSG_DONE.
    Many,
}

/// Calls `each` with type and body of every message that answers.
pub(crate) fn answers(
    socket: BorrowedFd<'_>,
    reply: Reply,
    mut each: impl FnMut(u16, &[u8]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut buffer = [0u8; 32 * 1024];
    loop {
        let (length, _) = match recv(socket, &mut buffer, RecvFlags::empty()) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let mut rest = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
        while rest.len() >= HEADER {
            let size = number(rest, 0).and_then(|n| usize::try_from(n).ok());
            let size = size.filter(|n| (HEADER..=rest.len()).contains(n));
            let size = size.ok_or(Errno::BADMSG)?;
            let kind = short(rest, 4).ok_or(Errno::BADMSG)?;
            let body = rest.get(HEADER..size).unwrap_or_default();
            match i32::from(kind) {
                // The end of a dump carries the error that cut it short.
                libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                    return match number(body, 0).map_or(0, u32::cast_signed) {
                        code @ ..0 => Err(Errno::from_raw_os_error(code.saturating_neg())),
                        0.. => Ok(()),
                    };
                }
                _ => each(kind, body)?,
            }
            if reply == Reply::Single {
                return Ok(());
            }
            rest = rest.get(aligned(size)..).unwrap_or_default();
        }
    }
}

/// The value of the first attribute of a kind.
pub(crate) fn attribute_of(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    while rest.len() >= 4 {
        let size = usize::from(short(rest, 0)?);
        let value = rest.get(4..size)?;
        if short(rest, 2)? == wanted {
            return Some(value);
        }
        rest = rest.get(aligned(size)..)?;
    }
    None
}

const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

pub(crate) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u32::from_ne_bytes(*b))
}

pub(crate) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u16::from_ne_bytes(*b))
}

/// A request under construction.
pub(crate) struct Message {
    bytes: [u8; 256],
    length: usize,
}

impl Message {
    /// RTM_NEWLINK of an interface, with flags to set.
    fn link(index: i32, flags: u32) -> Self {
        let mut body = [0u8; LINK];
        place(&mut body, 4, &index.to_ne_bytes());
        place(&mut body, 8, &flags.to_ne_bytes());
        place(&mut body, 12, &flags.to_ne_bytes());
        Self::new(libc::RTM_NEWLINK, 0, &body)
    }

    /// RTM_NEWADDR.
    fn address(address: &Address, index: i32) -> Self {
        let mut body = [0u8; ADDRESS];
        place(&mut body, 0, &[address.family, address.prefix]);
        place(&mut body, 4, &index.to_ne_bytes());
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        Self::new(libc::RTM_NEWADDR, flags, &body)
    }

    pub(crate) fn new(kind: u16, flags: libc::c_int, body: &[u8]) -> Self {
        let mut message = Self {
            bytes: [0; 256],
            length: HEADER + body.len(),
        };
        place(&mut message.bytes, HEADER, body);
        message.set_kind(kind, libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags);
        message
    }

    /// A request with one answer.
    pub(crate) fn question(kind: u16, body: &[u8]) -> Self {
        let mut message = Self::new(kind, 0, body);
        message.set_kind(kind, libc::NLM_F_REQUEST);
        message
    }

    /// A request whose answers are many.
    pub(crate) fn dump(kind: u16, body: &[u8]) -> Self {
        let mut message = Self::new(kind, 0, body);
        message.set_kind(kind, libc::NLM_F_REQUEST | libc::NLM_F_DUMP);
        message
    }

    fn set_kind(&mut self, kind: u16, flags: libc::c_int) {
        // The flags of a message are 16 bits.
        let flags = u16::try_from(flags).unwrap_or(0);
        place(&mut self.bytes, 4, &kind.to_ne_bytes());
        place(&mut self.bytes, 6, &flags.to_ne_bytes());
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) -> Result<(), Errno> {
        let size = 4 + value.len();
        let end = self.length + aligned(size);
        if end > self.bytes.len() {
            return Err(Errno::MSGSIZE);
        }
        let size = u16::try_from(size).map_err(|_| Errno::MSGSIZE)?;
        place(&mut self.bytes, self.length, &size.to_ne_bytes());
        place(&mut self.bytes, self.length + 2, &kind.to_ne_bytes());
        place(&mut self.bytes, self.length + 4, value);
        self.length = end;
        Ok(())
    }

    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        let length = u32::try_from(self.length).map_err(|_| Errno::MSGSIZE)?;
        place(&mut self.bytes, 0, &length.to_ne_bytes());
        let bytes = self.bytes.get(..self.length).ok_or(Errno::MSGSIZE)?;
        send(socket, bytes, SendFlags::empty()).map(drop)
    }

    /// Sends it and waits for the acknowledgement.
    pub(crate) fn perform(mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        self.send(socket)?;
        answers(socket, Reply::Many, |_, _| Ok(()))
    }
}

/// Copies bytes to an offset; what does not fit is left out, which no caller here can reach.
fn place(bytes: &mut [u8], at: usize, value: &[u8]) {
    let room = bytes.iter_mut().skip(at);
    for (slot, byte) in room.zip(value) {
        *slot = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_loopback_is_found_and_cannot_leave() {
        let socket = open().unwrap();
        assert_eq!(index_of(socket.as_fd(), c"lo").unwrap(), 1);
        assert_eq!(index_of(socket.as_fd(), c"no-such-if"), Err(Errno::NODEV));
        let mut list = [Address::default(); MAX_ADDRESSES];
        // 127.0.0.1 is of scope host.
        assert_eq!(addresses_of(socket.as_fd(), 1, &mut list), Ok(0));
    }
}

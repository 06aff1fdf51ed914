//! Netlink requests in batches: many messages in one packet, all answers checked.
//!
//! [`Batch`] is bytes and nothing else, so it can be put together by whoever knows what is wanted,
//! kept, and sent later by whoever is in the right place. [`NetlinkSocket`] acts in the network
//! namespace in which it was made, whoever holds it. The same wire carries rtnetlink(7) and
//! nfnetlink (linux/netfilter/nfnetlink.h); what messages mean is not known here.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send,
    socket_with,
};

use crate::clone::{Clone3, Forked, exit_now, is_single_threaded};
use crate::fd::{release, release_all_but};
use crate::netlink::{attribute_of, number, short};

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// NLA_F_NESTED (linux/netlink.h).
const NESTED: u16 = 1 << 15;
/// NLM_F_CAPPED and NLM_F_ACK_TLVS (linux/netlink.h): the answer does not repeat the request; it
/// has attributes.
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
/// NLMSGERR_ATTR_MSG (linux/netlink.h).
const TEXT: u16 = 1;
/// Room for what a socket receives at once; a dump comes in pieces of at most 32 KiB
/// (net/netlink/af_netlink.c, netlink_dump).
const RECEIVE: usize = 64 << 10;

/// Messages one after the other, ready to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u32,
    too_long: bool,
}

impl Batch {
    /// No message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message of a type with a fixed head and attributes. `flags` are NLM_F_*, to which
    /// NLM_F_REQUEST is added; an error is answered with or without NLM_F_ACK.
    pub fn message(
        &mut self,
        kind: u16,
        flags: i32,
        head: &[u8],
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        // The flags of a message are 16 bits.
        let flags = u16::try_from(flags | libc::NLM_F_REQUEST).unwrap_or(0);
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        // Answers name the message by its number.
        self.bytes.extend(self.count.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend(head);
        pad(&mut self.bytes);
        attributes(&mut Attributes { batch: self });
        match u32::try_from(self.bytes.len() - start) {
            Ok(length) => overwrite(&mut self.bytes, start, &length.to_ne_bytes()),
            Err(_) => self.too_long = true,
        }
        self.count = self.count.saturating_add(1);
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes as they are sent.
    ///
    /// # Errors
    /// EMSGSIZE when an attribute did not fit in the 64 KiB that its length can say.
    pub fn bytes(&self) -> Result<&[u8], Errno> {
        match self.too_long {
            true => Err(Errno::MSGSIZE),
            false => Ok(&self.bytes),
        }
    }
}

/// The attributes of a message under construction.
pub struct Attributes<'a> {
    batch: &'a mut Batch,
}

impl Attributes<'_> {
    /// An attribute of any bytes.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        match u16::try_from(4 + value.len()) {
            Ok(length) => {
                self.batch.bytes.extend(length.to_ne_bytes());
                self.batch.bytes.extend(kind.to_ne_bytes());
                self.batch.bytes.extend(value);
                pad(&mut self.batch.bytes);
            }
            Err(_) => self.batch.too_long = true,
        }
        self
    }

    /// A text, which ends with a NUL on the wire.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// A number in the host's byte order, as rtnetlink has them.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A number in network byte order, as nfnetlink has them.
    pub fn net_number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute that consists of attributes.
    pub fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes<'_>)) -> &mut Self {
        self.nest_after(kind, &[], inner)
    }

    /// The same with a fixed head before them (VETH_INFO_PEER has a `struct ifinfomsg`).
    pub fn nest_after(
        &mut self,
        kind: u16,
        head: &[u8],
        inner: impl FnOnce(&mut Attributes<'_>),
    ) -> &mut Self {
        let start = self.batch.bytes.len();
        self.batch.bytes.extend([0; 2]);
        self.batch.bytes.extend((kind | NESTED).to_ne_bytes());
        self.batch.bytes.extend(head);
        pad(&mut self.batch.bytes);
        inner(&mut Attributes { batch: self.batch });
        match u16::try_from(self.batch.bytes.len() - start) {
            Ok(length) => overwrite(&mut self.batch.bytes, start, &length.to_ne_bytes()),
            Err(_) => self.batch.too_long = true,
        }
        self
    }

    /// Where in the batch the next attribute's value will begin: what is not known yet, such as a
    /// PID, is filled in there before sending.
    #[must_use]
    pub fn next_value(&self) -> usize {
        self.batch.bytes.len() + 4
    }
}

/// Messages and attributes begin at multiples of four bytes.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn overwrite(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (slot, byte) in bytes.iter_mut().skip(at).zip(value) {
        *slot = *byte;
    }
}

/// What the kernel says about a message that it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The message's place in its batch, from 0; `None` where no message is to blame.
    pub index: Option<u32>,
    /// Why.
    pub errno: Errno,
    /// The kernel's own words, where it has any (extended acknowledgement, 4.12).
    pub text: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = std::io::Error::from(self.errno);
        match &self.text {
            Some(text) => write!(f, "{error} ({text})"),
            None => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self {
            index: None,
            errno,
            text: None,
        }
    }
}

/// A netlink socket.
#[derive(Debug)]
pub struct NetlinkSocket(OwnedFd);

impl NetlinkSocket {
    /// For rtnetlink(7), in the caller's network namespace.
    ///
    /// # Errors
    /// As socket(2) and bind(2).
    pub fn route() -> Result<Self, Errno> {
        // Protocol 0 is NETLINK_ROUTE.
        Self::open(None)
    }

    /// For nfnetlink, in the caller's network namespace.
    ///
    /// # Errors
    /// As socket(2) and bind(2); EPROTONOSUPPORT where the kernel has no nfnetlink.
    pub fn netfilter() -> Result<Self, Errno> {
        Self::open(Some(NETFILTER))
    }

    fn open(protocol: Option<Protocol>) -> Result<Self, Errno> {
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            // Words instead of a number are a kindness; older kernels have none.
            if set_option(fd.as_fd(), option).is_err() {
                break;
            }
        }
        Ok(Self(fd))
    }

    /// Closes it in a child, where the caller has one thread: what nfnetlink was told to take away
    /// makes close(2) wait until the kernel's readers are done with it, 10 ms on Linux 6.18. The
    /// child ends by itself, and is nobody's to wait for.
    pub fn close_aside(self) {
        if !is_single_threaded() {
            return;
        }
        let Ok(Forked::Child) = Clone3::default().run() else {
            return;
        };
        // Whoever waits for the end of a pipe or for a lock must not wait for this.
        release_all_but(self.0.as_fd()).ok();
        release(self.0.as_fd()).ok();
        exit_now(0)
    }

    /// Hears what a group of the kernel announces (RTNLGRP_*, NFNLGRP_*).
    ///
    /// # Errors
    /// As setsockopt(2); EPERM without CAP_NET_ADMIN for groups of nfnetlink.
    pub fn subscribe(&self, group: u32) -> Result<(), Errno> {
        set_value(
            self.0.as_fd(),
            libc::NETLINK_ADD_MEMBERSHIP,
            group.cast_signed(),
        )
    }

    /// Sends a batch; the kernel has dealt with every message of it when this returns.
    ///
    /// The last message at least must ask for an answer (NLM_F_ACK), or in a transaction of
    /// nfnetlink the last one before its end; errors are answered anyway. The first refusal is
    /// returned. Messages of rtnetlink behind it are carried out all the same; a transaction of
    /// nfnetlink is undone whole.
    ///
    /// # Errors
    /// The kernel's refusal; EMSGSIZE when the batch is longer than the socket takes, EBADMSG when
    /// nothing was answered.
    pub fn perform(&self, batch: &[u8]) -> Result<(), Refusal> {
        if batch.is_empty() {
            return Ok(());
        }
        self.send(batch)?;
        let mut answered = false;
        let mut first: Option<Refusal> = None;
        let mut buffer = vec![0; RECEIVE];
        // The kernel does all the work inside of send(2): every answer is there by now.
        loop {
            let length = match self.receive(&mut buffer, RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => break,
                other => other?,
            };
            for message in Messages(buffer.get(..length).unwrap_or_default()) {
                let message = message?;
                if i32::from(message.kind) == libc::NLMSG_ERROR {
                    answered = true;
                    first = first.or_else(|| message.refusal());
                }
            }
        }
        match first {
            Some(refusal) => Err(refusal),
            None if answered => Ok(()),
            None => Err(Errno::BADMSG.into()),
        }
    }

    /// Asks one question, and hands type, and body behind the header, of each answer to `each`.
    ///
    /// # Errors
    /// The kernel's refusal, or EINTR when what was listed changed meanwhile (NLM_F_DUMP_INTR): ask
    /// again.
    pub fn ask(&self, question: &Batch, mut each: impl FnMut(u16, &[u8])) -> Result<(), Refusal> {
        self.send(question.bytes()?)?;
        let mut buffer = vec![0; RECEIVE];
        let mut interrupted = false;
        loop {
            let length = self.receive(&mut buffer, RecvFlags::empty())?;
            for message in Messages(buffer.get(..length).unwrap_or_default()) {
                let message = message?;
                interrupted |= i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0;
                match i32::from(message.kind) {
                    // The end of a dump carries the error that cut it short.
                    libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                        return match message.refusal() {
                            Some(refusal) => Err(refusal),
                            None if interrupted => Err(Errno::INTR.into()),
                            None => Ok(()),
                        };
                    }
                    _ => each(message.kind, message.body),
                }
                if i32::from(message.flags) & libc::NLM_F_MULTI == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// Waits for announcements of the subscribed groups and hands type and body of each to `each`.
    ///
    /// # Errors
    /// ENOBUFS when some were lost because nobody read in time.
    pub fn listen(&self, mut each: impl FnMut(u16, &[u8])) -> Result<(), Errno> {
        let mut buffer = vec![0; RECEIVE];
        let length = self.receive(&mut buffer, RecvFlags::empty())?;
        for message in Messages(buffer.get(..length).unwrap_or_default()) {
            let message = message.map_err(|refusal| refusal.errno)?;
            each(message.kind, message.body);
        }
        Ok(())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        loop {
            match send(&self.0, bytes, SendFlags::empty()) {
                Err(Errno::INTR) => {}
                other => return other.map(drop),
            }
        }
    }

    fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
        loop {
            match recv(&self.0, &mut *buffer, flags) {
                Err(Errno::INTR) => {}
                Ok((length, _)) => return Ok(length),
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A message that was received.
struct Message<'a> {
    kind: u16,
    flags: u16,
    number: u32,
    body: &'a [u8],
}

impl Message<'_> {
    /// The error in it, if it has one (`struct nlmsgerr`, or the number of NLMSG_DONE).
    fn refusal(&self) -> Option<Refusal> {
        let code = number(self.body, 0).map_or(0, u32::cast_signed);
        if code >= 0 {
            return None;
        }
        let request = match self.flags & CAPPED {
            0 => number(self.body, 4).and_then(|length| usize::try_from(length).ok()),
            _ => Some(HEADER),
        };
        let attributes = request.and_then(|length| self.body.get(4 + length.next_multiple_of(4)..));
        let text = attributes
            .filter(|_| self.flags & ACK_TLVS != 0)
            .and_then(|attributes| attribute_of(attributes, TEXT))
            .map(|text| {
                String::from_utf8_lossy(text)
                    .trim_end_matches('\0')
                    .to_owned()
            });
        Some(Refusal {
            index: Some(self.number),
            errno: Errno::from_raw_os_error(code.saturating_neg()),
            text,
        })
    }
}

/// The messages of a packet.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let message = self.take();
        if message.is_none() {
            self.0 = &[];
        }
        Some(message.ok_or_else(|| Errno::BADMSG.into()))
    }
}

impl<'a> Messages<'a> {
    fn take(&mut self) -> Option<Message<'a>> {
        let length = usize::try_from(number(self.0, 0)?).ok()?;
        let message = Message {
            kind: short(self.0, 4)?,
            flags: short(self.0, 6)?,
            number: number(self.0, 8)?,
            body: self.0.get(HEADER..length)?,
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

fn set_option(socket: BorrowedFd<'_>, option: libc::c_int) -> Result<(), Errno> {
    set_value(socket, option, 1)
}

/// setsockopt(2) of level SOL_NETLINK.
fn set_value(socket: BorrowedFd<'_>, option: libc::c_int, value: i32) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of::<i32>()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the options of SOL_NETLINK that are set here take one int; `value` is one, alive for
    // the call, and `length` says its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(crate::clone::last_errno()),
    }
}

#[cfg(test)]
mod tests;

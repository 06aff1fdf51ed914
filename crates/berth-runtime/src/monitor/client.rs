//! One connection to the monitor.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use berth_base::protocol::{self, MAX_PACKET};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};

/// So many bytes of output wait for a client that does not take them; what comes then is left out.
/// The kernel keeps some 200 KiB more in the socket.
pub(super) const MAX_WAITING: usize = 256 * 1024;

/// What a connection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// The process, by unit number.
    pub(super) unit: u32,
    /// It gets the output.
    pub(super) output: bool,
    /// It gives the input.
    pub(super) input: bool,
    /// It began the process: it is not one that looks on, but the other end of its streams.
    pub(super) owner: bool,
}

/// One packet of a client.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) kind: u8,
    pub(super) payload: &'a [u8],
    /// The last descriptor that came along. Others are closed already.
    pub(super) file: Option<OwnedFd>,
}

/// A client and what it has not taken yet.
pub(super) struct Client {
    socket: OwnedFd,
    pub(super) greeted: bool,
    pub(super) binding: Option<Binding>,
    /// The connection that asked for the start of the container.
    pub(super) is_launcher: bool,
    /// The version of the protocol that is spoken.
    version: u16,
    waiting: VecDeque<Vec<u8>>,
    /// Bytes in `waiting`.
    waiting_bytes: usize,
    /// Bytes of output that were left out since it took everything.
    skipped: u64,
    /// When it last took something, while something waits.
    behind_since: Option<Instant>,
    /// Close once everything is taken: the process it was bound to has ended.
    pub(super) closing: bool,
    /// It takes nothing any more; what it said before is still to be read.
    deaf: bool,
    gone: bool,
}

impl Client {
    pub(super) const fn new(socket: OwnedFd, is_launcher: bool) -> Self {
        Self {
            socket,
            greeted: is_launcher,
            binding: None,
            is_launcher,
            version: protocol::VERSION,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            skipped: 0,
            behind_since: None,
            closing: false,
            deaf: false,
            gone: false,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether it has closed, or broken.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether it takes nothing more of what is sent to it.
    pub(super) const fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// Whether packets wait for it.
    pub(super) fn is_behind(&self) -> bool {
        !self.gone && !self.waiting.is_empty()
    }

    /// Since when it has taken nothing of what waits for it.
    pub(super) const fn behind_since(&self) -> Option<Instant> {
        self.behind_since
    }

    /// Sends output, or keeps it, or leaves it out where too much is kept already.
    pub(super) fn push_output(&mut self, kind: u8, bytes: &[u8]) {
        if self.skipped > 0 || self.waiting_bytes + bytes.len() > MAX_WAITING {
            self.skipped = self.skipped.saturating_add(bytes.len() as u64);
        } else {
            self.push(kind, bytes);
        }
    }

    /// Sends a packet, or keeps it until the client takes more.
    pub(super) fn push(&mut self, kind: u8, payload: &[u8]) {
        if self.gone || self.deaf {
            return;
        }
        if kind != protocol::SKIPPED {
            self.say_skipped();
        }
        let mut packet = Vec::with_capacity(payload.len() + 1);
        packet.push(kind);
        packet.extend_from_slice(payload);
        if !self.waiting.is_empty() || !self.try_send(&packet) {
            self.behind_since.get_or_insert_with(Instant::now);
            self.waiting_bytes += packet.len();
            self.waiting.push_back(packet);
        }
    }

    /// Tells the client how much it missed; an old one would not know the packet.
    fn say_skipped(&mut self) {
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 && self.version >= protocol::SKIPPED_SINCE {
            self.push(protocol::SKIPPED, &skipped.to_le_bytes());
        }
    }

    /// Sends what waits, as far as the client takes it.
    pub(super) fn flush(&mut self) {
        while !self.gone
            && let Some(packet) = self.waiting.pop_front()
        {
            if !self.try_send(&packet) {
                self.waiting.push_front(packet);
                return;
            }
            self.waiting_bytes -= packet.len();
            self.behind_since = Some(Instant::now());
        }
        self.waiting_bytes = 0;
        self.behind_since = None;
        // What it needed once is not kept for as long as the container lives.
        self.waiting = VecDeque::new();
        self.say_skipped();
    }

    /// False when the client must be waited for.
    fn try_send(&mut self, packet: &[u8]) -> bool {
        loop {
            match send(
                &self.socket,
                packet,
                SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
            ) {
                Ok(_) => return true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => return false,
                Err(_) => {
                    self.deaf = true;
                    return true;
                }
            }
        }
    }

    /// Receives one packet into `buffer`; `None` when there is none.
    pub(super) fn receive<'a>(&mut self, buffer: &'a mut [u8; MAX_PACKET]) -> Option<Said<'a>> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let mut parts = [IoSliceMut::new(&mut buffer[..])];
            match recvmsg(&self.socket, &mut parts, &mut control, flags) {
                Ok(message) if message.bytes == 0 => self.gone = true,
                Ok(message) => break message.bytes,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                Err(_) => self.gone = true,
            }
            return None;
        };
        let mut file = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                file = descriptors.last();
            }
        }
        let (kind, payload) = buffer.get(..length)?.split_first()?;
        Some(Said {
            kind: *kind,
            payload,
            file,
        })
    }

    /// Answers a hello with the version that is spoken; false when there is none.
    pub(super) fn greet(&mut self, payload: &[u8]) -> bool {
        let newest = payload.first_chunk().map(|b| u16::from_le_bytes(*b));
        let agreed = newest.and_then(|newest| protocol::agree(newest, protocol::VERSION));
        self.version = agreed.unwrap_or(protocol::FIRST_VERSION);
        self.push(protocol::MONITOR_HELLO, &self.version.to_le_bytes());
        self.greeted = agreed.is_some();
        self.greeted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, recv, socketpair};

    fn client() -> (Client, OwnedFd) {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        (Client::new(ours, false), theirs)
    }

    fn take(socket: &OwnedFd) -> Option<Vec<u8>> {
        let mut buffer = vec![0; MAX_PACKET];
        let (length, _) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_left_out_is_said() {
        let (mut client, theirs) = client();
        let chunk = vec![7; 16 * 1024];
        for _ in 0..1000 {
            client.push_output(protocol::STDOUT, &chunk);
        }
        assert!(client.waiting_bytes <= MAX_WAITING);
        assert!(client.behind_since().is_some());
        client.push(protocol::EXITED, &[0, 3]);
        let (mut taken, mut skipped) = (0, 0);
        loop {
            client.flush();
            match take(&theirs) {
                Some(packet) if packet[0] == protocol::SKIPPED => {
                    skipped = u64::from_le_bytes(packet[1..].try_into().unwrap());
                }
                Some(packet) if packet[0] == protocol::EXITED => break,
                Some(packet) => taken += packet.len() as u64 - 1,
                None => panic!("the last packet is missing"),
            }
        }
        assert!(skipped > 0);
        assert_eq!(taken + skipped, 1000 * 16 * 1024);
        assert!(!client.is_behind());
        assert_eq!(client.behind_since(), None);
        // From here on it is as any other.
        client.push_output(protocol::STDOUT, b"x");
        assert_eq!(take(&theirs).unwrap(), b"ox");
    }

    #[test]
    fn one_of_version_1_hears_nothing_of_what_is_left_out() {
        let (mut client, theirs) = client();
        assert!(client.greet(&1u16.to_le_bytes()));
        assert_eq!(take(&theirs).unwrap(), b"H\x01\x00");
        client.skipped = 5;
        client.push(protocol::EXITED, &[0, 0]);
        assert_eq!(take(&theirs).unwrap(), b"X\x00\x00");
    }

    #[test]
    fn a_hello_is_answered_with_the_lower_version() {
        for (said, answered, greeted) in [
            (1u16, 1, true),
            (2, 2, true),
            (3, 3, true),
            (4, 4, true),
            (700, 4, true),
            (0, 1, false),
        ] {
            let (mut client, theirs) = client();
            assert_eq!(client.greet(&said.to_le_bytes()), greeted);
            assert_eq!(take(&theirs).unwrap(), [b'H', answered, 0]);
        }
        let (mut client, _theirs) = client();
        assert!(!client.greet(&[]));
    }

    #[test]
    fn what_a_client_said_before_it_closed_is_still_heard() {
        let (mut client, theirs) = client();
        send(&theirs, b"ifed", SendFlags::empty()).unwrap();
        drop(theirs);
        client.push(protocol::STDOUT, b"x");
        assert!(client.is_deaf() && !client.is_gone());
        let mut buffer = [0; MAX_PACKET];
        let said = client.receive(&mut buffer).unwrap();
        assert_eq!((said.kind, said.payload), (b'i', &b"fed"[..]));
        assert!(said.file.is_none());
        assert!(client.receive(&mut buffer).is_none());
        assert!(client.is_gone());
    }

    /// Whatever a client sends along that nobody asked for is closed again.
    #[test]
    fn one_descriptor_of_a_packet_is_kept() {
        let (mut client, theirs) = client();
        let (read, write) = rustix::pipe::pipe().unwrap();
        let (last, _write) = rustix::pipe::pipe().unwrap();
        for sent in [vec![write.as_fd(), last.as_fd()], vec![write.as_fd(); 200]] {
            let mut space = vec![MaybeUninit::uninit(); 4096];
            let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
            assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&sent)));
            let parts = [std::io::IoSlice::new(b"f")];
            rustix::net::sendmsg(&theirs, &parts, &mut control, SendFlags::empty()).unwrap();
        }
        let mut buffer = [0; MAX_PACKET];
        let said = client.receive(&mut buffer).unwrap();
        let kept = said
            .file
            .map(|file| rustix::fs::fstat(&file).unwrap().st_ino);
        assert_eq!(kept, Some(rustix::fs::fstat(&last).unwrap().st_ino));
        drop(client.receive(&mut buffer).unwrap());
        drop(write);
        // Nobody has the other end open any more.
        assert_eq!(rustix::io::read(&read, &mut [0; 1]).unwrap(), 0);
    }
}

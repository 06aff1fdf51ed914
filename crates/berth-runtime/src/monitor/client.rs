//! One connection to the monitor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_base::protocol::{self, MAX_PACKET};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// What a connection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// The process, by unit number.
    pub(super) unit: u32,
    /// It gets the output.
    pub(super) output: bool,
    /// It gives the input.
    pub(super) input: bool,
}

/// A client and what it has not taken yet.
pub(super) struct Client {
    socket: OwnedFd,
    pub(super) greeted: bool,
    pub(super) binding: Option<Binding>,
    /// The connection that asked for the start of the container.
    pub(super) is_launcher: bool,
    waiting: Vec<Vec<u8>>,
    /// Close once everything is taken: the process it was bound to has ended.
    pub(super) closing: bool,
    gone: bool,
}

impl Client {
    pub(super) const fn new(socket: OwnedFd, is_launcher: bool) -> Self {
        Self {
            socket,
            greeted: is_launcher,
            binding: None,
            is_launcher,
            waiting: Vec::new(),
            closing: false,
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

    /// Whether packets wait for it.
    pub(super) fn is_behind(&self) -> bool {
        !self.gone && !self.waiting.is_empty()
    }

    /// Sends a packet, or keeps it until the client takes more.
    pub(super) fn push(&mut self, kind: u8, payload: &[u8]) {
        if self.gone {
            return;
        }
        let mut packet = Vec::with_capacity(payload.len() + 1);
        packet.push(kind);
        packet.extend_from_slice(payload);
        if !self.waiting.is_empty() || !self.try_send(&packet) {
            self.waiting.push(packet);
        }
    }

    /// Sends what waits, as far as the client takes it.
    pub(super) fn flush(&mut self) {
        while !self.gone && !self.waiting.is_empty() {
            let packet = self.waiting.remove(0);
            if !self.try_send(&packet) {
                self.waiting.insert(0, packet);
                return;
            }
        }
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
                    self.gone = true;
                    return true;
                }
            }
        }
    }

    /// Receives one packet into `buffer`; `None` when there is none.
    pub(super) fn receive<'a>(
        &mut self,
        buffer: &'a mut [u8; MAX_PACKET],
    ) -> Option<(u8, &'a [u8])> {
        loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.gone = true,
                Ok((length, _)) => {
                    let (kind, payload) = buffer.get(..length)?.split_first()?;
                    return Some((*kind, payload));
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                Err(_) => self.gone = true,
            }
            return None;
        }
    }

    /// Answers a hello; false when the client may not speak to us.
    pub(super) fn greet(&mut self, payload: &[u8]) -> bool {
        let version = payload.first_chunk().map(|b| u16::from_le_bytes(*b));
        self.push(protocol::MONITOR_HELLO, &protocol::VERSION.to_le_bytes());
        self.greeted = version == Some(protocol::VERSION);
        self.greeted
    }
}

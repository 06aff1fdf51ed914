//! A socket on which one query was sent to one server.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

/// A socket that is connected, or about to be, to a server.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    /// Where what is said has no packets.
    stream: Option<Stream>,
}

#[derive(Debug)]
struct Stream {
    /// The query behind its length.
    unsent: Vec<u8>,
    received: Vec<u8>,
}

impl Link {
    /// Sends a query by UDP, from a port that the kernel draws at random. Being connected, the
    /// socket hears that server alone, and hears of it when nobody listens there.
    pub(super) fn datagram(server: SocketAddr, packet: &[u8]) -> Result<Self, Errno> {
        let socket = open(server, SocketType::DGRAM)?;
        connect(&socket, &server)?;
        send(&socket, packet, SendFlags::NOSIGNAL)?;
        Ok(Self {
            socket,
            stream: None,
        })
    }

    /// Begins to send a query by TCP.
    pub(super) fn stream(server: SocketAddr, packet: &[u8]) -> Result<Self, Errno> {
        let socket = open(server, SocketType::STREAM)?;
        match connect(&socket, &server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        let length = u16::try_from(packet.len()).map_err(|_| Errno::MSGSIZE)?;
        Ok(Self {
            socket,
            stream: Some(Stream {
                unsent: [&length.to_be_bytes(), packet].concat(),
                received: Vec::new(),
            }),
        })
    }

    /// Whether packets come as such.
    pub(super) fn is_datagram(&self) -> bool {
        self.stream.is_none()
    }

    /// What it waits for.
    pub(super) fn interest(&self) -> EventFlags {
        match &self.stream {
            Some(stream) if !stream.unsent.is_empty() => EventFlags::OUT,
            _ => EventFlags::IN,
        }
    }

    /// Goes on; a packet when one is there. `buffer` holds the longest that there is.
    pub(super) fn receive<'a>(
        &'a mut self,
        buffer: &'a mut [u8],
    ) -> Result<Option<&'a [u8]>, Errno> {
        match &mut self.stream {
            Some(stream) => stream.receive(&self.socket, buffer),
            None => match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => Ok(buffer.get(..length)),
                Err(Errno::AGAIN | Errno::INTR) => Ok(None),
                Err(errno) => Err(errno),
            },
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Stream {
    fn receive<'a>(
        &'a mut self,
        socket: &OwnedFd,
        buffer: &mut [u8],
    ) -> Result<Option<&'a [u8]>, Errno> {
        while !self.unsent.is_empty() {
            match send(socket, &self.unsent, SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.unsent.drain(..sent.min(self.unsent.len()))),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
        loop {
            match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(Errno::CONNRESET),
                Ok((length, _)) => {
                    self.received.extend(buffer.iter().take(length));
                    if self.packet().is_some() {
                        return Ok(self.packet());
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The packet, if all of it is there.
    fn packet(&self) -> Option<&[u8]> {
        let (length, rest) = self.received.split_first_chunk()?;
        rest.get(..usize::from(u16::from_be_bytes(*length)))
    }
}

fn open(server: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let family = match server {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, kind, flags, None)
}

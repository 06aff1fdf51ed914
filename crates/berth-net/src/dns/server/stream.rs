//! Queries by TCP (RFC 7766): many on one connection, answered as the answers come.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use super::datagram::{MAX_QUERY, Response, Transport};
use super::forward::Client;
use super::slots::Token;
use super::{Server, Source};
use crate::dns::message::HEAD;

/// How many connections a container may have, and all together.
pub(super) const PER_CONTAINER: usize = 32;
pub(super) const IN_ALL: usize = 1024;
/// How many are accepted before others have their turn.
const BURST: usize = 8;
/// How many queries of a connection may wait for an answer from outside.
const MAX_WAITING: usize = 64;
/// How much a client may leave unread before no more of its queries are looked at.
const MAX_UNSENT: usize = 128 << 10;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) container: Token,
    socket: OwnedFd,
    /// What came and has not been looked at.
    input: Vec<u8>,
    /// What could not be sent yet.
    output: Vec<u8>,
    /// Queries that were passed on.
    pub(super) waiting: usize,
    /// The client says no more, but may still listen.
    ended: bool,
    /// When the last whole query came.
    active: Instant,
    interest: EventFlags,
}

impl Connection {
    fn is_full(&self) -> bool {
        self.waiting >= MAX_WAITING || self.output.len() >= MAX_UNSENT
    }

    fn wanted(&self) -> EventFlags {
        let mut wanted = EventFlags::empty();
        if !self.ended && !self.is_full() {
            wanted |= EventFlags::IN;
        }
        if !self.output.is_empty() {
            wanted |= EventFlags::OUT;
        }
        wanted
    }

    /// Sends what there is; an error when the client is gone.
    fn flush(&mut self) -> Result<(), Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        while !self.output.is_empty() {
            match send(&self.socket, &self.output, flags) {
                Ok(sent) => drop(self.output.drain(..sent.min(self.output.len()))),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// The first query of what came, behind its length.
enum Frame<'a> {
    Whole(&'a [u8]),
    Part,
    /// Nothing that a resolver would send.
    Nonsense,
}

fn first_frame(input: &[u8]) -> Frame<'_> {
    let Some((length, rest)) = input.split_first_chunk() else {
        return Frame::Part;
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if !(HEAD..=MAX_QUERY).contains(&length) {
        return Frame::Nonsense;
    }
    rest.get(..length).map_or(Frame::Part, Frame::Whole)
}

impl Server {
    pub(super) fn accept_connection(&mut self, token: Token) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        for _ in 0..BURST {
            let Some(container) = self.containers.get(token) else {
                return;
            };
            match accept_with(&container.tcp, flags) {
                Ok(socket) => self.add_connection(token, socket),
                // Nothing gets better by itself here, and the listener stays readable.
                Err(Errno::MFILE | Errno::NFILE) => return self.close_heaviest(),
                Err(_) => return,
            }
        }
    }

    fn add_connection(&mut self, container: Token, socket: OwnedFd) {
        if self.connections.len() >= IN_ALL {
            self.close_heaviest();
        }
        let Some(owner) = self.containers.get_mut(container) else {
            return;
        };
        if owner.connections >= PER_CONTAINER {
            return;
        }
        owner.connections += 1;
        let interest = EventFlags::IN;
        let token = self.connections.insert(Connection {
            container,
            socket,
            input: Vec::new(),
            output: Vec::new(),
            waiting: 0,
            ended: false,
            active: self.now,
            interest,
        });
        let watched = self.connections.get(token).is_some_and(|connection| {
            let source = Source::Connection(token);
            self.watch(connection.socket.as_fd(), source, interest)
                .is_ok()
        });
        match watched {
            true => self.expect_end(token, self.now),
            false => self.close_connection(token),
        }
    }

    fn expect_end(&mut self, token: Token, active: Instant) {
        let timer = (active + self.config.idle, token);
        self.timers.connections.push_back(timer);
    }

    /// Closes the connection, of the container that has the most, that has been idle for longest.
    fn close_heaviest(&mut self) {
        let heaviest = self.heaviest(|container| container.connections);
        let connections = self.connections.iter();
        let own = connections.filter(|(_, connection)| Some(connection.container) == heaviest);
        if let Some((token, _)) = own.min_by_key(|(_, connection)| connection.active) {
            self.close_connection(token);
        }
    }

    /// A connection has been there for a while.
    pub(super) fn close_if_idle(&mut self, token: Token) {
        let Some(connection) = self.connections.get(token) else {
            return;
        };
        let active = match connection.waiting {
            0 => connection.active,
            _ => self.now,
        };
        if self.now.duration_since(active) >= self.config.idle {
            self.close_connection(token);
        } else {
            // The queue stays in order: what was active later than others is looked at later.
            self.expect_end(token, self.now);
        }
    }

    pub(super) fn close_connection(&mut self, token: Token) {
        let Some(connection) = self.connections.remove(token) else {
            return;
        };
        if let Some(container) = self.containers.get_mut(connection.container) {
            container.connections = container.connections.saturating_sub(1);
        }
    }

    pub(super) fn attend_connection(&mut self, token: Token, flags: EventFlags) {
        let mut inbox = std::mem::take(&mut self.inbox);
        if let Some(connection) = self.connections.get_mut(token) {
            let readable = EventFlags::IN | EventFlags::HUP | EventFlags::ERR;
            if flags.intersects(readable) && connection.interest.contains(EventFlags::IN) {
                match recv(&connection.socket, &mut inbox[..], RecvFlags::DONTWAIT) {
                    Ok((0, _)) => connection.ended = true,
                    Ok((length, _)) => connection.input.extend(inbox.iter().take(length)),
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(_) => self.close_connection(token),
                }
            } else if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                self.close_connection(token);
            }
        }
        self.inbox = inbox;
        self.serve_connection(token);
    }

    /// Goes on with the connections that got answers.
    pub(super) fn serve_lively(&mut self) {
        while let Some(token) = self.lively.pop() {
            self.serve_connection(token);
        }
    }

    /// Answers what came, sends what is to be sent, and closes what is finished.
    fn serve_connection(&mut self, token: Token) {
        loop {
            let Some(connection) = self.connections.get_mut(token) else {
                return;
            };
            // Sent first: it may make room for queries that had to wait.
            if connection.flush().is_err() {
                return self.close_connection(token);
            }
            if self.answer_frames(token) == 0 {
                break;
            }
        }
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        if connection.ended && connection.waiting == 0 && connection.output.is_empty() {
            return self.close_connection(token);
        }
        let wanted = connection.wanted();
        if wanted != connection.interest {
            connection.interest = wanted;
            let data = Source::Connection(token).data();
            let socket = connection.socket.as_fd();
            if epoll::modify(&self.epoll, socket, data, wanted).is_err() {
                self.close_connection(token);
            }
        }
    }

    /// Answers the queries that are there, as long as there is room for answers; says how many.
    fn answer_frames(&mut self, token: Token) -> usize {
        let Some(connection) = self.connections.get_mut(token) else {
            return 0;
        };
        let container = connection.container;
        let input = std::mem::take(&mut connection.input);
        let mut out = std::mem::take(&mut self.outbox);
        let mut rest = &input[..];
        let mut count = 0;
        while self.connections.get(token).is_some_and(|c| !c.is_full()) {
            let packet = match first_frame(rest) {
                Frame::Whole(packet) => packet,
                Frame::Part => break,
                Frame::Nonsense => {
                    self.close_connection(token);
                    break;
                }
            };
            rest = rest.get(2 + packet.len()..).unwrap_or_default();
            count += 1;
            match self.respond(container, packet, Transport::Stream, &mut out) {
                Response::Silence => {}
                Response::Send => self.queue(token, &out),
                Response::Forward(question) => {
                    self.forward(container, Client::Stream(token), question);
                }
            }
        }
        self.outbox = out;
        if let Some(connection) = self.connections.get_mut(token) {
            connection.input = rest.to_vec();
            if count > 0 {
                connection.active = self.now;
            }
        }
        count
    }

    /// Adds an answer to what is to be sent.
    pub(super) fn queue(&mut self, token: Token, packet: &[u8]) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        if let Ok(length) = u16::try_from(packet.len()) {
            connection.output.extend(length.to_be_bytes());
            connection.output.extend(packet);
            self.lively.push(token);
        }
    }
}

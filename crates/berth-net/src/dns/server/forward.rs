//! Queries that are passed on to other servers, from the host's namespace.
//!
//! Each has a socket of its own, so that its source port is random and the kernel lets in packets
//! of the server that was asked alone; its number is random, and an answer must repeat its
//! question. What the server says goes to the client as it came, with the client's number.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;

use rustix::event::epoll;
use rustix::net::SocketAddrAny;
use rustix::rand::{GetRandomFlags, getrandom};

use super::datagram::Transport;
use super::slots::Token;
use super::upstream_socket::Link;
use super::{Server, Source};
use crate::dns::message::{self, Answer, Code, HEAD, Heard, MIN_LIMIT, judge, set_id, truncate};
use crate::dns::upstream::Upstreams;

/// How many queries of one container may wait, and how many of all.
pub(super) const PER_CONTAINER: usize = 256;
pub(super) const IN_ALL: usize = 1024;
/// How many packets are looked at that are not the answer, before others have their turn.
const BURST: usize = 8;

/// A query that is not answered from here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) packet: &'a [u8],
    /// Where the question in it ends.
    pub(super) question_end: usize,
    /// The longest answer.
    pub(super) limit: usize,
    pub(super) transport: Transport,
}

/// Who waits for an answer.
#[derive(Clone, Debug)]
pub(super) enum Client {
    /// Who sent a packet to the container's UDP socket from this address.
    Datagram(SocketAddrAny),
    /// A connection.
    Stream(Token),
}

/// A query that was passed on.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) container: Token,
    client: Client,
    /// As the client sent it.
    packet: Vec<u8>,
    /// Where its question ends.
    question_end: usize,
    limit: usize,
    servers: Rc<Upstreams>,
    /// The place of the server that was asked first.
    first: usize,
    attempt: usize,
    transport: Transport,
    /// Counts the sockets, so that the timer of an earlier one means nothing.
    round: usize,
    link: Option<Link>,
    id: u16,
    /// A part of the answer, for when the whole cannot be had.
    partial: Option<Vec<u8>>,
}

impl Pending {
    fn server(&self) -> Option<SocketAddr> {
        self.servers.server(self.first, self.attempt)
    }
}

impl Server {
    /// Passes a query on, or tells the client that it cannot be.
    pub(super) fn forward(&mut self, container: Token, client: Client, question: Question<'_>) {
        if !self.make_room(container) {
            return self.answer_code(container, &client, question.packet, Code::Refused);
        }
        let Some(asking) = self.containers.get_mut(container) else {
            return;
        };
        let servers = match &asking.servers {
            Some(servers) => Rc::clone(servers),
            None => self.host.current(self.now),
        };
        asking.pending += 1;
        if let Client::Stream(connection) = client
            && let Some(connection) = self.connections.get_mut(connection)
        {
            connection.waiting += 1;
        }
        let token = self.pending.insert(Pending {
            container,
            client,
            packet: question.packet.to_vec(),
            question_end: question.question_end,
            limit: question.limit,
            first: servers.first(self.now),
            servers,
            attempt: 0,
            transport: question.transport,
            round: 0,
            link: None,
            id: 0,
            partial: None,
        });
        self.ask(token);
    }

    /// Whether one more query of a container may wait. Where there is no room for more at all, the
    /// container with the most gives up its oldest.
    fn make_room(&mut self, container: Token) -> bool {
        let own = self.containers.get(container).map(|c| c.pending);
        if own.is_none_or(|own| own >= PER_CONTAINER) {
            return false;
        }
        if self.pending.len() < IN_ALL {
            return true;
        }
        let heaviest = self.heaviest(|container| container.pending);
        if heaviest.is_none() || heaviest == Some(container) {
            return false;
        }
        let mut queue = self.timers.pending.iter().map(|timer| timer.1);
        let oldest = queue.find(|token| {
            let pending = self.pending.get(*token);
            pending.is_some_and(|pending| Some(pending.container) == heaviest)
        });
        oldest.is_some_and(|oldest| {
            self.fail(oldest, Code::Refused);
            true
        })
    }

    /// Answers a query with nothing but a code.
    fn answer_code(&mut self, container: Token, client: &Client, packet: &[u8], code: Code) {
        if let Ok(query) = message::parse(packet) {
            let mut out = Vec::new();
            // It is shorter than every client's limit.
            Answer::begin(&mut out, &query, MIN_LIMIT, true).finish(code);
            self.answer(container, client, &out);
        }
    }

    /// Sends a query to the server whose turn it is, or to the next that can be reached.
    fn ask(&mut self, token: Token) {
        while let Some(pending) = self.pending.get_mut(token) {
            if pending.attempt >= pending.servers.attempts() {
                return self.give_up(token);
            }
            pending.id = self.random.number();
            let mut packet = pending.packet.clone();
            set_id(&mut packet, pending.id);
            let opened = pending.server().and_then(|server| match pending.transport {
                Transport::Datagram => Link::datagram(server, &packet).ok(),
                Transport::Stream => Link::stream(server, &packet).ok(),
            });
            if let Some(link) = opened
                && self.attach(token, link)
            {
                return;
            }
            if has_part(self.pending.get(token)) {
                return self.give_up(token);
            }
            self.pass_on(token);
        }
    }

    /// Watches a query's new socket.
    fn attach(&mut self, token: Token, link: Link) -> bool {
        let source = Source::Pending(token);
        let watched = self.watch(link.as_fd(), source, link.interest());
        if watched.is_err() {
            return false;
        }
        if let Some(pending) = self.pending.get_mut(token) {
            // The one before is closed with that, and is watched no more: nobody else has it.
            pending.link = Some(link);
            pending.round += 1;
            let deadline = self.now + self.config.timeout;
            let timer = (deadline, token, pending.round);
            self.timers.pending.push_back(timer);
        }
        true
    }

    /// Leaves a server that could not help.
    fn pass_on(&mut self, token: Token) {
        if let Some(pending) = self.pending.get_mut(token) {
            pending.link = None;
            pending.attempt += 1;
        }
    }

    /// Asks the next server, unless a part of the answer is there already.
    fn ask_next(&mut self, token: Token) {
        if has_part(self.pending.get(token)) {
            return self.give_up(token);
        }
        self.pass_on(token);
        self.ask(token);
    }

    /// A server has been silent for too long.
    pub(super) fn time_out(&mut self, token: Token, round: usize) {
        if self.pending.get(token).is_some_and(|p| p.round == round) {
            self.ask_next(token);
        }
    }

    /// Something came from a server that was asked.
    pub(super) fn hear_upstream(&mut self, token: Token) {
        let mut inbox = std::mem::take(&mut self.inbox);
        for _ in 0..BURST {
            if !self.hear_once(token, &mut inbox) {
                break;
            }
        }
        self.inbox = inbox;
    }

    /// Takes one packet; answers whether another may be waiting.
    fn hear_once(&mut self, token: Token, inbox: &mut [u8]) -> bool {
        let Some(pending) = self.pending.get_mut(token) else {
            return false;
        };
        let Some(link) = &mut pending.link else {
            return false;
        };
        let (before, is_datagram) = (link.interest(), link.is_datagram());
        let packet = match link.receive(inbox) {
            Ok(Some(packet)) => packet,
            Ok(None) => {
                let after = link.interest();
                if after != before {
                    // It can only fail for what is not watched.
                    let data = Source::Pending(token).data();
                    epoll::modify(&self.epoll, link.as_fd(), data, after).ok();
                }
                return false;
            }
            Err(_) => {
                self.ask_next(token);
                return false;
            }
        };
        let question = pending.packet.get(HEAD..pending.question_end);
        match judge(packet, pending.id, question.unwrap_or_default()) {
            // Others may be in the queue of a UDP socket; a TCP server has said what it has to.
            Heard::Foreign if is_datagram => return true,
            Heard::Foreign | Heard::Failed => self.ask_next(token),
            Heard::Truncated { empty } if is_datagram => {
                let packet = packet.to_vec();
                self.take_part(token, packet, empty);
            }
            Heard::Truncated { .. } | Heard::Answer => {
                let packet = packet.to_vec();
                self.deliver(token, packet);
            }
        }
        false
    }

    /// A part of the answer is there. Where the client has room for more, the whole is asked for
    /// by TCP; else it will ask for it itself.
    fn take_part(&mut self, token: Token, packet: Vec<u8>, empty: bool) {
        let Some(pending) = self.pending.get_mut(token) else {
            return;
        };
        if pending.limit <= MIN_LIMIT && !empty {
            return self.deliver(token, packet);
        }
        pending.partial = Some(packet);
        pending.transport = Transport::Stream;
        self.ask(token);
    }

    /// No server has the whole answer.
    fn give_up(&mut self, token: Token) {
        let pending = self.pending.get_mut(token);
        match pending.and_then(|pending| pending.partial.take()) {
            Some(partial) => self.deliver(token, partial),
            None => self.fail(token, Code::ServFail),
        }
    }

    fn deliver(&mut self, token: Token, mut packet: Vec<u8>) {
        let Some(pending) = self.abandon(token) else {
            return;
        };
        pending
            .servers
            .answered(pending.first, pending.attempt, self.now);
        if let Some(id) = message::number(&pending.packet, 0) {
            set_id(&mut packet, id);
        }
        if packet.len() > pending.limit
            && let Ok(query) = message::parse(&pending.packet)
        {
            truncate(&mut packet, &query, pending.limit);
        }
        self.answer(pending.container, &pending.client, &packet);
    }

    /// Ends a query with nothing but a code.
    fn fail(&mut self, token: Token, code: Code) {
        let Some(pending) = self.abandon(token) else {
            return;
        };
        let (container, client) = (pending.container, &pending.client);
        self.answer_code(container, client, &pending.packet, code);
    }

    fn answer(&mut self, container: Token, client: &Client, packet: &[u8]) {
        match client {
            Client::Datagram(address) => self.send_datagram(container, packet, address),
            Client::Stream(connection) => self.queue(*connection, packet),
        }
    }

    /// Forgets a query, without a word to the client.
    pub(super) fn abandon(&mut self, token: Token) -> Option<Pending> {
        let pending = self.pending.remove(token)?;
        if let Some(container) = self.containers.get_mut(pending.container) {
            container.pending = container.pending.saturating_sub(1);
        }
        if let Client::Stream(connection) = pending.client
            && let Some(connection) = self.connections.get_mut(connection)
        {
            connection.waiting = connection.waiting.saturating_sub(1);
        }
        Some(pending)
    }
}

/// Whether a query has a part of its answer already.
fn has_part(pending: Option<&Pending>) -> bool {
    pending.is_some_and(|pending| pending.partial.is_some())
}

/// Numbers that nobody can guess, fetched many at a time.
#[derive(Debug, Default)]
pub(super) struct Random {
    bytes: Vec<u8>,
}

impl Random {
    fn number(&mut self) -> u16 {
        const AT_ONCE: usize = 256;
        if self.bytes.len() < 2 {
            self.bytes.resize(AT_ONCE, 0);
            // It has been seeded since the host booted, and does not fail for so few bytes.
            let got = getrandom(&mut self.bytes[..], GetRandomFlags::empty()).unwrap_or(0);
            self.bytes.truncate(got);
        }
        let low = self.bytes.pop().unwrap_or(0);
        let high = self.bytes.pop().unwrap_or(0);
        u16::from_be_bytes([high, low])
    }
}

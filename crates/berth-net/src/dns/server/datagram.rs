//! Queries by UDP.

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, recvfrom, sendto};

use super::Server;
use super::forward::{Client, Question};
use super::respond::{self, Verdict};
use super::slots::Token;
use crate::dns::message::{self, Answer, MAX_MESSAGE, Malformed, bare};

/// How many packets of one container are answered before the others have their turn.
const BURST: usize = 32;
/// The longest query: a name, and what EDNS adds to it. More is what no resolver sends.
pub(super) const MAX_QUERY: usize = 4096;

/// By which way a query came, and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Datagram,
    Stream,
}

/// What is to be done about a packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Response<'a> {
    /// Nothing.
    Silence,
    /// Send what is in the buffer.
    Send,
    /// Ask others.
    Forward(Question<'a>),
}

impl Server {
    pub(super) fn hear_datagrams(&mut self, token: Token) {
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut out = std::mem::take(&mut self.outbox);
        for _ in 0..BURST {
            let Some(container) = self.containers.get(token) else {
                break;
            };
            let received = recvfrom(&container.udp, &mut inbox[..], RecvFlags::DONTWAIT);
            let (length, client) = match received {
                Ok((length, _, Some(client))) => (length, client),
                Ok((_, _, None)) | Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            let packet = inbox.get(..length).unwrap_or_default();
            match self.respond(token, packet, Transport::Datagram, &mut out) {
                Response::Silence => {}
                Response::Send => self.send_datagram(token, &out, &client),
                Response::Forward(question) => {
                    self.forward(token, Client::Datagram(client), question);
                }
            }
        }
        self.inbox = inbox;
        self.outbox = out;
    }

    /// Sends an answer. One that finds no room is lost, as any packet may be.
    pub(super) fn send_datagram(&self, container: Token, packet: &[u8], client: &SocketAddrAny) {
        if let Some(container) = self.containers.get(container) {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            sendto(&container.udp, packet, flags, client).ok();
        }
    }

    /// Decides about a packet; an answer is put into the buffer.
    pub(super) fn respond<'a>(
        &mut self,
        token: Token,
        packet: &'a [u8],
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> Response<'a> {
        if packet.len() > MAX_QUERY {
            return Response::Silence;
        }
        let query = match message::parse(packet) {
            Ok(query) => query,
            Err(Malformed::Noise) => return Response::Silence,
            Err(Malformed::Code(code)) => {
                bare(out, packet, code);
                return Response::Send;
            }
        };
        let limit = match transport {
            Transport::Datagram => query.datagram_limit(),
            Transport::Stream => MAX_MESSAGE,
        };
        let Some(container) = self.containers.get(token) else {
            return Response::Silence;
        };
        let view = &container.view;
        let zone = &mut self.zone;
        let mut code = respond::refusal(&query);
        if code.is_none() {
            if respond::from_zone(zone, view, &query, limit, out) == Verdict::Answered {
                return Response::Send;
            }
            // What was announced before this query came may not have been read yet.
            if zone.refresh()
                && respond::from_zone(zone, view, &query, limit, out) == Verdict::Answered
            {
                return Response::Send;
            }
            let servers = match &container.servers {
                Some(servers) => servers.attempts(),
                None => self.host.current(self.now).attempts(),
            };
            code = respond::unknown(view, &query, servers > 0);
        }
        match code {
            Some(code) => {
                Answer::begin(out, &query, limit, view.forwards).finish(code);
                Response::Send
            }
            None => Response::Forward(Question {
                packet,
                question_end: query.head.len(),
                limit,
                transport,
            }),
        }
    }
}

//! Writing an answer.

use std::net::IpAddr;

use super::query::Edns;
use super::{Code, HEAD, Name, Query, class, flag, kind, number};

/// How long, in seconds, a client may remember what we said: a container that is made anew has
/// another address.
const TTL: u32 = 5;
/// The name of the question, as a pointer to it (RFC 1035, 4.1.4).
const QUESTION: [u8; 2] = [0xc0, 12];
/// The length of an OPT record without options.
const OPT: usize = 11;
/// What we take by UDP from clients, as our OPT record tells them.
const OUR_SIZE: u16 = 4096;

/// An answer under construction.
pub(crate) struct Answer<'a> {
    out: &'a mut Vec<u8>,
    /// The longest that it may become.
    limit: usize,
    flags: u16,
    edns: Option<Edns>,
    records: u16,
}

impl<'a> Answer<'a> {
    /// Begins an answer in a buffer, which is emptied. `recursion`: whether we would ask others.
    pub(crate) fn begin(
        out: &'a mut Vec<u8>,
        query: &Query<'_>,
        limit: usize,
        recursion: bool,
    ) -> Self {
        let kept = flag::RECURSION_DESIRED | flag::CHECKING_DISABLED;
        let mut flags = flag::RESPONSE | (query.flags & kept);
        if recursion {
            flags |= flag::RECURSION_AVAILABLE;
        }
        out.clear();
        out.extend(query.head);
        let opt = query.edns.map_or(0, |_| OPT);
        Self {
            out,
            limit: limit.saturating_sub(opt),
            flags,
            edns: query.edns,
            records: 0,
        }
    }

    /// Says that this is known here, not heard from another server.
    pub(crate) fn authoritative(mut self) -> Self {
        self.flags |= flag::AUTHORITATIVE;
        self
    }

    /// Adds an address; `false` when it does not fit, which the answer says.
    pub(crate) fn address(&mut self, address: IpAddr) -> bool {
        self.record(
            match address {
                IpAddr::V4(_) => kind::A,
                IpAddr::V6(_) => kind::AAAA,
            },
            |out| {
                match address {
                    IpAddr::V4(v4) => out.extend(v4.octets()),
                    IpAddr::V6(v6) => out.extend(v6.octets()),
                }
                Some(())
            },
        )
    }

    /// Adds the name that belongs to an address; `false` when it does not fit.
    pub(crate) fn pointer(&mut self, name: &str) -> bool {
        self.record(kind::PTR, |out| Name::write(out, name))
    }

    fn record(&mut self, kind: u16, data: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> bool {
        let start = self.out.len();
        self.out.extend(QUESTION);
        self.out.extend(kind.to_be_bytes());
        self.out.extend(class::IN.to_be_bytes());
        self.out.extend(TTL.to_be_bytes());
        let length_at = self.out.len();
        self.out.extend([0, 0]);
        let written = data(self.out).is_some();
        let length = u16::try_from(self.out.len() - length_at - 2);
        let fits = self.out.len() <= self.limit;
        match (written, fits, length) {
            (true, true, Ok(length)) => {
                put(self.out, length_at, length);
                self.records += 1;
                true
            }
            _ => {
                self.out.truncate(start);
                if !fits {
                    self.flags |= flag::TRUNCATED;
                }
                false
            }
        }
    }

    /// Ends the answer.
    pub(crate) fn finish(self, code: Code) {
        let (low, high) = code.split();
        put(self.out, 2, self.flags | low);
        put(self.out, 4, 1);
        put(self.out, 6, self.records);
        put(self.out, 8, 0);
        put(self.out, 10, u16::from(self.edns.is_some()));
        if let Some(edns) = self.edns {
            self.out.push(0);
            self.out.extend(kind::OPT.to_be_bytes());
            self.out.extend(OUR_SIZE.to_be_bytes());
            self.out.extend([high, 0]);
            self.out.extend((edns.flags & 0x8000).to_be_bytes());
            self.out.extend([0, 0]);
        }
    }

    /// Ends an answer of which the client gets nothing but the advice to ask by TCP.
    fn finish_truncated(mut self) {
        self.flags |= flag::TRUNCATED;
        self.finish(Code::NoError);
    }
}

/// An answer to a packet that is no query: a head, and nothing in it but why.
pub(crate) fn bare(out: &mut Vec<u8>, packet: &[u8], code: Code) {
    out.clear();
    out.extend(packet.get(..2).unwrap_or(&[0, 0]));
    out.resize(HEAD, 0);
    let kept = flag::OPCODE | flag::RECURSION_DESIRED;
    let flags = number(packet, 2).unwrap_or(0) & kept;
    put(out, 2, flag::RESPONSE | flags | code.split().0);
}

/// In the place of an answer that is longer than the client takes: ask by TCP.
pub(crate) fn truncate(out: &mut Vec<u8>, query: &Query<'_>, limit: usize) {
    Answer::begin(out, query, limit, true).finish_truncated();
}

fn put(out: &mut [u8], at: usize, value: u16) {
    if let Some(bytes) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *bytes = value.to_be_bytes();
    }
}

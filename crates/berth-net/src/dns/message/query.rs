//! Reading a query.

use super::{Code, HEAD, MAX_DATAGRAM, MIN_LIMIT, Name, flag, kind, number};

/// A query, read where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    /// The packet up to the end of the question.
    pub(crate) head: &'a [u8],
    /// The flags of the head.
    pub(crate) flags: u16,
    /// The name that is asked for.
    pub(crate) name: Name,
    /// The type that is asked for.
    pub(crate) kind: u16,
    /// The class that is asked for.
    pub(crate) class: u16,
    /// What the client says of itself (RFC 6891).
    pub(crate) edns: Option<Edns>,
}

/// What an OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The longest answer that the client takes by UDP.
    pub(crate) size: u16,
    /// The version; 0 is the only one.
    pub(crate) version: u8,
    /// The flags, of which one is defined: DO, which an answer repeats.
    pub(crate) flags: u16,
}

impl Query<'_> {
    /// The longest answer that the client takes by UDP.
    pub(crate) fn datagram_limit(&self) -> usize {
        let size = self.edns.map_or(0, |edns| usize::from(edns.size));
        size.clamp(MIN_LIMIT, MAX_DATAGRAM)
    }
}

/// Why a packet is no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Too short for a head, or itself an answer: nothing is said to it, else two servers could
    /// answer each other for ever.
    Noise,
    /// It is told why.
    Code(Code),
}

/// Reads a packet. All of it must make sense: one question, no records but those that say
/// something about the query, nothing behind them.
pub(crate) fn parse(packet: &[u8]) -> Result<Query<'_>, Malformed> {
    let flags = number(packet, 2).filter(|_| packet.len() >= HEAD);
    let flags = flags.ok_or(Malformed::Noise)?;
    if flags & flag::RESPONSE != 0 {
        return Err(Malformed::Noise);
    }
    if flags & flag::OPCODE != 0 {
        return Err(Malformed::Code(Code::NotImp));
    }
    read(packet, flags).ok_or(Malformed::Code(Code::FormErr))
}

fn read(packet: &[u8], flags: u16) -> Option<Query<'_>> {
    let [questions, answers, authorities, additional] =
        [4, 6, 8, 10].map(|at| number(packet, at).unwrap_or(0));
    if questions != 1 || answers != 0 || authorities != 0 {
        return None;
    }
    let (name, at) = Name::read(packet, HEAD)?;
    let mut query = Query {
        head: packet.get(..at + 4)?,
        flags,
        name,
        kind: number(packet, at)?,
        class: number(packet, at + 2)?,
        edns: None,
    };
    let mut at = at + 4;
    for _ in 0..additional {
        let body = Name::skip(packet, at)?;
        if number(packet, body)? == kind::OPT {
            let is_root = body == at + 1;
            if query.edns.is_some() || !is_root {
                return None;
            }
            query.edns = Some(Edns {
                size: number(packet, body + 2)?,
                version: *packet.get(body + 5)?,
                flags: number(packet, body + 6)?,
            });
        }
        let length = usize::from(number(packet, body + 8)?);
        at = body + 10 + length;
    }
    // Shorter as well: the last record's data may be missing.
    (at == packet.len()).then_some(query)
}

/// Gives a message another number.
pub(crate) fn set_id(message: &mut [u8], id: u16) {
    if let Some(bytes) = message.first_chunk_mut() {
        *bytes = id.to_be_bytes();
    }
}

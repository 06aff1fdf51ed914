//! DNS messages (RFC 1035, RFC 6891): reading a query, writing an answer of our own, and judging
//! what another server said. Pure.
//!
//! As much of the format as a server of names and addresses needs, and not a library for it: a
//! query is looked at where it lies, an answer is written once into a buffer that is used again,
//! and what other servers say goes through as it came. No name is followed by a pointer anywhere,
//! so there are no loops to fall into. A library builds a tree of owned names and records for each
//! message, both ways, and would be the larger part of the program that has it.

mod answer;
mod name;
mod query;
mod reply;
mod reverse;
#[cfg(test)]
mod tests;

pub(crate) use answer::{Answer, bare, truncate};
pub(crate) use name::Name;
pub(crate) use query::{Malformed, Query, parse, set_id};
pub(crate) use reply::{Heard, judge};
pub(crate) use reverse::address_of;

/// The length of a message's head.
pub(crate) const HEAD: usize = 12;
/// The longest message: TCP says its length in 16 bits.
pub(crate) const MAX_MESSAGE: usize = 65_535;
/// The longest message by UDP: IPv4 counts 16 bits with both heads.
pub(crate) const MAX_DATAGRAM: usize = 65_507;
/// What every client takes by UDP (RFC 1035, 2.3.4).
pub(crate) const MIN_LIMIT: usize = 512;

/// Flags of the head.
pub(crate) mod flag {
    pub(crate) const RESPONSE: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const AUTHORITATIVE: u16 = 0x0400;
    pub(crate) const TRUNCATED: u16 = 0x0200;
    pub(crate) const RECURSION_DESIRED: u16 = 0x0100;
    pub(crate) const RECURSION_AVAILABLE: u16 = 0x0080;
    pub(crate) const CHECKING_DISABLED: u16 = 0x0010;
    pub(crate) const CODE: u16 = 0x000f;
}

/// Types of records and questions.
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const OPT: u16 = 41;
    /// From here on: what is about a transaction or a zone's transfer, not about a name (RFC 6895).
    pub(crate) const FIRST_META: u16 = 128;
    pub(crate) const ANY: u16 = 255;
}

/// Classes.
pub(crate) mod class {
    pub(crate) const IN: u16 = 1;
    pub(crate) const ANY: u16 = 255;
}

/// How an answer ends (RFC 1035, 4.1.1; RFC 6891, 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// There is such a name.
    NoError = 0,
    /// The query cannot be read.
    FormErr = 1,
    /// No answer could be had.
    ServFail = 2,
    /// There is no such name.
    NxDomain = 3,
    /// Not that kind of query.
    NotImp = 4,
    /// Not for this client.
    Refused = 5,
    /// Not that version of EDNS.
    BadVers = 16,
}

impl Code {
    /// The four bits in the head, and the eight in front of them, which EDNS carries.
    fn split(self) -> (u16, u8) {
        match self {
            Self::NoError => (0, 0),
            Self::FormErr => (1, 0),
            Self::ServFail => (2, 0),
            Self::NxDomain => (3, 0),
            Self::NotImp => (4, 0),
            Self::Refused => (5, 0),
            Self::BadVers => (0, 1),
        }
    }
}

/// A number of 16 bits at a place.
pub(crate) fn number(packet: &[u8], at: usize) -> Option<u16> {
    let bytes = packet.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

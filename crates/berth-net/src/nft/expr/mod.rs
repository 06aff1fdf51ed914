//! The expressions that rules are made of: nf_tables' small machine, whose registers are filled by
//! one expression and read by the next. An expression that does not match ends its rule.
//!
//! Data here, bytes when written. The order of bytes is the kernel's: what comes out of a packet
//! stays in network order, what the kernel counts (marks, states, types) is in the host's.

mod list;

use std::borrow::Cow;

use berth_sys::batch::Attributes;

use super::wire::{
    DATA_VALUE, DATA_VERDICT, EXPRESSION_DATA, EXPRESSION_NAME, IPV4, IPV6, LIST_ELEMENT,
    VERDICT_CHAIN, VERDICT_CODE, VERDICT_RETURN,
};
pub use list::Expressions;

/// A register of four bytes; longer values take the following ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u32);

impl Register {
    /// The first one, where a key or a value begins.
    pub const FIRST: Self = Self::word(0);

    /// The one so many words behind the first: the parts of a concatenated key are padded to words.
    /// There are 16.
    #[must_use]
    pub const fn word(number: u32) -> Self {
        // NFT_REG32_00.
        Self(8 + number)
    }
}

/// What is known about a packet apart from its bytes (NFT_META_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// The name of the interface it came in by: 16 bytes, padded with NULs.
    InputName,
    /// The name of the interface it goes out by.
    OutputName,
    /// NFPROTO_*: one byte.
    Family,
    /// IPPROTO_*: one byte.
    Transport,
}

/// What is known about a packet's connection (NFT_CT_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A bit of [`state`]: four bytes in the host's order.
    State,
    /// Bits IPS_* (linux/netfilter/nf_conntrack_common.h): four bytes in the host's order.
    Status,
}

/// Bits of [`Connection::State`].
pub mod state {
    /// Fits no connection and begins none.
    pub const INVALID: u32 = 1;
    /// Belongs to a connection of which both directions were seen.
    pub const ESTABLISHED: u32 = 2;
    /// Begins a connection that another one announced, or is an ICMP error about one.
    pub const RELATED: u32 = 4;
}

/// IPS_DST_NAT, a bit of [`Connection::Status`]: the destination was translated.
pub const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// Where an offset counts from (NFT_PAYLOAD_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The IP header.
    Network,
    /// The header of TCP, UDP or SCTP.
    Transport,
}

/// How two values compare (NFT_CMP_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They are equal, as far as the given value goes.
    Equal,
    /// They are not.
    Unequal,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Addresses of 4 bytes.
    V4,
    /// Addresses of 16 bytes.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// NFPROTO_*.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::V4 => IPV4,
            Self::V6 => IPV6,
        }
    }

    /// Where an IP header has the source address, and the length of it.
    const fn source(self) -> (u32, u32) {
        match self {
            Self::V4 => (12, 4),
            Self::V6 => (8, 16),
        }
    }

    /// The same of the destination.
    const fn destination(self) -> (u32, u32) {
        match self {
            Self::V4 => (16, 4),
            Self::V6 => (24, 16),
        }
    }

    /// How many registers an address takes.
    pub(super) const fn words(self) -> u32 {
        match self {
            Self::V4 => 1,
            Self::V6 => 4,
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes this hook's chain; other tables' chains still see it.
    Accept,
    /// It vanishes.
    Drop,
    /// Another chain decides, and this one goes on where it does not.
    Jump(Cow<'static, str>),
    /// Another chain decides instead of this one.
    Goto(Cow<'static, str>),
    /// The chain that jumped here goes on.
    Return,
}

impl Verdict {
    /// The number on the wire (NF_*, NFT_*).
    fn code(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => VERDICT_RETURN,
        }
    }

    fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            _ => None,
        }
    }
}

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Loads what is known about the packet.
    Meta(Meta, Register),
    /// Loads what is known about its connection.
    Connection(Connection, Register),
    /// Loads bytes of the packet; does not match where the packet has none there.
    Payload {
        /// Where the offset counts from.
        base: Base,
        /// In bytes.
        offset: u32,
        /// In bytes.
        length: u32,
        /// Where they go.
        to: Register,
    },
    /// Loads the type of the destination address (RTN_*): four bytes in the host's order.
    DestinationType(Register),
    /// Loads a value.
    Immediate(Register, Vec<u8>),
    /// Keeps the bits of a register that are set in the mask.
    Mask(Register, Vec<u8>),
    /// Matches when the register compares so.
    Compare(Register, Comparison, Vec<u8>),
    /// Matches when the set has an element with the register's value.
    InSet(Register, Cow<'static, str>),
    /// Matches when the map has an element with the register's value, and loads its datum.
    FromMap {
        /// The map's name.
        map: Cow<'static, str>,
        /// Where the key begins.
        key: Register,
        /// Where the datum goes.
        to: Register,
    },
    /// Translates the destination to what two registers hold.
    TranslateDestination {
        /// Of the address.
        family: Family,
        /// Where the address begins.
        address: Register,
        /// Where the port is.
        port: Register,
    },
    /// Translates the source to the address of the interface the packet goes out by.
    Masquerade,
    /// Keeps the packet out of connection tracking.
    NoTracking,
    /// Counts packets and bytes, from 0.
    Counter,
    /// Decides.
    Verdict(Verdict),
}

/// An attribute's number in each of the expressions below; they all begin at 1.
const FIRST: u16 = 1;
const SECOND: u16 = 2;
const THIRD: u16 = 3;
const FOURTH: u16 = 4;

impl Expression {
    /// The name by which the kernel finds it (and loads its module).
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Meta(..) => "meta",
            Self::Connection(..) => "ct",
            Self::Payload { .. } => "payload",
            Self::DestinationType(_) => "fib",
            Self::Immediate(..) | Self::Verdict(_) => "immediate",
            Self::Mask(..) => "bitwise",
            Self::Compare(..) => "cmp",
            Self::InSet(..) | Self::FromMap { .. } => "lookup",
            Self::TranslateDestination { .. } => "nat",
            Self::Masquerade => "masq",
            Self::NoTracking => "notrack",
            Self::Counter => "counter",
        }
    }

    /// Writes it as an element of a rule's list.
    fn write(&self, list: &mut Attributes<'_>) {
        list.nest(LIST_ELEMENT, |a| {
            a.text(EXPRESSION_NAME, self.name());
            a.nest(EXPRESSION_DATA, |a| self.write_data(a));
        });
    }

    fn write_data(&self, a: &mut Attributes<'_>) {
        match self {
            Self::Meta(key, to) => {
                a.net_number(FIRST, to.0).net_number(SECOND, key.number());
            }
            Self::Connection(key, to) => {
                a.net_number(FIRST, to.0).net_number(SECOND, key.number());
            }
            Self::Payload {
                base,
                offset,
                length,
                to,
            } => {
                a.net_number(FIRST, to.0)
                    .net_number(SECOND, base.number())
                    .net_number(THIRD, *offset)
                    .net_number(FOURTH, *length);
            }
            Self::DestinationType(to) => {
                // NFT_FIB_RESULT_ADDRTYPE of NFTA_FIB_F_DADDR.
                a.net_number(FIRST, to.0)
                    .net_number(SECOND, 3)
                    .net_number(THIRD, 2);
            }
            Self::Immediate(to, value) => {
                a.net_number(FIRST, to.0);
                data(a, SECOND, value);
            }
            Self::Mask(register, mask) => write_mask(a, *register, mask),
            Self::Compare(from, comparison, value) => {
                let operation = match comparison {
                    Comparison::Equal => 0,
                    Comparison::Unequal => 1,
                };
                a.net_number(FIRST, from.0).net_number(SECOND, operation);
                data(a, THIRD, value);
            }
            Self::InSet(from, set) => {
                a.text(FIRST, set).net_number(SECOND, from.0);
            }
            Self::FromMap { map, key, to } => {
                a.text(FIRST, map)
                    .net_number(SECOND, key.0)
                    .net_number(THIRD, to.0);
            }
            Self::TranslateDestination {
                family,
                address,
                port,
            } => write_translation(a, *family, *address, *port),
            Self::Masquerade | Self::NoTracking | Self::Counter => {}
            Self::Verdict(verdict) => {
                // NFT_REG_VERDICT.
                a.net_number(FIRST, 0);
                a.nest(SECOND, |a| {
                    a.nest(DATA_VERDICT, |a| {
                        a.net_number(VERDICT_CODE, verdict.code().cast_unsigned());
                        if let Some(chain) = verdict.chain() {
                            a.text(VERDICT_CHAIN, chain);
                        }
                    });
                });
            }
        }
    }
}

/// NFTA_BITWISE_*: (register & mask) ^ 0.
fn write_mask(a: &mut Attributes<'_>, register: Register, mask: &[u8]) {
    let length = u32::try_from(mask.len()).unwrap_or(0);
    a.net_number(FIRST, register.0)
        .net_number(SECOND, register.0)
        .net_number(THIRD, length);
    data(a, FOURTH, mask);
    data(a, 5, &vec![0; mask.len()]);
}

/// NFTA_NAT_* of type NFT_NAT_DNAT.
fn write_translation(a: &mut Attributes<'_>, family: Family, address: Register, port: Register) {
    a.net_number(FIRST, 1)
        .net_number(SECOND, u32::from(family.number()))
        .net_number(THIRD, address.0)
        .net_number(5, port.0);
}

fn data(a: &mut Attributes<'_>, kind: u16, value: &[u8]) {
    a.nest(kind, |a| {
        a.bytes(DATA_VALUE, value);
    });
}

impl Meta {
    const fn number(self) -> u32 {
        match self {
            Self::InputName => 6,
            Self::OutputName => 7,
            Self::Family => 15,
            Self::Transport => 16,
        }
    }
}

impl Connection {
    const fn number(self) -> u32 {
        match self {
            Self::State => 0,
            Self::Status => 2,
        }
    }
}

impl Base {
    const fn number(self) -> u32 {
        match self {
            Self::Network => 1,
            Self::Transport => 2,
        }
    }
}

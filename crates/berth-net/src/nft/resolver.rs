//! The table inside a container of a user network: what it asks the resolver's address for names
//! goes to two sockets of ours, whose ports are any free ones, so that the container's own servers
//! can have port 53.

use std::net::Ipv4Addr;

use berth_base::Transport;

use super::expr::{Expression, Expressions, Family, Meta, Register};
use super::rules::number;
use super::transaction::{ChainType, Entry, Hook, Transaction};
use super::wire::IPV4;

const TABLE: &str = "berth_dns";
const CHAIN: &str = "output";
/// What nft shows beside it.
const NAME: &str = "berth: names";
/// NF_IP_PRI_NAT_DST.
const PRIORITY: i32 = -100;

/// What a namespace may have of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it is new. A table that is there all the same is refused, EEXIST.
    Nothing,
    /// One that leads elsewhere, and is replaced. Closing the socket that took something away waits
    /// for the kernel's readers to be done with it, 10 ms on Linux 6.18.
    Perhaps,
}

/// Leads a port of an address on the loopback to two others there, that of UDP and that of TCP. To
/// be performed in the container's network namespace.
#[must_use]
pub fn lead(address: Ipv4Addr, port: u16, [udp, tcp]: [u16; 2], before: Before) -> Transaction {
    let mut transaction = Transaction::new(IPV4, TABLE);
    if before == Before::Perhaps {
        // Removing what is not there would be refused.
        transaction.make_table(NAME);
        transaction.delete_table();
    }
    transaction.make_table(NAME);
    transaction.make_chain(
        CHAIN,
        Some(Entry {
            kind: ChainType::Nat,
            hook: Hook::Output,
            priority: PRIORITY,
        }),
    );
    for (transport, behind) in [(Transport::Udp, udp), (Transport::Tcp, tcp)] {
        let (to, place) = (Register::FIRST, Register::word(1));
        let lead = Expressions::new()
            .load_destination(Family::V4, Register::FIRST)
            .equals(address.octets().to_vec())
            .and(Expression::Meta(Meta::Transport, Register::FIRST))
            .equals(vec![number(transport)])
            .load_port(Register::FIRST)
            .equals(port.to_be_bytes().to_vec())
            .and(Expression::Immediate(to, address.octets().to_vec()))
            .and(Expression::Immediate(place, behind.to_be_bytes().to_vec()))
            .and(Expression::TranslateDestination {
                family: Family::V4,
                address: to,
                port: place,
            });
        transaction.add_rule(CHAIN, None, "to the resolver", &lead);
    }
    transaction
}

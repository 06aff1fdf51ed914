//! The table inside a container of a user network: what it asks 127.0.0.11 for names goes to the
//! two sockets of ours, whose ports are any free ones, so that the container's own servers can have
//! port 53.

use std::net::Ipv4Addr;

use berth_base::Transport;

use super::expr::{Expression, Expressions, Family, Meta, Register};
use super::rules::number;
use super::transaction::{ChainType, Entry, Hook, Transaction};
use super::wire::IPV4;

/// The address that /etc/resolv.conf names.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

const TABLE: &str = "berth_resolver";
const CHAIN: &str = "output";
/// The port of DNS.
const DNS: u16 = 53;
/// NF_IP_PRI_NAT_DST.
const PRIORITY: i32 = -100;

/// Leads port 53 of [`RESOLVER`] to the ports of two sockets on the same address. To be performed in
/// the container's network namespace, once.
#[must_use]
pub fn resolver(udp_port: u16, tcp_port: u16) -> Transaction {
    let mut transaction = Transaction::new(IPV4, TABLE);
    transaction.make_table("berth: names");
    transaction.make_chain(
        CHAIN,
        Some(Entry {
            kind: ChainType::Nat,
            hook: Hook::Output,
            priority: PRIORITY,
        }),
    );
    for (transport, port) in [(Transport::Udp, udp_port), (Transport::Tcp, tcp_port)] {
        let (address, place) = (Register::FIRST, Register::word(1));
        let lead = Expressions::new()
            .load_destination(Family::V4, Register::FIRST)
            .equals(RESOLVER.octets().to_vec())
            .and(Expression::Meta(Meta::Transport, Register::FIRST))
            .equals(vec![number(transport)])
            .load_port(Register::FIRST)
            .equals(DNS.to_be_bytes().to_vec())
            .and(Expression::Immediate(address, RESOLVER.octets().to_vec()))
            .and(Expression::Immediate(place, port.to_be_bytes().to_vec()))
            .and(Expression::TranslateDestination {
                family: Family::V4,
                address,
                port: place,
            });
        transaction.add_rule(CHAIN, None, "to the resolver", &lead);
    }
    transaction
}

//! Flows of UDP that go where their port no longer leads.
//!
//! The kernel asks the table once for each connection. UDP has none, so it takes packets between the
//! same two ports for one as long as they keep coming: a client that went on asking while its
//! container was replaced would ask the dead one for ever. TCP begins anew by itself. So the kernel
//! is told to forget such flows (ctnetlink, linux/netfilter/nfnetlink_conntrack.h).

use std::net::IpAddr;

use berth_base::Transport;
use berth_sys::batch::{Batch, NetlinkSocket};
use rustix::io::Errno;

use super::NftError;
use super::expr::Family;
use super::read::Attributes;
use super::rules::{Published, family, number};
use super::wire::{ACK, DUMP, head};

/// IPCTNL_MSG_CT_* of NFNL_SUBSYS_CTNETLINK.
const NEW: u16 = 1 << 8;
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;

/// CTA_*.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
/// CTA_TUPLE_IP, CTA_TUPLE_PROTO.
const ADDRESSES: u16 = 1;
const PORTS: u16 = 2;
/// CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT.
const PROTOCOL: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
/// CTA_FILTER_ORIG_FLAGS, and the flag for the protocol's number (Linux 5.8).
const FILTER_ORIGINAL: u16 = 1;
const BY_PROTOCOL: u32 = 1 << 3;
/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;

/// IPS_*.
const ANSWERED: u32 = 1 << 1;
const SOURCE_TRANSLATED: u32 = 1 << 4;
const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// Which flows of a port are forgotten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that do not lead to its container: it was just published.
    Elsewhere,
    /// Those that do: it was just taken away.
    There,
}

/// A flow as the kernel tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Flow {
    /// The address and the port it was sent to.
    to: (IpAddr, u16),
    /// Who answers, or would.
    answers: (IpAddr, u16),
    status: u32,
    /// What names it: the attributes ORIGINAL, ID and ZONE as they came.
    name: Vec<(u16, Vec<u8>)>,
}

/// Forgets flows of the ports that are UDP's; without any it asks nothing.
pub(super) fn forget(
    socket: &NetlinkSocket,
    ports: &[Published],
    which: Which,
) -> Result<(), NftError> {
    let refused = |refusal| NftError::refused("forget flows of published ports", refusal);
    for family_of in Family::ALL {
        let own: Vec<&Published> = ports
            .iter()
            .filter(|port| {
                port.port.transport == Transport::Udp && family(port.container) == family_of
            })
            .collect();
        if own.is_empty() {
            continue;
        }
        let flows = match list(socket, family_of) {
            // A kernel that cannot tell: they end by themselves 30 s after their last packet.
            Err(refusal) if matches!(refusal.errno, Errno::INVAL | Errno::OPNOTSUPP) => {
                return Ok(());
            }
            other => other.map_err(refused)?,
        };
        for flow in flows {
            if !own.iter().any(|port| flow.is_of(port, which)) {
                continue;
            }
            match socket.perform(
                flow.deletion(family_of)
                    .bytes()
                    .map_err(|e| refused(e.into()))?,
            ) {
                // It ended by itself.
                Err(refusal) if refusal.errno == Errno::NOENT => {}
                other => other.map_err(refused)?,
            }
        }
    }
    Ok(())
}

fn list(socket: &NetlinkSocket, family: Family) -> Result<Vec<Flow>, berth_sys::batch::Refusal> {
    let mut question = Batch::new();
    question.message(GET, DUMP, &head(family.number()), |a| {
        a.nest(ORIGINAL, |a| {
            a.nest(PORTS, |a| {
                a.bytes(PROTOCOL, &[number(Transport::Udp)]);
            });
        });
        a.nest(FILTER, |a| {
            a.number(FILTER_ORIGINAL, BY_PROTOCOL);
        });
    });
    let mut flows = Vec::new();
    socket.ask(&question, |kind, body| {
        if kind == NEW {
            flows.extend(Flow::read(Attributes::of_message(body)));
        }
    })?;
    Ok(flows)
}

impl Flow {
    fn read(attributes: Attributes<'_>) -> Option<Self> {
        let original = attributes.nest(ORIGINAL);
        let reply = attributes.nest(REPLY);
        // CTA_IP_V4_SRC and so on: the source's number is odd, the destination's even.
        let address = |tuple: Attributes<'_>, odd: u16| {
            tuple
                .nest(ADDRESSES)
                .find(|(kind, _)| kind % 2 == odd)
                .and_then(|(_, value)| address(value))
        };
        let port = |tuple: Attributes<'_>, kind| {
            let bytes = tuple.nest(PORTS).value(kind)?;
            Some(u16::from_be_bytes(bytes.try_into().ok()?))
        };
        let names = [(ORIGINAL | NESTED, ORIGINAL), (ID, ID), (ZONE, ZONE)];
        let name = names.into_iter().filter_map(|(written, read)| {
            let value = attributes.value(read)?;
            Some((written, value.to_vec()))
        });
        Some(Self {
            to: (address(original, 0)?, port(original, DESTINATION_PORT)?),
            answers: (address(reply, 1)?, port(reply, SOURCE_PORT)?),
            status: attributes.number(STATUS)?,
            name: name.collect(),
        })
    }

    fn is_of(&self, port: &Published, which: Which) -> bool {
        let (address, to_port) = self.to;
        if to_port != port.port.host_port || port.host().is_some_and(|host| host != address) {
            return false;
        }
        let has = |bits| self.status & bits != 0;
        let there = self.answers == (port.container, port.port.container_port);
        if has(DESTINATION_TRANSLATED) {
            return there == (which == Which::There);
        }
        // To this host from before the port was published, and so never answered; what goes through
        // this host to the same port of others is translated, or answered.
        which == Which::Elsewhere && !has(ANSWERED | SOURCE_TRANSLATED)
    }

    fn deletion(&self, family: Family) -> Batch {
        let mut batch = Batch::new();
        batch.message(DELETE, ACK, &head(family.number()), |a| {
            for (kind, value) in &self.name {
                a.bytes(*kind, value);
            }
        });
        batch
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use berth_base::PublishedPort;

    use super::*;

    #[test]
    fn flows_of_a_port_are_told_from_others() {
        let port = Published {
            port: PublishedPort {
                transport: Transport::Udp,
                host_address: [0, 0, 0, 0].into(),
                host_port: 53,
                container_port: 5353,
            },
            container: [10, 0, 0, 2].into(),
            owner: String::new(),
        };
        let is = |to: ([u8; 4], u16), answers: ([u8; 4], u16), status, which| {
            let flow = Flow {
                to: (to.0.into(), to.1),
                answers: (answers.0.into(), answers.1),
                status,
                name: Vec::new(),
            };
            flow.is_of(&port, which)
        };
        let (host, own, dead) = ([192, 0, 2, 1], [10, 0, 0, 2], [10, 0, 0, 9]);
        let nat = DESTINATION_TRANSLATED | ANSWERED;
        for (to, answers, status, there, elsewhere) in [
            ((host, 53), (own, 5353), nat, true, false),
            ((host, 53), (dead, 5353), nat, false, true),
            ((host, 53), (own, 80), nat, false, true),
            ((host, 54), (own, 5353), nat, false, false),
            // From before it was published.
            ((host, 53), (host, 53), 0, false, true),
            // A program of the host that had the port before; or another host, asked through us.
            ((host, 53), (host, 53), ANSWERED, false, false),
            (
                ([8, 8, 8, 8], 53),
                ([8, 8, 8, 8], 53),
                SOURCE_TRANSLATED,
                false,
                false,
            ),
        ] {
            assert_eq!(
                is(to, answers, status, Which::There),
                there,
                "{to:?} {answers:?}"
            );
            assert_eq!(
                is(to, answers, status, Which::Elsewhere),
                elsewhere,
                "{to:?} {answers:?}"
            );
        }
    }
}

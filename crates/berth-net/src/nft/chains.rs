//! The chains of the table and their rules. They are the same on every host; what differs is in the
//! sets. docs/networks-packets.md shows the way of a packet through them.

use super::expr::{
    Base, Connection, DESTINATION_TRANSLATED, Expression, Expressions, Family, Meta, Register,
    Verdict, state,
};
use super::rules::Transit;
use super::sets::Set;
use super::transaction::{ChainType, Entry, Hook};

/// A chain and its rules, each with what it is for.
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) entry: Option<Entry>,
    pub(super) rules: Vec<(&'static str, Expressions)>,
}

/// NF_IP_PRI_* (linux/netfilter_ipv4.h).
mod priority {
    /// Before a packet's connection is known, and so before its address is translated back.
    pub(super) const RAW: i32 = -300;
    pub(super) const DESTINATION: i32 = -100;
    pub(super) const FILTER: i32 = 0;
    pub(super) const SOURCE: i32 = 100;
}

/// The chains, each behind those that it is reached from.
pub(super) fn chains(transit: Transit) -> Vec<Chain> {
    let base = |name, kind, hook, priority, rules| Chain {
        name,
        entry: Some(Entry {
            kind,
            hook,
            priority,
        }),
        rules,
    };
    let inner = |name, rules| Chain {
        name,
        entry: None,
        rules,
    };
    use ChainType::{Filter, Nat};
    vec![
        base("guard", Filter, Hook::Prerouting, priority::RAW, guard()),
        base(
            "prerouting",
            Nat,
            Hook::Prerouting,
            priority::DESTINATION,
            prerouting(),
        ),
        base("output", Nat, Hook::Output, priority::DESTINATION, output()),
        inner("published", published()),
        base(
            "forward",
            Filter,
            Hook::Forward,
            priority::FILTER,
            forward(transit),
        ),
        inner("leaving", leaving()),
        inner("between", between()),
        inner("entering", entering()),
        base(
            "postrouting",
            Nat,
            Hook::Postrouting,
            priority::SOURCE,
            postrouting(),
        ),
        inner("to_bridge", to_bridge()),
    ]
}

type ChainRules = Vec<(&'static str, Expressions)>;

/// 127.0.0.0/8, by the first byte of an address.
fn loopback_at(offset: u32) -> Expressions {
    Expressions::new()
        .family(Family::V4)
        .and(Expression::Payload {
            base: Base::Network,
            offset,
            length: 1,
            to: Register::FIRST,
        })
        .equals(vec![127])
}

/// Where an IPv4 header has its addresses.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// route_localnet on a bridge, which published ports on 127.0.0.1 need, would let containers reach
/// what listens on the host's loopback alone (CVE-2020-8558).
///
/// Where bridged frames pass the packet filter (br_netfilter), a packet by a shard would be
/// translated there and once more on the first bridge, and the second connection would have the
/// answers of the first.
fn guard() -> ChainRules {
    vec![
        (
            "containers do not reach the host's loopback",
            loopback_at(DESTINATION)
                .interface_in(Meta::InputName, Set::Bridges.name())
                .verdict(Verdict::Drop),
        ),
        (
            "the first bridge of a network translates, and no other",
            Expressions::new()
                .interface_in(Meta::InputName, Set::Shards.name())
                .and(Expression::NoTracking),
        ),
    ]
}

fn prerouting() -> ChainRules {
    vec![
        (
            // The kernel drops these, but only where the destination still is the loopback when it
            // looks.
            "forged: the loopback from outside",
            loopback_at(DESTINATION).verdict(Verdict::Return),
        ),
        to_this_host(),
    ]
}

/// Answers to ::1 do not come back: they pass the bridge, and the kernel takes ::1 from the loopback
/// interface alone. Untranslated, whoever tries is refused at once and goes on to 127.0.0.1.
fn output() -> ChainRules {
    let ipv6_loopback = [&[0; 15][..], &[1]].concat();
    vec![
        (
            "the kernel has no way back to ::1",
            Expressions::new()
                .family(Family::V6)
                .load_destination(Family::V6, Register::FIRST)
                .equals(ipv6_loopback)
                .verdict(Verdict::Return),
        ),
        to_this_host(),
    ]
}

fn to_this_host() -> (&'static str, Expressions) {
    (
        "to an address of this host",
        Expressions::new()
            .to_this_host()
            .verdict(Verdict::Goto("published".into())),
    )
}

/// The ports of one address come first: they are what was asked for more precisely.
fn published() -> ChainRules {
    let mut rules = Vec::new();
    for family in Family::ALL {
        rules.push((
            "ports published on one address",
            translate(family, Set::PublishedAt(family)),
        ));
        rules.push((
            "ports published on all addresses",
            translate(family, Set::Published(family)),
        ));
    }
    rules
}

fn translate(family: Family, map: Set) -> Expressions {
    let mut key = Expressions::new().family(family);
    let mut next = 0;
    if matches!(map, Set::PublishedAt(_)) {
        key = key.load_destination(family, Register::FIRST);
        next = family.words();
    }
    key.and(Expression::Meta(Meta::Transport, Register::word(next)))
        .load_port(Register::word(next + 1))
        .and(Expression::FromMap {
            map: map.name().into(),
            key: Register::FIRST,
            to: Register::FIRST,
        })
        .and(Expression::TranslateDestination {
            family,
            address: Register::FIRST,
            port: Register::word(family.words()),
        })
}

fn forward(transit: Transit) -> ChainRules {
    let mut rules = vec![
        (
            "answers, and ICMP errors",
            Expressions::new()
                .connection_has(Connection::State, state::ESTABLISHED | state::RELATED)
                .verdict(Verdict::Accept),
        ),
        (
            "from a network of ours",
            Expressions::new()
                .interface_in(Meta::InputName, Set::Bridges.name())
                .verdict(Verdict::Goto("leaving".into())),
        ),
        (
            "to a network of ours",
            Expressions::new()
                .interface_in(Meta::OutputName, Set::Bridges.name())
                .verdict(Verdict::Goto("entering".into())),
        ),
    ];
    if transit == Transit::Closed {
        rules.push((
            "this host forwards for our networks alone",
            Expressions::new().verdict(Verdict::Drop),
        ));
    }
    rules
}

fn leaving() -> ChainRules {
    vec![
        (
            "to a network of ours",
            Expressions::new()
                .interface_in(Meta::OutputName, Set::Bridges.name())
                .verdict(Verdict::Goto("between".into())),
        ),
        from_internal(),
        (
            // Nothing translates them: they would leave with an address of the network.
            "belongs to no connection",
            Expressions::new()
                .connection_has(Connection::State, state::INVALID)
                .verdict(Verdict::Drop),
        ),
    ]
}

fn between() -> ChainRules {
    vec![
        (
            "within a network",
            Expressions::new()
                .and(Expression::Meta(Meta::InputName, Register::FIRST))
                .and(Expression::Meta(Meta::OutputName, Register::word(4)))
                .and(Expression::InSet(
                    Register::FIRST,
                    Set::Within.name().into(),
                ))
                .verdict(Verdict::Accept),
        ),
        from_internal(),
        to_internal(),
        through_a_port(),
        (
            "networks are isolated",
            Expressions::new().verdict(Verdict::Drop),
        ),
    ]
}

fn entering() -> ChainRules {
    vec![
        to_internal(),
        through_a_port(),
        ("not published", Expressions::new().verdict(Verdict::Drop)),
    ]
}

fn from_internal() -> (&'static str, Expressions) {
    (
        "from an internal network",
        Expressions::new()
            .interface_in(Meta::InputName, Set::Internal.name())
            .verdict(Verdict::Drop),
    )
}

fn to_internal() -> (&'static str, Expressions) {
    (
        "to an internal network",
        Expressions::new()
            .interface_in(Meta::OutputName, Set::Internal.name())
            .verdict(Verdict::Drop),
    )
}

fn through_a_port() -> (&'static str, Expressions) {
    (
        "through a published port",
        Expressions::new()
            .connection_has(Connection::Status, DESTINATION_TRANSLATED)
            .verdict(Verdict::Accept),
    )
}

/// Between networks of ours goes only what came through a published port, so that what leaves by
/// another interface than a bridge is all that is left to masquerade.
fn postrouting() -> ChainRules {
    let mut rules = vec![(
        "to a network of ours",
        Expressions::new()
            .interface_in(Meta::OutputName, Set::Bridges.name())
            .verdict(Verdict::Goto("to_bridge".into())),
    )];
    for family in Family::ALL {
        rules.push((
            "from a network to the outside",
            from(family, Set::Masquerade(family)).and(Expression::Masquerade),
        ));
    }
    rules
}

/// Whoever answers must answer to this host, which alone can translate back: a container would
/// send straight to a neighbour, and to its own loopback.
fn to_bridge() -> ChainRules {
    let mut rules = vec![(
        "from the host's loopback",
        loopback_at(SOURCE).and(Expression::Masquerade),
    )];
    for family in Family::ALL {
        rules.push((
            "from a container through a published port",
            from(family, Set::Subnets(family))
                .connection_has(Connection::Status, DESTINATION_TRANSLATED)
                .and(Expression::Masquerade),
        ));
    }
    rules
}

/// Matches what comes from an address in a set.
fn from(family: Family, set: Set) -> Expressions {
    Expressions::new()
        .family(family)
        .load_source(family, Register::FIRST)
        .and(Expression::InSet(Register::FIRST, set.name().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_leads_to_a_chain_that_is_there() {
        let chains = chains(Transit::Closed);
        let names: Vec<&str> = chains.iter().map(|chain| chain.name).collect();
        let text: String = chains
            .iter()
            .flat_map(|chain| &chain.rules)
            .map(|(_, expressions)| format!("{expressions:?}"))
            .collect();
        for chain in chains.iter().filter(|chain| chain.entry.is_none()) {
            assert!(
                text.contains(&format!("Goto({:?})", chain.name)),
                "{}",
                chain.name
            );
        }
        for goto in text.split("Goto(\"").skip(1) {
            let name = goto.split('"').next().unwrap();
            assert!(names.contains(&name), "{name}");
        }
    }
}

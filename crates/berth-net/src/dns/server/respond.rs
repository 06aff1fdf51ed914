//! What is answered from here, and what is asked for elsewhere. Pure but for the zone's turns.

use std::net::IpAddr;

use crate::dns::message::{Answer, Code, Query, address_of, class, kind};
use crate::dns::registration::Registration;
use crate::dns::zone::{Family, Zone};

/// What a container may see.
#[derive(Debug)]
pub(super) struct View {
    networks: Vec<Seen>,
    /// Whether others are asked for what is not known here.
    pub(super) forwards: bool,
    /// Whether names without a dot are for search domains only (`ndots` above 0).
    expects_dots: bool,
}

#[derive(Debug)]
struct Seen {
    id: Box<str>,
    /// The network's name as it was given, and what of a name it ends: a dot and the name in
    /// lower case.
    name: Option<(Box<str>, Box<[u8]>)>,
}

impl View {
    /// The view of a registered container.
    pub(super) fn of(registration: &Registration) -> Self {
        let networks = registration.networks.iter().filter(|n| !n.nameless);
        let networks = networks.map(|network| Seen {
            id: network.id.as_str().into(),
            name: network.name.as_deref().map(|name| {
                let suffix = format!(".{}", name.to_ascii_lowercase());
                (name.into(), suffix.into_bytes().into_boxed_slice())
            }),
        });
        Self {
            networks: networks.collect(),
            forwards: registration.forwards(),
            expects_dots: registration.expects_dots(),
        }
    }

    /// The ids of the networks whose names it sees.
    pub(super) fn networks(&self) -> impl Iterator<Item = &str> {
        self.networks.iter().map(|network| &*network.id)
    }
}

/// What becomes of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The answer is in the buffer.
    Answered,
    /// Nothing here has that name.
    Missed,
}

/// Answers from what is known here, if the query's name is.
pub(super) fn from_zone(
    zone: &mut Zone,
    view: &View,
    query: &Query<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Verdict {
    let Some(key) = query.name.key() else {
        return Verdict::Missed;
    };
    if matches!(query.kind, kind::PTR | kind::ANY)
        && let Some(address) = address_of(key)
    {
        return reverse(zone, view, query, address, limit, out);
    }
    let family = match query.kind {
        kind::A => Some(Family::V4),
        kind::AAAA => Some(Family::V6),
        kind::ANY => Some(Family::Both),
        // A name that we have has no other records: to ask elsewhere would find no such name.
        _ => None,
    };
    let mut exists = false;
    for network in &view.networks {
        for name in names_on(network, key) {
            let wanted = family.unwrap_or(Family::Both);
            let Some(addresses) = zone.addresses(&network.id, name, wanted) else {
                continue;
            };
            exists = true;
            if family.is_none() {
                continue;
            }
            let mut answer = Answer::begin(out, query, limit, view.forwards).authoritative();
            let mut addresses = addresses.peekable();
            if addresses.peek().is_none() {
                // Another of its networks may have an address of that family.
                continue;
            }
            while addresses
                .next()
                .is_some_and(|address| answer.address(address))
            {}
            answer.finish(Code::NoError);
            return Verdict::Answered;
        }
    }
    if !exists {
        return Verdict::Missed;
    }
    let answer = Answer::begin(out, query, limit, view.forwards).authoritative();
    answer.finish(Code::NoError);
    Verdict::Answered
}

/// What a name can be on a network: as it is, and without the network's own name behind it.
fn names_on<'a>(network: &Seen, key: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let suffix = network.name.as_ref().map(|(_, suffix)| &**suffix);
    let short = suffix.and_then(|suffix| key.strip_suffix(suffix));
    [Some(key), short].into_iter().flatten()
}

fn reverse(
    zone: &Zone,
    view: &View,
    query: &Query<'_>,
    address: IpAddr,
    limit: usize,
    out: &mut Vec<u8>,
) -> Verdict {
    let mut networks = view.networks.iter();
    let found = networks.find_map(|network| Some((network, zone.name_of(&network.id, address)?)));
    let Some((network, name)) = found else {
        return Verdict::Missed;
    };
    let mut answer = Answer::begin(out, query, limit, view.forwards).authoritative();
    let written = match &network.name {
        Some((network, _)) => answer.pointer(&format!("{name}.{network}")),
        None => answer.pointer(name),
    };
    answer.finish(if written {
        Code::NoError
    } else {
        Code::ServFail
    });
    Verdict::Answered
}

/// What is said to a query at once, without looking for its name; `None` when it must be looked
/// for.
pub(super) fn refusal(query: &Query<'_>) -> Option<Code> {
    match (query.edns, query.class, query.kind) {
        (Some(edns), ..) if edns.version != 0 => Some(Code::BadVers),
        (.., kind::OPT) => Some(Code::FormErr),
        (.., kind) if (kind::FIRST_META..kind::ANY).contains(&kind) => Some(Code::Refused),
        (_, class, _) if class != class::IN && class != class::ANY => Some(Code::Refused),
        _ => None,
    }
}

/// What is said about a name that is not known here, where nobody else is asked; `None` when
/// others are. `servers`: whether there are any.
pub(super) fn unknown(view: &View, query: &Query<'_>, servers: bool) -> Option<Code> {
    let single = query.name.labels() == 1;
    let is_address = matches!(query.kind, kind::A | kind::AAAA);
    if !view.forwards || (single && is_address && view.expects_dots) {
        // All names that this container can reach are known here.
        return Some(Code::NxDomain);
    }
    match (servers, single) {
        (true, _) => None,
        (false, true) => Some(Code::NxDomain),
        // It may exist, and may be found when the host has servers again.
        (false, false) => Some(Code::ServFail),
    }
}

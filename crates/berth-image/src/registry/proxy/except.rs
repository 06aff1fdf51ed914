//! `NO_PROXY`: who is spoken to directly.

use std::net::IpAddr;

use crate::registry::url::Origin;

/// Servers that no proxy stands before: `*`, names, addresses and networks, with commas or spaces
/// between.
///
/// As Go's httpproxy package reads them: `example.com` is this name and all below it,
/// `.example.com` and `*.example.com` are the names below it, `HOST:PORT` is that port alone,
/// `10.0.0.0/8` are the addresses of a network. Addresses are compared with what a URL says: no name
/// is resolved for it. What is none of these says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    All,
    Network {
        address: IpAddr,
        bits: u8,
    },
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    Name {
        /// With a dot in front.
        below: String,
        /// Also the name itself.
        itself: bool,
        port: Option<u16>,
    },
}

impl NoProxy {
    /// Reads the value of the variable.
    pub fn parse(text: &str) -> Self {
        let entries = text.split([',', ' ', '\t']).filter(|e| !e.is_empty());
        Self(entries.filter_map(rule).collect())
    }

    pub(super) fn covers(&self, origin: &Origin) -> bool {
        let address: Option<IpAddr> = origin.host.parse().ok();
        self.0
            .iter()
            .any(|rule| rule.covers(origin, address.map(|a| a.to_canonical())))
    }
}

impl Rule {
    fn covers(&self, origin: &Origin, is: Option<IpAddr>) -> bool {
        let at = |port: &Option<u16>| port.is_none_or(|port| port == origin.port);
        match self {
            Self::All => true,
            Self::Network { address, bits } => is.is_some_and(|is| is_within(is, *address, *bits)),
            Self::Address { address, port } => is == Some(*address) && at(port),
            Self::Name {
                below,
                itself,
                port,
            } => {
                let host = origin.host.as_str();
                let is_it = *itself && Some(host) == below.strip_prefix('.');
                (is_it || host.ends_with(below.as_str())) && at(port)
            }
        }
    }
}

fn rule(entry: &str) -> Option<Rule> {
    let entry = entry.to_ascii_lowercase();
    if entry == "*" {
        return Some(Rule::All);
    }
    if let Some((address, bits)) = entry.split_once('/') {
        return network(address, bits);
    }
    if let Some(address) = address(&entry) {
        return Some(Rule::Address {
            address,
            port: None,
        });
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry.as_str(), None),
    };
    if let Some(address) = address(host) {
        return Some(Rule::Address { address, port });
    }
    let host = match host.strip_prefix("*.") {
        Some(rest) => format!(".{rest}"),
        None => host.to_owned(),
    };
    let itself = !host.starts_with('.');
    let below = if itself { format!(".{host}") } else { host };
    (below.len() > 1).then_some(Rule::Name {
        below,
        itself,
        port,
    })
}

/// An address, an IPv6 one with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(text).parse().ok()?;
    Some(address.to_canonical())
}

fn network(address: &str, bits: &str) -> Option<Rule> {
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some(Rule::Network { address, bits })
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (a, b, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let differing: u128 = a ^ b;
    // A shift by all bits of the type would be one too many: no bit counts then.
    let shift = width - u32::from(bits);
    differing.checked_shr(shift).is_none_or(|high| high == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::url::Url;

    fn covers(list: &str, server: &str) -> bool {
        let url = Url::parse(&format!("https://{server}/")).unwrap();
        NoProxy::parse(list).covers(&url.origin)
    }

    #[test]
    fn names() {
        for (list, server, past) in [
            ("", "r.example", false),
            ("*", "r.example", true),
            ("r.example", "r.example", true),
            ("r.example", "a.r.example", true),
            ("r.example", "ar.example", false),
            ("R.Example", "r.EXAMPLE", true),
            (".r.example", "r.example", false),
            (".r.example", "a.r.example", true),
            ("*.r.example", "a.b.r.example", true),
            ("*.r.example", "r.example", false),
            ("r.example:5000", "r.example:5000", true),
            ("r.example:5000", "r.example", false),
            ("r.example:443", "r.example", true),
            ("x, y ,r.example", "r.example", true),
            ("x y\tr.example", "r.example", true),
            ("r.example:port", "r.example", false),
            (",. ,:5000,", "r.example:5000", false),
        ] {
            assert_eq!(covers(list, server), past, "{list:?} {server}");
        }
    }

    #[test]
    fn addresses() {
        for (list, server, past) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.3:5000", true),
            ("10.1.2.3:5000", "10.1.2.3:5000", true),
            ("10.1.2.3:5000", "10.1.2.3", false),
            ("10.1.2.3", "10.1.2.30", false),
            ("10.0.0.0/8", "10.200.0.1:5000", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.2", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "[2001:db8::1]", false),
            ("10.0.0.0/33", "10.0.0.1", false),
            ("10.0.0.0/8", "r.example", false),
            ("2001:db8::/32", "[2001:db8:1::1]", true),
            ("::/0", "[2001:db8:1::1]", true),
            ("2001:db8::1", "[2001:db8::1]:5000", true),
            ("[2001:db8::1]:5000", "[2001:db8::1]:5000", true),
            ("[2001:db8::1]:5000", "[2001:db8::1]", false),
            ("::ffff:10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "[::ffff:10.1.2.3]", true),
        ] {
            assert_eq!(covers(list, server), past, "{list:?} {server}");
        }
    }
}

//! Which addresses the world at large has.
//!
//! A registry answers with URLs: redirects, token servers, places of foreign layers. One on the
//! Internet must not make us ask a server of the local network, or the cloud's metadata service
//! (SSRF; CVE-2020-15157 was one of these).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses a connection may be made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All: the user named the host, or the registry is a private one itself.
    Anywhere,
    /// Those that the whole Internet can reach.
    Public,
}

impl Reach {
    pub(super) fn allows(self, address: IpAddr) -> bool {
        self == Self::Anywhere || is_public(address)
    }

    /// The same for a host that a proxy connects to. A name's addresses are the proxy's to know; one
    /// that ends in a number is an address in a spelling that programs take and we do not.
    pub(super) fn allows_behind_proxy(self, host: &str) -> bool {
        match host.parse() {
            Ok(address) => self.allows(address),
            Err(_) => self == Self::Anywhere || !ends_in_number(host),
        }
    }
}

/// Whether an address is reachable from everywhere (IANA's special-purpose registries).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && (64..128).contains(&b)) // carriers' NAT, RFC 6598
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)); // benchmarks
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [first, second, ..] = segments;
    let [.., high, low] = segments;
    let embedded = || {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    // NAT64 and 6to4 lead to IPv4 addresses.
    if first == 0x64 && second == 0xff9b {
        return is_public_v4(embedded());
    }
    if first == 0x2002 {
        let [_, high, low, ..] = segments;
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Global unicast is 2000::/3; of it, documentation and the special block 2001::/23 are not.
    first & 0xe000 == 0x2000 && !(first == 0x2001 && (second == 0xdb8 || second < 0x200))
}

/// Whether a host reads as an IPv4 address for inet_aton(3): `2130706433`, `0x7f.1`.
fn ends_in_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    let last = last.unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number(last)
        || last
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_and_not() {
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
            "::7f00:1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
            assert!(Reach::Anywhere.allows(private.parse().unwrap()));
        }
    }

    #[test]
    fn hosts_that_a_proxy_connects_to() {
        for host in [
            "r.example",
            "0x.example",
            "1.example.",
            "203.0.114.1",
            "a1",
            "0xg",
        ] {
            assert!(Reach::Public.allows_behind_proxy(host), "{host}");
        }
        for host in [
            "2130706433",
            "0x7f.1",
            "127.0.0.1.",
            "0x7f000001",
            "10.1.2.3",
            "fd00::1",
            "x.0x",
        ] {
            assert!(!Reach::Public.allows_behind_proxy(host), "{host}");
            assert!(Reach::Anywhere.allows_behind_proxy(host), "{host}");
        }
    }
}

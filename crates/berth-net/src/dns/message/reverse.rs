//! The names under which addresses are looked up (RFC 1035, 3.5; RFC 3596, 2.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that a name in lower case stands for.
pub(crate) fn address_of(key: &[u8]) -> Option<IpAddr> {
    let key = std::str::from_utf8(key).ok()?;
    if let Some(parts) = key.strip_suffix(".in-addr.arpa") {
        return ipv4(parts).map(IpAddr::V4);
    }
    ipv6(key.strip_suffix(".ip6.arpa")?).map(IpAddr::V6)
}

fn ipv4(parts: &str) -> Option<Ipv4Addr> {
    let mut bytes = [0; 4];
    let mut parts = parts.split('.');
    for slot in bytes.iter_mut().rev() {
        let part = parts.next()?;
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then(|| bytes.into())
}

fn ipv6(parts: &str) -> Option<Ipv6Addr> {
    let mut value = 0u128;
    let mut parts = parts.split('.');
    for place in 0..32 {
        let part = parts.next().filter(|part| part.len() == 1)?;
        let digit = u128::from(part.chars().next()?.to_digit(16)?);
        value |= digit << (4 * place);
    }
    parts.next().is_none().then(|| value.into())
}

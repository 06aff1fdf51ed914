//! Free subnets: chosen from pools, beside what the host's routes and other networks have.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::NetError;

/// A range that networks without `--subnet` are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// All of it.
    pub base: Ipv4Net,
    /// The length of a network's prefix.
    pub prefix: u8,
}

/// The pools when the configuration names none: 4,094 containers a network. They keep out of the way
/// of Docker's (172.17.0.0/12, 192.168.0.0/16) and podman's (10.88.0.0/15).
#[must_use]
pub fn default_pools() -> Vec<AddressPool> {
    let pool = |a, b| Ipv4Net::new(Ipv4Addr::new(a, b, 0, 0), 15).ok();
    let bases = [pool(10, 210), pool(10, 220), pool(10, 230)];
    let pools = bases.into_iter().flatten();
    pools.map(|base| AddressPool { base, prefix: 20 }).collect()
}

/// The first subnet of the pools that overlaps nothing in `taken`.
///
/// # Errors
/// [`NetError::NoPool`].
pub fn free_ipv4(pools: &[AddressPool], taken: &[IpNet]) -> Result<Ipv4Net, NetError> {
    let is_free = |subnet: &Ipv4Net| {
        let mut others = taken.iter().filter_map(|net| match net {
            IpNet::V4(net) => Some(net),
            IpNet::V6(_) => None,
        });
        // The default route says nothing about who lives where.
        !others.any(|net| net.prefix_len() > 0 && overlap(*net, *subnet))
    };
    for pool in pools {
        let Ok(mut subnets) = pool.base.subnets(pool.prefix) else {
            continue;
        };
        if let Some(free) = subnets.find(is_free) {
            return Ok(free);
        }
    }
    Err(NetError::NoPool)
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// The IPv6 network of a network's id, below the global id of this root (RFC 4193): both are drawn at
/// random, so nothing need be looked up.
#[must_use]
pub fn unique_local(global: [u8; 5], id: &str) -> Ipv6Net {
    let subnet = u16::from_str_radix(id.get(..4).unwrap_or_default(), 16).unwrap_or(0);
    let [a, b, c, d, e] = global;
    let word = |high, low| u16::from_be_bytes([high, low]);
    let address = Ipv6Addr::new(word(0xfd, a), word(b, c), word(d, e), subnet, 0, 0, 0, 0);
    Ipv6Net::new(address, 64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_overlaps_nothing() {
        let pools = default_pools();
        let nets =
            |texts: &[&str]| -> Vec<IpNet> { texts.iter().map(|t| t.parse().unwrap()).collect() };
        let free = |taken: &[&str]| free_ipv4(&pools, &nets(taken)).map(|n| n.to_string());
        assert_eq!(free(&["0.0.0.0/0"]).unwrap(), "10.210.0.0/20");
        assert_eq!(
            free(&["10.210.0.0/20", "10.210.17.0/24"]).unwrap(),
            "10.210.32.0/20"
        );
        assert_eq!(free(&["10.210.0.0/15"]).unwrap(), "10.220.0.0/20");
        assert!(matches!(free(&["10.0.0.0/8"]), Err(NetError::NoPool)));
    }

    #[test]
    fn a_unique_local_network_is_one() {
        let net = unique_local([1, 2, 3, 4, 5], "abcdef");
        assert_eq!(net.to_string(), "fd01:203:405:abcd::/64");
    }
}

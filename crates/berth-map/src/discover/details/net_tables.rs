//! The tables of `/proc/PID/net`: of the network namespace of any process, readable to everybody
//! who may see the process. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{Interface, Listener, Protocol, decode_untrusted};

/// The tables that tell of interfaces. An empty text is a table that is not there.
#[derive(Clone, Debug, Default)]
pub(super) struct InterfaceTables {
    /// `dev`.
    pub(super) dev: Vec<u8>,
    /// `if_inet6`.
    pub(super) inet6: Vec<u8>,
    /// `igmp`: interfaces that are up, with their indexes.
    pub(super) igmp: Vec<u8>,
    /// `fib_trie`: local addresses.
    pub(super) fib_trie: Vec<u8>,
    /// `route`: networks behind interfaces.
    pub(super) route: Vec<u8>,
}

/// Lines of words.
fn lines(text: &[u8]) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.split(|b| *b == b'\n');
    lines.filter_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        Some(line.split_ascii_whitespace().collect())
    })
}

/// Parses `tcp`, `tcp6`, `udp` or `udp6`: the sockets that listen.
pub(super) fn parse_listeners(text: &[u8], protocol: Protocol) -> Vec<Listener> {
    // TCP_LISTEN; TCP_CLOSE, which is a UDP socket that is bound and not connected.
    let wanted = match protocol {
        Protocol::Tcp => "0A",
        Protocol::Udp => "07",
    };
    let rows = lines(text).skip(1);
    let listening = rows.filter_map(|fields| {
        if *fields.get(3)? != wanted {
            return None;
        }
        let (address, port) = fields.get(1)?.split_once(':')?;
        Some(Listener {
            protocol,
            address: parse_address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            inode: fields.get(9)?.parse().ok()?,
            process: None,
        })
    });
    listening.collect()
}

/// Parses an address of 8 or 32 hexadecimal digits: words of 32 bits, each as the processor orders
/// its bytes.
fn parse_address(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(digits.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match digits.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let mut bytes = [0u8; 16];
            for (slot, byte) in bytes.iter_mut().zip(words.as_flattened()) {
                *slot = *byte;
            }
            Some(IpAddr::from(bytes))
        }
        _ => None,
    }
}

/// How many sockets of a protocol `sockstat` or `sockstat6` counts (`TCP:`, `UDP6:`); `None` when
/// the text has no such line.
pub(super) fn count_sockets(text: &[u8], label: &str) -> Option<u64> {
    let mut lines = lines(text);
    let line = lines.find(|fields| fields.first() == Some(&label))?;
    // `TCP: inuse 5 orphan 0 ...`
    line.get(2)?.parse().ok()
}

/// What procfs tells of interfaces: names and addresses; indexes of those that are up, 0 for the
/// others; neither kind nor peer.
pub(super) fn parse_interfaces(tables: &InterfaceTables) -> Vec<Interface> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    let mut order = Vec::new();
    for line in tables.dev.split(|b| *b == b'\n').skip(2) {
        // `  eth0: 1234 ...`; a name holds neither a colon nor a blank.
        let Some(end) = line.iter().position(|b| *b == b':') else {
            continue;
        };
        let name = decode_untrusted(line.get(..end).unwrap_or_default().trim_ascii());
        order.push(name.clone());
        found.insert(name.clone(), blank(name));
    }
    // `2 eth0 : 1 V3`, then a line for each group.
    for fields in lines(&tables.igmp).skip(1) {
        if let [index, name, ":", ..] = fields.as_slice()
            && let Some(interface) = found.get_mut(*name)
            && let Ok(index) = index.parse()
        {
            (interface.index, interface.is_up) = (index, true);
        }
    }
    for fields in lines(&tables.inet6) {
        if let Some((name, index, address, prefix)) = parse_inet6(&fields)
            && let Some(interface) = found.get_mut(name)
        {
            interface.index = index;
            interface.addresses.push((address, prefix));
        }
    }
    let networks = parse_networks(&tables.route);
    for address in parse_local(&tables.fib_trie) {
        let (name, prefix) = if address.is_loopback() {
            ("lo", 8)
        } else if let Some(network) = networks.iter().find(|n| n.holds(address)) {
            (network.name.as_str(), network.prefix())
        } else {
            continue;
        };
        if let Some(interface) = found.get_mut(name) {
            interface.addresses.push((IpAddr::V4(address), prefix));
        }
    }
    let mut interfaces: Vec<Interface> =
        order.iter().filter_map(|name| found.remove(name)).collect();
    interfaces.sort_by_key(|i| i.index);
    interfaces
}

fn blank(name: String) -> Interface {
    Interface {
        index: 0,
        is_loopback: name == "lo",
        name,
        kind: None,
        is_up: false,
        addresses: Vec::new(),
        master: None,
        peer: None,
        mac: None,
        mtu: None,
        alias: None,
    }
}

/// A line of `if_inet6`: address, index, length of the prefix, scope, flags, name; in hex.
fn parse_inet6<'t>(fields: &[&'t str]) -> Option<(&'t str, u32, IpAddr, u8)> {
    let [address, index, prefix, _, _, name] = *fields else {
        return None;
    };
    let address = u128::from_str_radix(address, 16).ok()?;
    let index = u32::from_str_radix(index, 16).ok()?;
    let prefix = u8::from_str_radix(prefix, 16).ok()?;
    Some((name, index, Ipv6Addr::from_bits(address).into(), prefix))
}

/// A network behind an interface.
struct Network {
    name: String,
    network: u32,
    mask: u32,
}

impl Network {
    fn holds(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask == self.network
    }

    fn prefix(&self) -> u8 {
        u8::try_from(self.mask.count_ones()).unwrap_or(32)
    }
}

/// The networks that `route` lists without a gateway, the smallest first.
fn parse_networks(text: &[u8]) -> Vec<Network> {
    let word = |digits: &str| {
        let word = u32::from_str_radix(digits, 16).ok()?;
        Some(u32::from_be_bytes(word.to_ne_bytes()))
    };
    let rows = lines(text).skip(1);
    let direct = rows.filter_map(|fields| {
        let gateway = word(fields.get(2)?)?;
        let network = Network {
            name: (*fields.first()?).to_owned(),
            network: word(fields.get(1)?)?,
            mask: word(fields.get(7)?)?,
        };
        (gateway == 0 && network.mask != 0).then_some(network)
    });
    let mut networks: Vec<Network> = direct.collect();
    networks.sort_by_key(|n| std::cmp::Reverse(n.mask));
    networks
}

/// The addresses that `fib_trie` calls `/32 host LOCAL`, each once.
fn parse_local(text: &[u8]) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for fields in lines(text) {
        match fields.as_slice() {
            ["|--", address] => last = address.parse().ok(),
            ["/32", "host", "LOCAL"] => found.extend(last),
            _ => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_of_both_families() {
        let text = format!(
            "{HEAD}   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 x\n\
               1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 78 1 x\n\
               2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 79 1 x\n\
               cut\n"
        );
        let found = parse_listeners(text.as_bytes(), Protocol::Tcp);
        let seen: Vec<_> = found
            .iter()
            .map(|l| (l.address.to_string(), l.port, l.inode))
            .collect();
        let expected = [
            ("127.0.0.1".to_owned(), 8080, 77),
            ("::1".to_owned(), 80, 79),
        ];
        assert_eq!(seen, expected);
        assert_eq!(parse_listeners(text.as_bytes(), Protocol::Udp), []);
    }

    #[test]
    fn sockets_are_counted_by_protocol() {
        let text = b"sockets: used 9\nTCP: inuse 0 orphan 0\nUDP: inuse 2 mem 0\n";
        assert_eq!(count_sockets(text, "TCP:"), Some(0));
        assert_eq!(count_sockets(text, "UDP:"), Some(2));
        assert_eq!(count_sockets(b"TCP6:\n", "TCP6:"), None);
        assert_eq!(count_sockets(b"", "TCP6:"), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn interfaces_with_their_addresses() {
        let tables = InterfaceTables {
            dev: b"Inter-|   Receive\n face |bytes\n    lo: 1 2\n  eth0: 3 4\n  off0:0\n".to_vec(),
            inet6: b"fe80000000000000000000000000000a 04 40 20 80 eth0\n\
                00000000000000000000000000000001 01 80 10 80 lo\n"
                .to_vec(),
            igmp: b"Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
                1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                4\teth0      :     1      V3\n"
                .to_vec(),
            fib_trie: b"Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.1.0.0\n        /16 link UNICAST\n\
                     |-- 10.1.2.3\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n\
                Local:\n     |-- 10.1.2.3\n        /32 host LOCAL\n"
                .to_vec(),
            route: b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
                eth0\t00000000\t0101010A\t0003\t0\t0\t0\t00000000\n\
                eth0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\n"
                .to_vec(),
        };
        let found = parse_interfaces(&tables);
        let names: Vec<_> = found
            .iter()
            .map(|i| (i.index, i.name.as_str(), i.is_up))
            .collect();
        assert_eq!(
            names,
            [(0, "off0", false), (1, "lo", true), (4, "eth0", true)]
        );
        let addresses = |at: usize| -> Vec<String> {
            let all = found[at].addresses.iter();
            all.map(|(a, prefix)| format!("{a}/{prefix}")).collect()
        };
        assert_eq!(addresses(1), ["::1/128", "127.0.0.1/8"]);
        assert_eq!(addresses(2), ["fe80::a/64", "10.1.2.3/16"]);
        assert!(found[1].is_loopback);
    }
}

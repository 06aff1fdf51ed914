//! The switches of the kernel that the rules rely on. Who sets them is the engine.

use std::collections::BTreeSet;

use super::rules::{Network, Published};

/// A file below /proc/sys and what it must say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sysctl {
    /// The whole path.
    pub path: String,
    /// What is to be written.
    pub value: &'static str,
    /// What does not work without it.
    pub why: &'static str,
}

/// What a network needs while ports of its containers are published: packets from 127.0.0.1 may
/// pass its bridge when a program on the host is to reach one of them through there. On that bridge
/// alone, and not where nothing is published so; the table keeps containers from making use of it.
///
/// `published` are ports of this network's containers.
#[must_use]
pub fn sysctls_of_ports(bridge: &str, published: &[Published]) -> Vec<Sysctl> {
    let needed = published.iter().any(Published::by_loopback);
    let sysctl = Sysctl {
        path: format!("/proc/sys/net/ipv4/conf/{bridge}/route_localnet"),
        value: "1",
        why: "ports published on 127.0.0.1 do not answer",
    };
    needed.then_some(sysctl).into_iter().collect()
}

/// What networks need: forwarding, for the families of those that are not internal. Forwarding of
/// IPv6 makes the kernel ignore router advertisements on interfaces whose `accept_ra` is 1: an
/// uplink that has its address from them needs 2.
#[must_use]
pub fn sysctls_of_networks(networks: &[Network]) -> Vec<Sysctl> {
    let open = networks.iter().filter(|network| !network.internal);
    let subnets = open.flat_map(|network| &network.subnets);
    let paths: BTreeSet<&str> = subnets
        .map(|subnet| match subnet.addr().is_ipv4() {
            true => "/proc/sys/net/ipv4/ip_forward",
            false => "/proc/sys/net/ipv6/conf/all/forwarding",
        })
        .collect();
    let sysctl = |path: &str| Sysctl {
        path: path.to_owned(),
        value: "1",
        why: "containers do not reach the outside, nor it their ports",
    };
    paths.into_iter().map(sysctl).collect()
}

#[cfg(test)]
mod tests {
    use berth_base::{PublishedPort, Transport};

    use super::*;

    fn port(host: &str, container: &str) -> Published {
        Published {
            port: PublishedPort {
                transport: Transport::Tcp,
                host_address: host.parse().unwrap(),
                host_port: 8080,
                container_port: 80,
            },
            container: container.parse().unwrap(),
            owner: String::new(),
        }
    }

    #[test]
    fn the_loopback_is_routed_only_for_ports_published_there() {
        let paths = |ports: &[Published]| -> Vec<String> {
            let sysctls = sysctls_of_ports("berth0", ports);
            sysctls.into_iter().map(|s| s.path).collect()
        };
        let path = "/proc/sys/net/ipv4/conf/berth0/route_localnet";
        assert!(paths(&[]).is_empty());
        assert!(paths(&[port("192.0.2.1", "10.0.0.2")]).is_empty());
        assert!(paths(&[port("::", "fd00::2")]).is_empty());
        assert_eq!(paths(&[port("0.0.0.0", "10.0.0.2")]), [path]);
        let both = [port("192.0.2.1", "10.0.0.2"), port("127.0.0.1", "10.0.0.2")];
        assert_eq!(paths(&both), [path]);
    }

    #[test]
    fn forwarding_is_for_networks_with_an_outside() {
        let network = |internal, addresses: &[&str]| Network {
            bridge: "berth0".to_owned(),
            shards: Vec::new(),
            subnets: addresses
                .iter()
                .map(|address| address.parse().unwrap())
                .collect(),
            internal,
            masquerade: true,
        };
        let paths = |networks: &[Network]| -> Vec<String> {
            let sysctls = sysctls_of_networks(networks);
            sysctls.into_iter().map(|s| s.path).collect()
        };
        assert!(paths(&[network(true, &["10.0.0.0/24"])]).is_empty());
        let (v4, v6) = (
            "/proc/sys/net/ipv4/ip_forward",
            "/proc/sys/net/ipv6/conf/all/forwarding",
        );
        let open = network(false, &["10.0.0.0/24", "fd00::/64"]);
        assert_eq!(paths(&[open.clone(), open]), [v4, v6]);
    }
}

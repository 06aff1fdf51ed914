//! What is decided for the networks of a user, without a host.

use super::*;

pub(super) fn place(carrier: Carrier, (ipv4, ipv6): (bool, bool)) -> Place {
    Place {
        carrier,
        subnet: [10, 0, 2],
        routes: DefaultRoutes { ipv4, ipv6 },
    }
}

pub(super) fn port(transport: Transport, address: &str) -> PublishedPort {
    PublishedPort {
        transport,
        host_address: address.parse().unwrap(),
        host_port: 8080,
        container_port: 80,
    }
}

#[test]
fn a_port_on_two_addresses_is_too_much_for_pasta() {
    let (all, all_v6) = (port(Transport::Tcp, "0.0.0.0"), port(Transport::Tcp, "::"));
    let (one, two) = (
        port(Transport::Tcp, "127.0.0.1"),
        port(Transport::Tcp, "127.0.0.2"),
    );
    assert!(!is_split(&all, &[all, all_v6]));
    assert!(!is_split(&one, &[one, port(Transport::Udp, "127.0.0.2")]));
    assert!(is_split(&one, &[one, two]));
}

#[test]
fn addresses_are_those_of_the_families_that_there_are() {
    let of = |carrier, routes| {
        let interface = place(carrier, routes).interface(&NetworkRequest::named("bridge"));
        let texts = interface.addresses.iter().map(|(a, p)| format!("{a}/{p}"));
        texts.collect::<Vec<_>>()
    };
    let (v4, v6) = ("10.0.2.100/24", "fd00::64/64");
    assert_eq!(of(Carrier::Pasta, (true, true)), [v4, v6]);
    assert_eq!(of(Carrier::Pasta, (false, true)), [v6]);
    assert_eq!(of(Carrier::Slirp, (false, false)), [v4]);
}

#[test]
fn a_shared_namespace_is_in_a_shared_user_namespace() {
    let mut modes = NamespaceModes::default();
    assert!(!joins_a_user_namespace(&modes));
    modes.net = NamespaceMode::Container("a".into());
    assert!(!joins_a_user_namespace(&modes));
    modes.pid = NamespaceMode::Container("a".into());
    assert!(joins_a_user_namespace(&modes));
    modes.user = NamespaceMode::Private;
    assert!(!joins_a_user_namespace(&modes));
}

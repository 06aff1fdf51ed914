//! Networks and ports that come and go, what is read back, and what goes wrong.

use std::thread;

use berth_base::{ErrorClass, Transport};
use berth_net::nft::{self, NftError, Published, Rules, Tag, Transit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::lab::{networks, port};
use crate::space::Space;

fn tcp(host: &str, container: &str) -> Published {
    port(Transport::Tcp, host, container)
}

/// A namespace with the lab's networks installed, no port published.
fn installed() -> Option<(Space, Rules)> {
    let space = Space::new()?;
    let rules = Rules {
        networks: networks(),
        ..Rules::default()
    };
    let socket = space.netfilter();
    nft::install(&rules).unwrap().perform(&socket).unwrap();
    Some((space, rules))
}

#[test]
fn networks_come_and_go() {
    let Some(space) = Space::new() else { return };
    let socket = space.netfilter();
    let tag = Tag::default();
    nft::install(&Rules::default())
        .unwrap()
        .perform(&socket)
        .unwrap();
    let mut rules = Rules::default();
    for network in networks() {
        nft::add_network(&tag, &network)
            .unwrap()
            .perform(&socket)
            .unwrap();
        // Again, as after a crash.
        nft::add_network(&tag, &network)
            .unwrap()
            .perform(&socket)
            .unwrap();
        rules.networks.push(network);
        let found = nft::inspect(&socket, &tag).unwrap().unwrap();
        assert!(found.matches(&rules).unwrap(), "{found:?}");
        assert_eq!(found.bridges.len(), rules.networks.len());
    }
    while let Some(network) = rules.networks.pop() {
        let remove = nft::remove_network(&tag, &network).unwrap();
        remove.perform(&socket).unwrap();
        let error = remove.perform(&socket).unwrap_err();
        assert!(matches!(error, NftError::Missing { .. }), "{error}");
        let found = nft::inspect(&socket, &tag).unwrap().unwrap();
        assert!(found.matches(&rules).unwrap(), "{found:?}");
    }
}

#[test]
fn subnets_side_by_side_are_two() {
    let Some((space, mut rules)) = installed() else {
        return;
    };
    let socket = space.netfilter();
    let mut next = networks().remove(0);
    next.bridge = "berth9".to_owned();
    next.subnets = ["10.99.4.0/24", "255.255.255.0/24"]
        .map(|subnet| subnet.parse().unwrap())
        .to_vec();
    nft::add_network(&rules.tag, &next)
        .unwrap()
        .perform(&socket)
        .unwrap();
    // The neighbour's start is this one's end.
    let first = rules.networks.remove(0);
    nft::remove_network(&rules.tag, &first)
        .unwrap()
        .perform(&socket)
        .unwrap();
    rules.networks.push(next);
    let found = nft::inspect(&socket, &rules.tag).unwrap().unwrap();
    assert!(found.matches(&rules).unwrap(), "{found:?}");
}

#[test]
fn ports_come_and_go() {
    let Some((space, mut rules)) = installed() else {
        return;
    };
    let socket = space.netfilter();
    let ports = [
        tcp("8080", "10.99.1.2:80"),
        tcp("[2001:db8::1]:8081", "[fd99:1::2]:80"),
    ];
    nft::publish(&socket, &rules.tag, &ports).unwrap();
    nft::publish(&socket, &rules.tag, &ports).unwrap();
    rules.published = ports.to_vec();
    let found = nft::inspect(&socket, &rules.tag).unwrap().unwrap();
    assert!(found.matches(&rules).unwrap(), "{found:?}");
    assert_eq!(found.published, ports.iter().cloned().collect());
    nft::unpublish(&socket, &rules.tag, &ports).unwrap();
    nft::unpublish(&socket, &rules.tag, &ports).unwrap();
    rules.published.clear();
    let found = nft::inspect(&socket, &rules.tag).unwrap().unwrap();
    assert!(found.matches(&rules).unwrap(), "{found:?}");
}

#[test]
fn a_late_remover_leaves_the_next_containers_port() {
    let Some((space, rules)) = installed() else {
        return;
    };
    let socket = space.netfilter();
    let dead = [tcp("8080", "10.99.1.2:80"), tcp("8081", "10.99.1.2:81")];
    let next = [tcp("8080", "10.99.1.3:80")];
    nft::publish(&socket, &rules.tag, &dead).unwrap();
    nft::publish(&socket, &rules.tag, &next).unwrap();
    nft::unpublish(&socket, &rules.tag, &dead).unwrap();
    let found = nft::inspect(&socket, &rules.tag).unwrap().unwrap();
    assert_eq!(found.published, next.into_iter().collect());
}

#[test]
fn many_publish_at_once() {
    let Some((space, rules)) = installed() else {
        return;
    };
    let tag = &rules.tag;
    // Four containers that all had the same port, and a port of their own each.
    thread::scope(|scope| {
        for number in 2..6 {
            let space = &space;
            scope.spawn(move || {
                let socket = space.netfilter();
                let own = [
                    tcp("8080", &format!("10.99.1.{number}:80")),
                    tcp(&format!("900{number}"), &format!("10.99.1.{number}:90")),
                ];
                for _ in 0..200 {
                    nft::publish(&socket, tag, &own).unwrap();
                    nft::unpublish(&socket, tag, &own[..1]).unwrap();
                }
            });
        }
    });
    let found = nft::inspect(&space.netfilter(), tag).unwrap().unwrap();
    let left: Vec<u16> = found.published.iter().map(|p| p.port.host_port).collect();
    assert_eq!(left, [9002, 9003, 9004, 9005]);
}

#[test]
fn thousands_of_ports_are_one_transaction() {
    let Some((space, mut rules)) = installed() else {
        return;
    };
    let socket = space.netfilter();
    rules.published = (1..=20_000)
        .map(|n| tcp(&n.to_string(), &format!("[fd99:1::2]:{n}")))
        .collect();
    nft::install(&rules).unwrap().perform(&socket).unwrap();
    let found = nft::inspect(&socket, &rules.tag).unwrap().unwrap();
    assert!(found.matches(&rules).unwrap());
    // All of them again, and all of them away.
    nft::publish(&socket, &rules.tag, &rules.published[..1000]).unwrap();
    nft::unpublish(&socket, &rules.tag, &rules.published[..1000]).unwrap();
    let found = nft::inspect(&socket, &rules.tag).unwrap().unwrap();
    assert_eq!(found.published.len(), 19_000);
}

#[test]
fn damage_is_seen() {
    let Some((space, mut rules)) = installed() else {
        return;
    };
    let socket = space.netfilter();
    let whole = || {
        let found = nft::inspect(&socket, &Tag::default()).unwrap();
        found.is_some_and(|found| found.matches(&rules).unwrap())
    };
    for damage in [
        "flush table inet berth",
        "flush chain inet berth leaving",
        "delete element inet berth bridges { berth1 }",
        "add element inet berth published4 { tcp . 80 : 10.99.1.2 . 80 }",
        "insert rule inet berth forward accept",
        "flush ruleset",
        "flush ruleset; add table inet berth",
    ] {
        assert!(whole(), "before {damage}");
        space.input("nft", &["-f", "-"], damage);
        assert!(!whole(), "{damage}");
        nft::install(&rules).unwrap().perform(&socket).unwrap();
    }
    assert!(whole());
    rules.transit = Transit::Closed;
    let found = nft::inspect(&socket, &rules.tag).unwrap().unwrap();
    assert!(!found.matches(&rules).unwrap());
}

#[test]
fn without_a_table_nothing_is_published() {
    let Some(space) = Space::new() else { return };
    let (socket, tag) = (space.netfilter(), Tag::default());
    let ports = [tcp("8080", "10.99.1.2:80")];
    let error = nft::publish(&socket, &tag, &ports).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    insta::assert_snapshot!(error, @r#"cannot change the set published4 of the table berth: No such file or directory (os error 2); somebody removed the table berth or a part of it; run "berth network reload""#);
    nft::unpublish(&socket, &tag, &ports).unwrap();
    assert_eq!(nft::inspect(&socket, &tag).unwrap(), None);
    let network = &networks()[0];
    let error = nft::add_network(&tag, network).unwrap().perform(&socket);
    assert_eq!(error.unwrap_err().class(), ErrorClass::NotFound);
    assert_eq!(space.output("nft", &["list", "ruleset"]), "");
}

#[test]
fn asking_what_the_kernel_can_do_changes_nothing() {
    let Some(space) = Space::new() else { return };
    nft::available(&space.netfilter()).unwrap();
    assert_eq!(space.output("nft", &["list", "ruleset"]), "");
}

#[test]
fn without_the_capability_it_is_denied() {
    let Some(space) = Space::new() else { return };
    let socket = space.netfilter();
    // Capabilities are a thread's own.
    let error = space.run(|| {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, sets).unwrap();
        nft::available(&socket).unwrap_err()
    });
    assert_eq!(error.class(), ErrorClass::Denied);
    insta::assert_snapshot!(error, @"cannot change the table berth_probe: Operation not permitted (os error 1); run as root, or with CAP_NET_ADMIN over this network namespace");
}

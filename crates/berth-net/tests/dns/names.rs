//! What is answered from the leases.

use std::collections::HashSet;

use berth_net::dns::Attachment;

use crate::wire;
use crate::wire::{A, AAAA, ANY, MX, NOERROR, NXDOMAIN, PTR, query_with_size};
use crate::world::{Guest, World, attachment, can_run, read_frame, write_frame};

#[test]
fn a_container_is_found_by_name_alias_and_id() {
    if !can_run() {
        return;
    }
    let world = World::new();
    world.network("net");
    world.lease(
        "net",
        'b',
        "web",
        &["front", "Web2"],
        &["10.0.0.2", "fd00::2"],
    );
    let guest = Guest::new(&world, 'a', &["net"]);
    for name in ["web", "WEB", "front", "web2", "bbbbbbbbbbbb"] {
        let answer = guest.ask(name, A);
        assert_eq!((answer.id, answer.code), (0x1234, NOERROR), "{name}");
        assert_eq!(answer.records, ["10.0.0.2"], "{name}");
        assert!(answer.authoritative && answer.recursion && !answer.truncated);
        assert_eq!(answer.edns, None);
        assert_eq!(guest.ask(name, AAAA).records, ["fd00::2"], "{name}");
    }
    let any: HashSet<String> = guest.ask("web", ANY).records.into_iter().collect();
    assert_eq!(any, ["10.0.0.2", "fd00::2"].map(str::to_owned).into());
    let other = guest.ask("web", MX);
    assert_eq!((other.code, other.records.len()), (NOERROR, 0));
    assert_eq!(guest.ask("nobody", A).code, NXDOMAIN);
}

#[test]
fn a_name_without_an_address_of_that_family_exists_all_the_same() {
    if !can_run() {
        return;
    }
    let world = World::new();
    world.network("net");
    world.lease("net", 'b', "four", &[], &["10.0.0.2"]);
    world.lease("net", 'c', "six", &[], &["fd00::3"]);
    let guest = Guest::new(&world, 'a', &["net"]);
    for (name, kind) in [("four", AAAA), ("six", A)] {
        let answer = guest.ask(name, kind);
        assert_eq!((answer.code, answer.records.len()), (NOERROR, 0), "{name}");
    }
}

#[test]
fn addresses_have_names() {
    if !can_run() {
        return;
    }
    let world = World::new();
    for network in ["net", "named"] {
        world.network(network);
    }
    world.lease("net", 'b', "Web", &["front"], &["10.0.0.2", "fd00::2"]);
    world.lease("named", 'c', "db", &[], &["10.1.0.2"]);
    let guest = Guest::with(&world, 'a', |registration| berth_net::dns::Registration {
        networks: vec![
            attachment("net"),
            Attachment {
                name: Some("Back".to_owned()),
                ..attachment("named")
            },
        ],
        ..registration
    });
    assert_eq!(guest.ask("2.0.0.10.in-addr.arpa", PTR).records, ["Web"]);
    let six = format!("2.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
    assert_eq!(guest.ask(&six, PTR).records, ["Web"]);
    assert_eq!(guest.ask("2.0.1.10.in-addr.arpa", PTR).records, ["db.Back"]);
    // The same name is found, and with it the network's in any case.
    for name in ["db", "db.back", "DB.BACK"] {
        assert_eq!(guest.ask(name, A).records, ["10.1.0.2"], "{name}");
    }
    assert_ne!(guest.ask("web.back", A).code, NOERROR);
    assert_ne!(guest.ask("3.0.0.10.in-addr.arpa", PTR).code, NOERROR);
}

#[test]
fn a_container_sees_its_own_networks_only() {
    if !can_run() {
        return;
    }
    let world = World::new();
    for (network, digit, address) in [("one", 'b', "10.1.0.2"), ("two", 'c', "10.2.0.2")] {
        world.network(network);
        world.lease(network, digit, "web", &[network], &[address]);
    }
    let first = Guest::new(&world, 'a', &["one"]);
    let second = Guest::new(&world, 'd', &["two"]);
    let both = Guest::new(&world, 'e', &["two", "one"]);
    assert_eq!(first.ask("web", A).records, ["10.1.0.2"]);
    assert_eq!(first.ask("two", A).code, NXDOMAIN);
    assert_eq!(first.ask("2.0.2.10.in-addr.arpa", PTR).records.len(), 0);
    assert_eq!(second.ask("web", A).records, ["10.2.0.2"]);
    // A name that both networks have is that of the first.
    assert_eq!(both.ask("web", A).records, ["10.2.0.2"]);
    assert_eq!(both.ask("one", A).records, ["10.1.0.2"]);
    // Connected to another network, and disconnected from its first.
    let mut registration = first.registration();
    registration.networks = vec![attachment("two")];
    world.resolver().update(&registration).unwrap();
    assert_eq!(first.ask("web", A).records, ["10.2.0.2"]);
    assert_eq!(first.ask("one", A).code, NXDOMAIN);
    assert_eq!(both.ask("one", A).records, ["10.1.0.2"]);
}

#[test]
fn the_second_network_may_have_the_family_that_the_first_lacks() {
    if !can_run() {
        return;
    }
    let world = World::new();
    world.network("one");
    world.network("two");
    world.lease("one", 'b', "web", &[], &["10.1.0.2"]);
    world.lease("two", 'b', "web", &[], &["fd00::2"]);
    let guest = Guest::new(&world, 'a', &["one", "two"]);
    assert_eq!(guest.ask("web", A).records, ["10.1.0.2"]);
    assert_eq!(guest.ask("web", AAAA).records, ["fd00::2"]);
}

#[test]
fn a_lease_is_known_to_the_very_next_query() {
    if !can_run() {
        return;
    }
    let world = World::new();
    world.network("net");
    let guest = Guest::new(&world, 'a', &["net"]);
    for n in 0..100 {
        let address = format!("10.0.1.{n}");
        world.lease("net", 'b', &format!("c{n}"), &[], &[&address]);
        assert_eq!(guest.ask(&format!("c{n}"), A).records, [address]);
    }
}

#[test]
fn a_service_of_many_is_cut_by_udp_and_whole_by_tcp() {
    if !can_run() {
        return;
    }
    let world = World::new();
    world.network("net");
    for n in 0..500 {
        let address = format!("10.0.{}.{}", n / 250, n % 250 + 1);
        world.lease("net", 'b', &format!("c{n}"), &["all"], &[&address]);
    }
    let guest = Guest::new(&world, 'a', &["net"]);
    for n in 0..500 {
        let expected = format!("10.0.{}.{}", n / 250, n % 250 + 1);
        assert_eq!(guest.ask(&format!("c{n}"), A).records, [expected]);
    }
    let mut firsts = HashSet::new();
    for _ in 0..20 {
        let answer = guest.ask("all", A);
        assert!(
            answer.truncated && answer.length <= 512,
            "{}",
            answer.length
        );
        assert_eq!(answer.records.len(), (512 - 21) / 16);
        firsts.insert(answer.records[0].clone());
    }
    assert_eq!(firsts.len(), 20, "each answer begins with another");
    let answer = guest.send(&query_with_size(1, "all", A, 1232)).unwrap();
    assert!(answer.truncated && answer.length <= 1232 && answer.records.len() == 75);
    assert!(answer.edns.is_some());
    let answer = guest.send(&query_with_size(2, "all", A, 16_000)).unwrap();
    assert_eq!((answer.truncated, answer.records.len()), (false, 500));
    let mut stream = guest.connect();
    write_frame(&mut stream, &wire::query(3, "all", A));
    let answer = wire::answer(&read_frame(&mut stream));
    assert_eq!((answer.truncated, answer.records.len()), (false, 500));
    assert_eq!(answer.records.iter().collect::<HashSet<_>>().len(), 500);
}

#[test]
fn many_containers_have_a_resolver_each() {
    if !can_run() {
        return;
    }
    let world = World::new();
    world.network("net");
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    let guests: Vec<Guest> = ('0'..='9')
        .map(|digit| Guest::new(&world, digit, &["net"]))
        .collect();
    std::thread::scope(|scope| {
        for guest in &guests {
            scope.spawn(|| {
                for id in 0..200 {
                    let answer = guest.send(&wire::query(id, "web", A)).unwrap();
                    assert_eq!((answer.id, answer.records.len()), (id, 1));
                }
            });
        }
    });
    assert_eq!(world.registered().len(), 10);
}

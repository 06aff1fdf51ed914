//! Leases in a folder of the test's.

use std::collections::HashSet;

use berth_base::state::STATE_VERSION;

use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn pool(subnet: &str) -> Pool {
    let ipv4: Ipv4Net = subnet.parse().unwrap();
    Pool {
        ipv4: Some(ipv4),
        range: None,
        ipv6: Some("fd00:1::/64".parse().unwrap()),
        reserved: vec![IpAddr::V4(Ipv4Addr::from(u32::from(ipv4.network()) + 1))],
    }
}

fn blank(container: &str) -> Lease {
    Lease {
        version: STATE_VERSION,
        container: container.parse().unwrap(),
        name: container[..4].to_owned(),
        aliases: Vec::new(),
        ipv4: None,
        ipv6: None,
        mac: None,
        interface: "eth0".into(),
        host_interface: None,
    }
}

struct World {
    _folder: tempfile::TempDir,
    leases: Leases,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let leases = Leases::of(folder.path(), "net");
    World {
        _folder: folder,
        leases,
    }
}

#[test]
fn addresses_go_round_before_one_comes_again() {
    let world = world();
    let pool = pool("10.0.0.0/29");
    let mut taken = Vec::new();
    for _ in 0..3 {
        let mut lease = blank(A);
        world.leases.take(&pool, &mut lease).unwrap();
        taken.push(lease.ipv4.unwrap().to_string());
        let all = [lease.ipv4.map(IpAddr::V4), lease.ipv6.map(IpAddr::V6)];
        world
            .leases
            .give_back(&lease.container, all.into_iter().flatten())
            .unwrap();
    }
    assert_eq!(taken, ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    assert!(world.leases.all().unwrap().is_empty());
}

#[test]
fn ipv6_has_the_host_part_of_ipv4() {
    let world = world();
    let mut lease = blank(A);
    world.leases.take(&pool("10.0.0.0/16"), &mut lease).unwrap();
    assert_eq!(lease.ipv6.unwrap().to_string(), "fd00:1::2");
}

#[test]
fn a_full_subnet_says_so_and_a_given_back_address_is_found() {
    let world = world();
    let pool = pool("10.0.0.0/29");
    let mut addresses = HashSet::new();
    for _ in 0..5 {
        let mut lease = blank(A);
        world.leases.take(&pool, &mut lease).unwrap();
        addresses.insert(lease.ipv4.unwrap());
    }
    assert_eq!(addresses.len(), 5, "eight, less two ends and the gateway");
    let refused = world.leases.take(&pool, &mut blank(B)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no address of 10.0.0.0/29 is free on network net; remove containers, or make a network with a larger --subnet"
    );
    let free = ["10.0.0.4".parse().unwrap(), "fd00:1::4".parse().unwrap()];
    // Not whose it is not.
    world.leases.give_back(&B.parse().unwrap(), free).unwrap();
    assert!(world.leases.take(&pool, &mut blank(B)).is_err());
    world.leases.give_back(&A.parse().unwrap(), free).unwrap();
    let mut lease = blank(B);
    world.leases.take(&pool, &mut lease).unwrap();
    assert_eq!(lease.addresses().next(), Some(free[0]));
}

#[test]
fn an_address_that_is_asked_for_is_given_once() {
    let world = world();
    let pool = pool("10.0.0.0/24");
    let with = |ip: &str| Lease {
        ipv4: Some(ip.parse().unwrap()),
        ..blank(A)
    };
    world.leases.take(&pool, &mut with("10.0.0.77")).unwrap();
    let said = |lease: &mut Lease| world.leases.take(&pool, lease).unwrap_err().to_string();
    assert_eq!(
        said(&mut with("10.0.0.77")),
        "cannot give the address 10.0.0.77 of network net: container aaaa has it; leave the address out, or take a free one"
    );
    for (wanted, why) in [
        ("10.0.0.1", "it is the gateway's"),
        ("10.0.0.0", "it names the subnet 10.0.0.0/24 as a whole"),
        ("10.0.0.255", "it names the subnet 10.0.0.0/24 as a whole"),
        ("10.0.1.7", "it is outside of the subnet 10.0.0.0/24"),
    ] {
        let said = said(&mut with(wanted));
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(
        world.leases.all().unwrap().len(),
        2,
        "one lease, two addresses"
    );
}

#[test]
fn a_taken_ipv6_address_gives_the_ipv4_one_back() {
    let world = world();
    let pool = pool("10.0.0.0/24");
    let six = Some("fd00:1::abcd".parse().unwrap());
    let mut first = Lease {
        ipv6: six,
        ..blank(A)
    };
    world.leases.take(&pool, &mut first).unwrap();
    let mut second = Lease {
        ipv4: Some("10.0.0.9".parse().unwrap()),
        ipv6: six,
        ..blank(B)
    };
    assert!(world.leases.take(&pool, &mut second).is_err());
    let mut third = Lease {
        ipv4: Some("10.0.0.9".parse().unwrap()),
        ..blank(B)
    };
    world.leases.take(&pool, &mut third).unwrap();
}

#[test]
fn many_at_once_get_different_addresses() {
    let world = world();
    let pool = pool("10.0.0.0/24");
    let taken = std::sync::Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let mut lease = blank(A);
                    world.leases.take(&pool, &mut lease).unwrap();
                    assert!(taken.lock().unwrap().insert(lease.ipv4), "{lease:?}");
                }
            });
        }
    });
    assert_eq!(taken.lock().unwrap().len(), 160);
}

//! Beside Docker's chains, made here as Docker makes them.

use berth_net::nft::{self, Tag};

use crate::lab::{Lab, both};
use crate::space::{Space, installed, seen};

/// What dockerd leaves of the filter table, as far as it concerns others.
fn dock(space: &Space, iptables: &str) {
    for line in [
        "-N DOCKER-USER",
        "-P FORWARD DROP",
        "-I FORWARD -j DOCKER-USER",
    ] {
        run(space, iptables, line);
    }
}

fn run(space: &Space, iptables: &str, line: &str) -> String {
    let arguments: Vec<&str> = line.split(' ').collect();
    space.output(iptables, &arguments)
}

/// A namespace, where iptables is there to make the chains.
fn space() -> Option<Space> {
    if !installed("iptables-nft") {
        berth_testkit::skip("iptables-nft is not installed");
        return None;
    }
    Space::new()
}

#[test]
fn the_pair_is_added_once_and_found_again() {
    let Some(space) = space() else { return };
    let (socket, tag) = (space.netfilter(), Tag::default());
    assert!(!nft::open_docker_user(&socket, &tag, &["berth+"]).unwrap());
    dock(&space, "iptables-nft");
    assert!(nft::open_docker_user(&socket, &tag, &["berth+"]).unwrap());
    assert!(!nft::open_docker_user(&socket, &tag, &["berth+"]).unwrap());
    let list = || run(&space, "iptables-nft", "-S DOCKER-USER");
    insta::assert_snapshot!(list(), @r#"
    -N DOCKER-USER
    -A DOCKER-USER -i berth+ -m comment --comment "berth:berth+" -j ACCEPT
    -A DOCKER-USER -o berth+ -m comment --comment "berth:berth+" -j ACCEPT
    "#);
    // Another engine of ours has a pair of its own.
    let other = Tag::new("a1b2").unwrap();
    assert!(nft::open_docker_user(&socket, &other, &["berth+"]).unwrap());
    assert_eq!(list().matches("-A DOCKER-USER").count(), 4);
    assert!(nft::close_docker_user(&socket, &tag).unwrap());
    assert!(!nft::close_docker_user(&socket, &tag).unwrap());
    insta::assert_snapshot!(list(), @r#"
    -N DOCKER-USER
    -A DOCKER-USER -i berth+ -m comment --comment "berth_a1b2:berth+" -j ACCEPT
    -A DOCKER-USER -o berth+ -m comment --comment "berth_a1b2:berth+" -j ACCEPT
    "#);
    assert!(nft::close_docker_user(&socket, &other).unwrap());
    assert_eq!(list(), "-N DOCKER-USER\n");
}

#[test]
fn a_pair_that_is_not_whole_is_mended() {
    let Some(space) = space() else { return };
    let (socket, tag) = (space.netfilter(), Tag::default());
    dock(&space, "ip6tables-nft");
    nft::open_docker_user(&socket, &tag, &["berth+"]).unwrap();
    let list = || run(&space, "ip6tables-nft", "-S DOCKER-USER");
    let whole = list();
    run(&space, "ip6tables-nft", "-D DOCKER-USER 1");
    assert!(nft::open_docker_user(&socket, &tag, &["berth+"]).unwrap());
    assert_eq!(list(), whole);
}

#[test]
fn a_bridge_of_another_name_has_a_pair_of_its_own() {
    let Some(space) = space() else { return };
    let (socket, tag) = (space.netfilter(), Tag::default());
    dock(&space, "iptables-nft");
    let open = |names: &[&str]| nft::open_docker_user(&socket, &tag, names).unwrap();
    assert!(open(&["berth+"]));
    assert!(open(&["berth+", "lan7"]));
    assert!(!open(&["berth+", "lan7"]));
    let list = || run(&space, "iptables-nft", "-S DOCKER-USER");
    insta::assert_snapshot!(list(), @r#"
    -N DOCKER-USER
    -A DOCKER-USER -i berth+ -m comment --comment "berth:berth+" -j ACCEPT
    -A DOCKER-USER -o berth+ -m comment --comment "berth:berth+" -j ACCEPT
    -A DOCKER-USER -i lan7 -m comment --comment "berth:lan7" -j ACCEPT
    -A DOCKER-USER -o lan7 -m comment --comment "berth:lan7" -j ACCEPT
    "#);
    assert!(open(&["lan7"]));
    assert_eq!(list().matches("lan7").count(), 4);
    assert!(!list().contains("berth+"));
    assert!(nft::open_docker_user(&socket, &tag, &["a b"]).is_err());
}

#[test]
fn the_users_own_rules_come_first() {
    let Some(space) = space() else { return };
    let (socket, tag) = (space.netfilter(), Tag::default());
    dock(&space, "iptables-nft");
    run(
        &space,
        "iptables-nft",
        "-A DOCKER-USER -s 192.0.2.0/24 -j DROP",
    );
    // Older versions of Docker end the chain so.
    run(&space, "iptables-nft", "-A DOCKER-USER -j RETURN");
    let list = || run(&space, "iptables-nft", "-S DOCKER-USER");
    let before = list();
    nft::open_docker_user(&socket, &tag, &["berth+"]).unwrap();
    insta::assert_snapshot!(list(), @r#"
    -N DOCKER-USER
    -A DOCKER-USER -s 192.0.2.0/24 -j DROP
    -A DOCKER-USER -i berth+ -m comment --comment "berth:berth+" -j ACCEPT
    -A DOCKER-USER -o berth+ -m comment --comment "berth:berth+" -j ACCEPT
    -A DOCKER-USER -j RETURN
    "#);
    nft::close_docker_user(&socket, &tag).unwrap();
    assert_eq!(list(), before);
}

#[test]
fn packets_pass_dockers_policy_by_the_pair() {
    if space().is_none() {
        return;
    }
    let Some(lab) = Lab::new() else { return };
    let (socket, tag) = (lab.host.netfilter(), Tag::default());
    lab.install([both("8080", "10.99.1.2:80"), both("8080", "[fd99:1::2]:80")].concat());
    dock(&lab.host, "iptables-nft");
    dock(&lab.host, "ip6tables-nft");
    lab.world.is_silent("203.0.113.1:8080");
    nft::open_docker_user(&socket, &tag, &["berth+"]).unwrap();
    assert_eq!(lab.world.tcp("203.0.113.1:8080"), seen("203.0.113.2"));
    assert_eq!(lab.world.tcp("[2001:db8::1]:8080"), seen("2001:db8::2"));
    assert_eq!(lab.other.tcp("203.0.113.1:8080"), seen("10.99.1.1"));
    assert_eq!(lab.web.tcp("203.0.113.2:80"), seen("203.0.113.1"));
    // Our own table still has its say.
    lab.world.is_silent("10.99.1.3:80");
    lab.other.is_silent("10.99.1.2:80");
    nft::close_docker_user(&socket, &tag).unwrap();
    lab.world.is_silent("203.0.113.1:8080");
}

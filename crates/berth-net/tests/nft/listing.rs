//! The table as `nft` of the distribution shows it: what a user sees, and proof that the kernel
//! understood what we meant.

use berth_base::Transport;
use berth_net::nft::{self, Rules, Tag, Transit};

use crate::lab::{networks, port};
use crate::space::Space;

fn rules() -> Rules {
    Rules {
        networks: networks(),
        published: vec![
            port(Transport::Tcp, "8080", "10.99.1.2:80"),
            port(Transport::Udp, "192.0.2.1:53", "10.99.1.3:5353"),
            port(Transport::Tcp, "8080", "[fd99:1::2]:80"),
            port(Transport::Sctp, "[2001:db8::1]:9", "[fd99:1::2]:99"),
        ],
        ..Rules::default()
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "the whole table in one piece")]
fn the_table_reads_as_documented() {
    let Some(space) = Space::new() else { return };
    let socket = space.netfilter();
    nft::install(&rules()).unwrap().perform(&socket).unwrap();
    let shown = space.output("nft", &["list", "table", "inet", "berth"]);
    insta::assert_snapshot!(shown.replace('\t', "  "), @r#"
    table inet berth {
      comment "berth: layout 2"
      set bridges {
        type ifname
        elements = { "berth0",
               "berth1",
               "berth2" }
      }

      set within {
        type ifname . ifname
        elements = { "berth0" . "berth0",
               "berth1" . "berth1",
               "berth2" . "berth2" }
      }

      set shards {
        type ifname
      }

      set internal {
        type ifname
        elements = { "berth2" }
      }

      set subnets4 {
        type ipv4_addr
        flags interval
        elements = { 10.99.1.0/24, 10.99.2.0/24,
               10.99.3.0/24 }
      }

      set subnets6 {
        type ipv6_addr
        flags interval
        elements = { fd99:1::/64,
               fd99:2::/64,
               fd99:3::/64 }
      }

      set masquerade4 {
        type ipv4_addr
        flags interval
        elements = { 10.99.1.0/24, 10.99.2.0/24 }
      }

      set masquerade6 {
        type ipv6_addr
        flags interval
        elements = { fd99:1::/64,
               fd99:2::/64 }
      }

      map published4 {
        type inet_proto . inet_service : ipv4_addr . inet_service
        elements = { tcp . 8080 comment "web" : 10.99.1.2 . 80 }
      }

      map published6 {
        type inet_proto . inet_service : ipv6_addr . inet_service
        elements = { tcp . 8080 comment "web" : fd99:1::2 . 80 }
      }

      map published_at4 {
        type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
        elements = { 192.0.2.1 . udp . 53 comment "web" : 10.99.1.3 . 5353 }
      }

      map published_at6 {
        type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service
        elements = { 2001:db8::1 . sctp . 9 comment "web" : fd99:1::2 . 99 }
      }

      chain guard {
        type filter hook prerouting priority raw; policy accept;
        ip daddr 127.0.0.0/8 iifname @bridges drop comment "containers do not reach the host's loopback"
        iifname @shards notrack comment "the first bridge of a network translates, and no other"
      }

      chain prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr 127.0.0.0/8 return comment "forged: the loopback from outside"
        fib daddr type local goto published comment "to an address of this host"
      }

      chain output {
        type nat hook output priority -100; policy accept;
        ip6 daddr ::1 return comment "the kernel has no way back to ::1"
        fib daddr type local goto published comment "to an address of this host"
      }

      chain published {
        dnat ip to ip daddr . meta l4proto . th dport map @published_at4 comment "ports published on one address"
        meta nfproto ipv4 dnat ip to meta l4proto . th dport map @published4 comment "ports published on all addresses"
        dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_at6 comment "ports published on one address"
        meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @published6 comment "ports published on all addresses"
      }

      chain forward {
        type filter hook forward priority filter; policy accept;
        ct state established,related accept comment "answers, and ICMP errors"
        iifname @bridges goto leaving comment "from a network of ours"
        oifname @bridges goto entering comment "to a network of ours"
      }

      chain leaving {
        oifname @bridges goto between comment "to a network of ours"
        iifname @internal drop comment "from an internal network"
        ct state invalid drop comment "belongs to no connection"
      }

      chain between {
        iifname . oifname @within accept comment "within a network"
        iifname @internal drop comment "from an internal network"
        oifname @internal drop comment "to an internal network"
        ct status dnat accept comment "through a published port"
        drop comment "networks are isolated"
      }

      chain entering {
        oifname @internal drop comment "to an internal network"
        ct status dnat accept comment "through a published port"
        drop comment "not published"
      }

      chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname @bridges goto to_bridge comment "to a network of ours"
        ip saddr @masquerade4 masquerade comment "from a network to the outside"
        ip6 saddr @masquerade6 masquerade comment "from a network to the outside"
      }

      chain to_bridge {
        ip saddr 127.0.0.0/8 masquerade comment "from the host's loopback"
        ip saddr @subnets4 ct status dnat masquerade comment "from a container through a published port"
        ip6 saddr @subnets6 ct status dnat masquerade comment "from a container through a published port"
      }
    }
    "#);
}

#[test]
fn installing_twice_is_installing_once() {
    let Some(space) = Space::new() else { return };
    let socket = space.netfilter();
    let list = || space.output("nft", &["list", "ruleset"]);
    nft::install(&rules()).unwrap().perform(&socket).unwrap();
    let first = list();
    nft::install(&rules()).unwrap().perform(&socket).unwrap();
    assert_eq!(list(), first);
    // What nobody asks for any more is gone.
    nft::install(&Rules::default())
        .unwrap()
        .perform(&socket)
        .unwrap();
    assert!(!list().contains("berth0"), "{}", list());
    nft::uninstall(&Tag::default()).perform(&socket).unwrap();
    nft::uninstall(&Tag::default()).perform(&socket).unwrap();
    assert_eq!(list(), "");
}

#[test]
fn two_engines_have_a_table_each() {
    let Some(space) = Space::new() else { return };
    let socket = space.netfilter();
    let other = Rules {
        tag: Tag::new("a1b2").unwrap(),
        transit: Transit::Closed,
        ..Rules::default()
    };
    nft::install(&rules()).unwrap().perform(&socket).unwrap();
    nft::install(&other).unwrap().perform(&socket).unwrap();
    assert_eq!(
        space.output("nft", &["list", "tables"]),
        "table inet berth\ntable inet berth_a1b2\n"
    );
    nft::uninstall(&other.tag).perform(&socket).unwrap();
    let installed = nft::inspect(&socket, &Tag::default()).unwrap().unwrap();
    assert!(installed.matches(&rules()).unwrap());
    assert_eq!(nft::inspect(&socket, &other.tag).unwrap(), None);
}

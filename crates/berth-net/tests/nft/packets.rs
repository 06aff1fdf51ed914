//! What arrives, what does not, and with which address.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

use berth_base::Transport;
use berth_net::nft::{self, Before, Rules, Transit};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, acceptfrom, bind, connect, ipproto, listen,
    recv, sendto, socket,
};

use crate::lab::{Lab, both, networks, port};
use crate::space::{Outcome, seen};

/// Whether what a bridge passes on goes through the packet filter; Docker and Kubernetes want it.
const BRIDGED: [&str; 2] = ["0", "1"];

/// The ports of most tests: `web` on all addresses, on one and on the loopback; `other` too.
fn ports() -> Vec<nft::Published> {
    [
        both("8080", "10.99.1.2:80"),
        both("8080", "[fd99:1::2]:80"),
        both("203.0.113.1:8081", "10.99.1.2:80"),
        both("[2001:db8::1]:8081", "[fd99:1::2]:80"),
        both("127.0.0.1:8082", "10.99.1.2:80"),
        both("8083", "10.99.2.2:80"),
        // Nobody listens there.
        both("8084", "10.99.1.2:81"),
        both("8084", "[fd99:1::2]:81"),
        // One address of the host says otherwise than the rest.
        both("8085", "10.99.1.2:80"),
        both("203.0.113.1:8085", "10.99.1.3:80"),
    ]
    .concat()
}

#[test]
fn published_ports_are_reached_from_outside_and_see_who_comes() {
    let Some(lab) = Lab::new() else { return };
    lab.install(ports());
    for bridged in BRIDGED {
        lab.filter_bridged(bridged);
        the_world_reaches(&lab);
    }
}

fn the_world_reaches(lab: &Lab) {
    for address in ["203.0.113.1:8080", "203.0.113.1:8081", "203.0.113.1:8083"] {
        assert_eq!(lab.world.tcp(address), seen("203.0.113.2"), "{address}");
        assert_eq!(lab.world.udp(address), seen("203.0.113.2"), "{address}");
    }
    for address in ["[2001:db8::1]:8080", "[2001:db8::1]:8081"] {
        assert_eq!(lab.world.tcp(address), seen("2001:db8::2"), "{address}");
        assert_eq!(lab.world.udp(address), seen("2001:db8::2"), "{address}");
    }
    // On another address of the host there is only what is published on all of them.
    assert_eq!(lab.world.tcp("10.99.1.1:8080"), seen("203.0.113.2"));
    assert_eq!(lab.world.tcp("10.99.1.1:8081"), Outcome::Refused);
}

#[test]
fn the_more_precise_address_wins() {
    let Some(lab) = Lab::new() else { return };
    lab.install(ports());
    lab.peer.serve("10.99.1.3:90");
    let socket = lab.host.netfilter();
    let precise = [port(Transport::Tcp, "203.0.113.1:8086", "10.99.1.3:90")];
    let rough = [port(Transport::Tcp, "8086", "10.99.1.2:81")];
    for ports in [precise, rough] {
        nft::publish(&socket, &nft::Tag::default(), &ports).unwrap();
    }
    assert_eq!(lab.world.tcp("203.0.113.1:8086"), seen("203.0.113.2"));
    assert_eq!(lab.world.tcp("10.99.1.1:8086"), Outcome::Refused);
}

#[test]
fn icmp_errors_come_back() {
    let Some(lab) = Lab::new() else { return };
    lab.install(ports());
    for address in ["203.0.113.1:8084", "[2001:db8::1]:8084"] {
        assert_eq!(lab.world.tcp(address), Outcome::Refused, "{address}");
        // ICMP port unreachable from the container.
        assert_eq!(lab.world.udp(address), Outcome::Refused, "{address}");
    }
    // And to it, from outside.
    for address in ["203.0.113.2:81", "[2001:db8::2]:81"] {
        assert_eq!(lab.web.udp(address), Outcome::Refused, "{address}");
    }
}

#[test]
fn the_host_reaches_published_ports_by_all_its_addresses() {
    let Some(lab) = Lab::new() else { return };
    lab.install(ports());
    for bridged in BRIDGED {
        lab.filter_bridged(bridged);
        the_host_reaches(&lab);
    }
}

fn the_host_reaches(lab: &Lab) {
    for (address, from) in [
        ("127.0.0.1:8080", "10.99.1.1"),
        ("127.0.0.1:8082", "10.99.1.1"),
        ("127.0.0.99:8080", "10.99.1.1"),
        ("203.0.113.1:8080", "203.0.113.1"),
        ("203.0.113.1:8081", "203.0.113.1"),
        ("10.99.1.1:8080", "10.99.1.1"),
        ("10.99.2.1:8080", "10.99.1.1"),
        ("[2001:db8::1]:8080", "2001:db8::1"),
        ("[fd99:1::1]:8080", "fd99:1::1"),
        // Unpublished ones as well: whoever is on the host may.
        ("10.99.1.3:80", "10.99.1.1"),
        ("10.99.3.2:80", "10.99.3.1"),
    ] {
        assert_eq!(lab.host.tcp(address), seen(from), "{address}");
        assert_eq!(lab.host.udp(address), seen(from), "{address}");
    }
    assert_eq!(lab.host.tcp("127.0.0.1:8081"), Outcome::Refused);
    assert_eq!(lab.host.tcp("203.0.113.1:8082"), Outcome::Refused);
    // Whoever asks for "localhost" goes on to 127.0.0.1 then.
    assert_eq!(lab.host.tcp("[::1]:8080"), Outcome::Refused);
    assert_eq!(lab.host.udp("[::1]:8080"), Outcome::Refused);
}

#[test]
fn containers_reach_published_ports_their_own_too() {
    let Some(lab) = Lab::new() else { return };
    lab.install(ports());
    for bridged in BRIDGED {
        lab.filter_bridged(bridged);
        containers_reach(&lab);
    }
}

fn containers_reach(lab: &Lab) {
    for (address, network) in [
        ("203.0.113.1:8080", "10.99.1.1"),
        ("10.99.1.1:8080", "10.99.1.1"),
        ("10.99.2.1:8080", "10.99.1.1"),
        ("[2001:db8::1]:8080", "fd99:1::1"),
    ] {
        for from in [&lab.web, &lab.peer, &lab.other] {
            assert_eq!(from.tcp(address), seen(network), "{address}");
            assert_eq!(from.udp(address), seen(network), "{address}");
        }
    }
    assert_eq!(lab.web.tcp("203.0.113.1:8083"), seen("10.99.2.1"));
}

#[test]
fn what_is_not_published_is_not_reached_from_outside() {
    let Some(lab) = Lab::new() else { return };
    // The way is there: without a table everything arrives.
    assert_eq!(lab.world.tcp("10.99.1.2:80"), seen("203.0.113.2"));
    assert_eq!(lab.world.tcp("[fd99:1::2]:80"), seen("2001:db8::2"));
    lab.install(ports());
    for address in [
        "10.99.1.2:80",
        "10.99.2.2:80",
        "10.99.3.2:80",
        "[fd99:1::2]:80",
    ] {
        lab.world.is_silent(address);
    }
    assert_eq!(lab.world.tcp("203.0.113.1:80"), Outcome::Refused);
}

#[test]
fn networks_are_isolated_and_neighbours_are_not() {
    let Some(lab) = Lab::new() else { return };
    assert_eq!(lab.other.tcp("10.99.1.2:80"), seen("10.99.2.2"));
    lab.install(ports());
    for bridged in BRIDGED {
        lab.filter_bridged(bridged);
        for address in ["10.99.1.2:80", "[fd99:1::2]:80", "10.99.3.2:80"] {
            lab.other.is_silent(address);
        }
        assert_eq!(lab.peer.tcp("10.99.1.2:80"), seen("10.99.1.3"));
        assert_eq!(lab.peer.udp("[fd99:1::2]:80"), seen("fd99:1::3"));
    }
}

#[test]
fn what_belongs_to_no_connection_does_not_leave() {
    let Some(lab) = Lab::new() else { return };
    // Nobody asked for this echo reply, and so nobody would translate where it comes from.
    let echo = |number: u8| {
        let sender = lab.web.run(icmp);
        let to = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 2), 0);
        // Type 0, code 0, checksum, id 1, sequence number.
        let reply = [0, 0, 0xff, 0xfe - number, 0, 1, 0, number];
        sendto(&sender, &reply, SendFlags::empty(), &to).unwrap();
    };
    let listener = lab.world.run(icmp);
    let mut buffer = [0; 128];
    echo(0);
    let (length, _) = recv(&listener, &mut buffer, RecvFlags::empty()).unwrap();
    assert_eq!(buffer[12..16], [10, 99, 1, 2], "{:?}", &buffer[..length]);
    lab.install(ports());
    echo(1);
    // What comes behind it on the same way has arrived when it is answered.
    assert_eq!(lab.web.udp("203.0.113.2:80"), seen("203.0.113.1"));
    let none = recv(&listener, &mut buffer, RecvFlags::DONTWAIT);
    assert_eq!(none.unwrap_err(), Errno::AGAIN);
}

/// A socket for whole packets of ICMP.
fn icmp() -> OwnedFd {
    socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).unwrap()
}

#[test]
fn containers_reach_the_outside_with_the_hosts_address() {
    let Some(lab) = Lab::new() else { return };
    lab.install(ports());
    for from in [&lab.web, &lab.other] {
        assert_eq!(from.tcp("203.0.113.2:80"), seen("203.0.113.1"));
        assert_eq!(from.udp("203.0.113.2:80"), seen("203.0.113.1"));
        assert_eq!(from.tcp("[2001:db8::2]:80"), seen("2001:db8::1"));
    }
    let mut plain = networks();
    plain[0].masquerade = false;
    let rules = Rules {
        networks: plain,
        ..Rules::default()
    };
    let socket = lab.host.netfilter();
    nft::install(&rules).unwrap().perform(&socket).unwrap();
    assert_eq!(lab.web.tcp("203.0.113.2:80"), seen("10.99.1.2"));
    assert_eq!(lab.other.tcp("203.0.113.2:80"), seen("203.0.113.1"));
}

#[test]
fn internal_networks_have_no_outside() {
    let Some(lab) = Lab::new() else { return };
    assert_eq!(lab.inner.tcp("203.0.113.2:80"), seen("10.99.3.2"));
    lab.install(ports());
    for address in [
        "203.0.113.2:80",
        "[2001:db8::2]:80",
        "10.99.1.2:80",
        // A published port is outside as well.
        "203.0.113.1:8080",
        "10.99.3.1:8080",
    ] {
        lab.inner.is_silent(address);
    }
    // Not even where somebody published a port of it.
    let socket = lab.host.netfilter();
    let mistake = both("8087", "10.99.3.2:80");
    nft::publish(&socket, &nft::Tag::default(), &mistake).unwrap();
    lab.world.is_silent("203.0.113.1:8087");
    lab.other.is_silent("203.0.113.1:8087");
}

#[test]
fn the_hosts_loopback_is_for_the_host() {
    let Some(lab) = Lab::new() else { return };
    lab.host.serve("127.0.0.1:7000");
    // Routing allows what it should not: the container's own loopback is gone, and the host's is
    // next door.
    let forge = |space: &crate::space::Space, gateway: &str| {
        space.sysctl("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
        space.ip(&format!(
            "address del 127.0.0.1/8 dev lo\nroute add 127.0.0.1 via {gateway} dev eth0\n"
        ));
    };
    forge(&lab.web, "10.99.1.1");
    forge(&lab.world, "203.0.113.1");
    lab.host
        .sysctl("/proc/sys/net/ipv4/conf/berth0/route_localnet", "1");
    assert_eq!(lab.web.tcp("127.0.0.1:7000"), seen("10.99.1.2"));
    lab.install(ports());
    lab.web.is_silent("127.0.0.1:7000");
    lab.web.is_silent("127.0.0.1:8082");
    lab.world.is_silent("127.0.0.1:8082");
    lab.world.is_silent("127.0.0.1:8080");
    assert_eq!(lab.host.tcp("127.0.0.1:7000"), seen("127.0.0.1"));
}

#[test]
fn a_host_that_forwards_for_us_forwards_for_nobody_else() {
    let Some(lab) = Lab::new() else { return };
    let far = lab.host.beside();
    lab.host.ip(&format!(
        "link add far type veth peer name eth0 netns {}\n\
         address add 198.51.100.1/24 dev far\nlink set far up\n",
        far.path()
    ));
    far.ip("address add 198.51.100.2/24 dev eth0\nlink set eth0 up\n\
         route add default via 198.51.100.1\n");
    far.serve("198.51.100.2:80");
    lab.install(ports());
    assert_eq!(lab.world.tcp("198.51.100.2:80"), seen("203.0.113.2"));
    let rules = Rules {
        transit: Transit::Closed,
        networks: networks(),
        published: ports(),
        ..Rules::default()
    };
    let socket = lab.host.netfilter();
    nft::install(&rules).unwrap().perform(&socket).unwrap();
    lab.world.is_silent("198.51.100.2:80");
    assert_eq!(lab.web.tcp("198.51.100.2:80"), seen("198.51.100.1"));
    assert_eq!(far.tcp("198.51.100.1:8080"), seen("198.51.100.2"));
}

#[test]
fn connections_survive_a_new_installation() {
    use std::io::{Read as _, Write as _};
    let Some(lab) = Lab::new() else { return };
    lab.install(ports());
    let listener = lab
        .web
        .run(|| std::net::TcpListener::bind("10.99.1.2:81").unwrap());
    let mut client = lab
        .world
        .run(|| std::net::TcpStream::connect("203.0.113.1:8084").unwrap());
    let (mut server, _) = listener.accept().unwrap();
    lab.install(ports());
    client.write_all(b"still").unwrap();
    let mut buffer = [0; 5];
    server.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"still");
}

#[test]
fn names_are_asked_on_a_port_of_their_own() {
    let Some(lab) = Lab::new() else { return };
    lab.web.serve("127.0.0.11:5300");
    // The container's own server keeps its port.
    lab.web.serve("0.0.0.0:53");
    let socket = lab.web.netfilter();
    let address = [127, 0, 0, 11].into();
    for (port, before) in [(5301, Before::Nothing), (5300, Before::Perhaps)] {
        let lead = nft::lead(address, 53, [port; 2], before);
        lead.perform(&socket).unwrap();
    }
    assert_eq!(lab.web.tcp("127.0.0.11:53"), seen("127.0.0.1"));
    assert_eq!(lab.web.udp("127.0.0.11:53"), seen("127.0.0.1"));
    assert_eq!(lab.peer.udp("10.99.1.2:53"), seen("10.99.1.3"));
}

#[test]
fn a_client_of_udp_that_goes_on_asking_follows_the_port() {
    let Some(lab) = Lab::new() else { return };
    lab.install(Vec::new());
    let (socket, tag) = (lab.host.netfilter(), nft::Tag::default());
    for (host, nobody, web, peer, client) in [
        (
            "203.0.113.1:8090",
            "10.99.1.2:81",
            "10.99.1.2:80",
            "10.99.1.3:80",
            "203.0.113.2",
        ),
        (
            "[2001:db8::1]:8090",
            "[fd99:1::2]:81",
            "[fd99:1::2]:80",
            "[fd99:1::3]:80",
            "2001:db8::2",
        ),
    ] {
        let lead = |container: &str| [port(Transport::Udp, "8090", container)];
        let ask = || lab.world.udp_from(4000, host);
        assert_eq!(ask(), Outcome::Refused);
        nft::publish(&socket, &tag, &lead(web)).unwrap();
        assert_eq!(ask(), seen(client));
        // Another container, where nobody listens, and back.
        nft::publish(&socket, &tag, &lead(nobody)).unwrap();
        assert_eq!(ask(), Outcome::Refused);
        nft::publish(&socket, &tag, &lead(peer)).unwrap();
        assert_eq!(ask(), seen(client));
        nft::unpublish(&socket, &tag, &lead(peer)).unwrap();
        assert_eq!(ask(), Outcome::Refused);
    }
}

#[test]
fn sctp_is_published_where_the_kernel_has_it() {
    let Some(lab) = Lab::new() else { return };
    let Ok(listener) = lab.web.run(sctp) else {
        berth_testkit::skip("the kernel has no SCTP");
        return;
    };
    lab.install(vec![port(Transport::Sctp, "8080", "10.99.1.2:80")]);
    let at = |address: [u8; 4], number| SocketAddrV4::new(address.into(), number);
    bind(&listener, &at([10, 99, 1, 2], 80)).unwrap();
    listen(&listener, 1).unwrap();
    let client = lab.world.run(sctp).unwrap();
    connect(&client, &at([203, 0, 113, 1], 8080)).unwrap();
    let (_, peer) = acceptfrom(&listener).unwrap();
    let peer = SocketAddrV4::try_from(peer.unwrap()).unwrap();
    assert_eq!(*peer.ip(), Ipv4Addr::new(203, 0, 113, 2));
}

/// A socket of SCTP that does not wait for ever.
fn sctp() -> Result<OwnedFd, Errno> {
    let made = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::SCTP))?;
    for which in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&made, which, Some(Duration::from_secs(20)))?;
    }
    Ok(made)
}

//! Large transfers: whole, whichever way they take. On kernels that have large pieces of TCP these
//! pass bridges, and are cut where an interface takes less.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use berth_sys::batch::NetlinkSocket;
use berth_sys::route;

use crate::world::World;

/// More than the windows and buffers on the way.
const LENGTH: usize = 16 << 20;
/// For a transfer that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes without a period that a piece's length divides (Knuth's MMIX generator).
fn bytes() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..LENGTH).map(|_| next()).collect()
}

/// Where a transfer begins or ends.
#[derive(Clone, Copy)]
enum End<'a> {
    Container(&'a str),
    Host(&'a World),
}

fn at<T: Send>(world: &World, end: End<'_>, work: impl FnOnce() -> T + Send) -> T {
    match end {
        End::Container(name) => world.within_container(name, work),
        End::Host(host) => host.within(work),
    }
}

/// Whether all bytes come to `sink` from `source`, who connects to an address, and back.
fn check(world: &World, source: End<'_>, address: &str, sink: End<'_>) {
    let sent = bytes();
    let listener = at(world, sink, || TcpListener::bind("[::]:9000").unwrap());
    // Not waited for when something fails.
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        patient(&stream);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
        all
    });
    let back = at(world, source, || {
        let mut stream = TcpStream::connect_timeout(&address.parse().unwrap(), PATIENCE).unwrap();
        patient(&stream);
        stream.write_all(&sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    assert!(echo.join().unwrap() == sent, "there, to {address}");
    assert!(back == sent, "back, from {address}");
}

fn patient(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
}

/// What an interface takes of TCP in one piece; nothing where the kernel cannot tell.
fn piece(world: &World, end: End<'_>, interface: &str) -> Option<u32> {
    at(world, end, || {
        let socket = NetlinkSocket::route().unwrap();
        route::outside(&socket, interface).unwrap().unwrap().piece
    })
}

#[test]
fn large_transfers_arrive_whole_whichever_way_they_take() {
    let Some(world) = World::new() else { return };
    let lan = world.neighbour();
    world.host("ip address add 192.0.2.2/24 dev up0");
    let create = [
        "network",
        "create",
        "--ipv6",
        "--subnet",
        "10.77.0.0/24",
        "--subnet",
        "fd77::/64",
        "blue",
    ];
    world.ok(&create);
    let run = |name: &str, flags: &[&str]| {
        let head = ["run", "-d", "--name", name, "--network", "blue"];
        world.ok(&[&head[..], flags, &["host", "sleep", "1000"]].concat());
    };
    run(
        "sink",
        &["--ip", "10.77.0.20", "--ip6", "fd77::20", "-p", "9000:9000"],
    );
    run("source", &[]);
    world.ok(&["network", "create", "-o", "berth.big-tcp=off", "small"]);
    world.ok(&["network", "connect", "small", "source"]);
    let bridge = |network: &str| {
        let id = world.ok(&["network", "inspect", "-f", "{{.Id}}", network]);
        format!("berth{}", &id[..10])
    };
    let (host, container) = (End::Host(&world), End::Container("source"));
    if piece(&world, host, "lo").is_some() {
        let wide = Some(192 << 10);
        assert_eq!(piece(&world, container, "eth0"), wide);
        assert_eq!(piece(&world, host, &bridge("blue")), wide);
        let usual = piece(&world, host, "lo");
        assert_eq!(piece(&world, container, "eth1"), usual);
        assert_eq!(piece(&world, host, &bridge("small")), usual);
    }
    let (source, sink) = (End::Container("source"), End::Container("sink"));
    check(&world, source, "10.77.0.20:9000", sink);
    check(&world, source, "[fd77::20]:9000", sink);
    check(&world, End::Host(&world), "127.0.0.1:9000", sink);
    check(&world, End::Host(&world), "[fd77::1]:9000", sink);
    check(&world, End::Host(&world), "10.77.0.20:9000", sink);
    check(&world, source, "192.0.2.2:9000", sink);
    check(&world, End::Host(&lan), "192.0.2.2:9000", sink);
    // Out, by an interface of the host's that takes less.
    check(&world, source, "192.0.2.1:9000", End::Host(&lan));
    let done = world.run(&["network", "create", "-o", "berth.big-tcp=yes", "red"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.err.contains("berth.big-tcp is on or off, not \"yes\""),
        "{done:?}"
    );
}

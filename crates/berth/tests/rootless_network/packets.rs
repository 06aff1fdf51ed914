//! What gets in and out.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::host::{Host, V4, V6, host};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

/// A container that waits, with flags.
fn waits(host: &Host, flags: &str) {
    let mut arguments = vec!["run", "-d", "--name", "web"];
    arguments.extend(flags.split_whitespace());
    arguments.extend(["host", "sleep", "600"]);
    host.ok(&arguments);
}

/// Sends a word, and what comes back.
fn talk(mut stream: TcpStream) -> String {
    stream.set_read_timeout(PATIENCE).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut buffer = [0; 64];
    let length = stream.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Answers one connection with the word that it began with, twice.
fn echo(listener: TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut buffer = [0; 5];
    stream.read_exact(&mut buffer).unwrap();
    stream.write_all(&buffer).unwrap();
    stream.write_all(&buffer).unwrap();
}

fn reaches_the_host(host: &Host, address: &'static str) {
    let listener = host.within(|| TcpListener::bind((address, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || echo(listener));
    let said = host.inside("web", || talk(TcpStream::connect((address, port)).unwrap()));
    assert!(said.starts_with("hello"), "{said}");
    server.join().unwrap();
}

/// A listener in the container is reached at a published port of the host.
fn is_reached(host: &Host, listen: &'static str, address: &'static str) {
    let listener = host.inside("web", || TcpListener::bind((listen, 80)).unwrap());
    let server = std::thread::spawn(move || echo(listener));
    let said = host.within(|| talk(TcpStream::connect((address, 8080)).unwrap()));
    assert!(said.starts_with("hello"), "{address}: {said}");
    server.join().unwrap();
}

fn answers_datagrams(host: &Host) {
    let server = host.inside("web", || UdpSocket::bind("0.0.0.0:53").unwrap());
    server.set_read_timeout(PATIENCE).unwrap();
    let client = host.within(|| UdpSocket::bind((V4, 0)).unwrap());
    client.set_read_timeout(PATIENCE).unwrap();
    client.send_to(b"hello", (V4, 5300)).unwrap();
    let mut buffer = [0; 16];
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"hello");
    server.send_to(b"world", from).unwrap();
    let length = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"world");
}

#[test]
fn pasta_connects_both_ways() {
    let Some(host) = host(&["pasta"]) else { return };
    waits(&host, "-p 8080:80 -p 5300:53/udp --network pasta");
    let addresses = host.ok(&["exec", "web", "ip", "-brief", "address", "show", "eth0"]);
    assert!(
        addresses.contains("10.0.2.100/24 fd00::64/64"),
        "{addresses}"
    );
    let routes = host.ok(&["exec", "web", "ip", "route"]);
    assert!(
        routes.starts_with("default via 10.0.2.2 dev eth0"),
        "{routes}"
    );
    reaches_the_host(&host, V4);
    reaches_the_host(&host, V6);
    is_reached(&host, "0.0.0.0", "127.0.0.1");
    is_reached(&host, "0.0.0.0", V4);
    is_reached(&host, "::", "::1");
    answers_datagrams(&host);
    let ports = host.ok(&["port", "web"]);
    assert_eq!(
        ports,
        "53/udp -> 0.0.0.0:5300\n53/udp -> [::]:5300\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080"
    );
    let settings = host.ok(&["inspect", "-f", "{{json .NetworkSettings.Networks}}", "web"]);
    assert!(
        settings.contains("\"IPAddress\":\"10.0.2.100\""),
        "{settings}"
    );
    host.ok(&["rm", "-f", "web"]);
}

#[test]
fn slirp4netns_connects_both_ways() {
    let Some(host) = host(&["slirp4netns"]) else {
        return;
    };
    waits(&host, "-p 8080:80 -p 5300:53/udp --network slirp4netns");
    reaches_the_host(&host, V4);
    is_reached(&host, "0.0.0.0", "127.0.0.1");
    is_reached(&host, "0.0.0.0", V4);
    answers_datagrams(&host);
    let ports = host.ok(&["port", "web"]);
    assert_eq!(ports, "53/udp -> 0.0.0.0:5300\n80/tcp -> 0.0.0.0:8080");
    host.ok(&["rm", "-f", "web"]);
}

#[test]
fn the_hosts_loopback_is_not_the_containers() {
    let Some(host) = host(&["pasta"]) else { return };
    waits(&host, "");
    let listener = host.within(|| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let second = Duration::from_secs(1);
    for address in ["127.0.0.1", "10.0.2.2"] {
        let refused = host.inside("web", || {
            let address = format!("{address}:{port}").parse().unwrap();
            TcpStream::connect_timeout(&address, second).is_err()
        });
        assert!(refused, "{address}");
    }
    host.ok(&["rm", "-f", "web"]);
}

/// A host need not have it. What is there nevertheless is not silently without names.
#[test]
fn a_host_without_resolv_conf_starts_containers_and_says_what_they_lack() {
    let Some(host) = host(&["pasta", "slirp4netns"]) else {
        return;
    };
    // A whiteout: it hides the file below.
    let path = host.user.path("etc-many/resolv.conf");
    let (kind, mode) = (
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::empty(),
    );
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, rustix::fs::makedev(0, 0)).unwrap();
    let lacks = "the host has no /etc/resolv.conf, and without root the image \"host\" is read-only; \
                 have the administrator run \"touch /etc/resolv.conf\", or take another image";
    for network in ["pasta", "slirp4netns"] {
        let run = ["run", "--rm", "--name", "web", "--network", network];
        let done = host.run(&[&run[..], &["host", "echo", "runs"]].concat());
        assert_eq!((done.code, done.out.as_str()), (0, "runs\n"), "{done:?}");
        let said = format!("berth: warning: container web cannot look up names: {lacks}\n");
        assert!(done.err.contains(&said), "{done:?}");
        let asked = host.fails(
            &[&run[..], &["--dns", "192.0.2.53", "host", "true"]].concat(),
            None,
        );
        let flags = "--dns, --dns-search or --dns-option";
        assert_eq!(asked, format!("berth: cannot fulfil {flags}: {lacks}"));
    }
    let done = host.run(&["run", "--rm", "--network", "none", "host", "true"]);
    assert!(!done.err.contains("names"), "{done:?}");
}

/// The host's only resolver is on its loopback, as systemd-resolved is.
#[test]
fn names_are_looked_up_by_the_hosts_resolver() {
    let Some(host) = host(&["pasta", "slirp4netns"]) else {
        return;
    };
    let resolv = host.user.path("etc-many/resolv.conf");
    std::fs::write(&resolv, "nameserver 127.0.0.1\n").unwrap();
    let server = host.within(|| UdpSocket::bind("127.0.0.1:53").unwrap());
    server.set_read_timeout(PATIENCE).unwrap();
    for (network, address) in [("pasta", "10.0.2.2"), ("slirp4netns", "10.0.2.3")] {
        let added = "--add-host host.docker.internal:host-gateway";
        waits(&host, &format!("--network {network} {added}"));
        let written = host.ok(&["exec", "web", "cat", "/etc/resolv.conf"]);
        assert_eq!(written, format!("nameserver {address}"));
        let hosts = host.ok(&["exec", "web", "cat", "/etc/hosts"]);
        let wanted = format!("{V4}\thost.docker.internal");
        assert!(hosts.contains(&wanted), "{hosts}");
        let client = host.inside("web", || UdpSocket::bind("0.0.0.0:0").unwrap());
        client.set_read_timeout(PATIENCE).unwrap();
        // Connected, as C libraries do it: an answer from elsewhere would be lost.
        client.connect((address, 53)).unwrap();
        client.send(b"\x12\x34 question").unwrap();
        let mut buffer = [0; 64];
        let (_, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(b"\x12\x34 answer", from).unwrap();
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"\x12\x34 answer", "{network}");
        host.ok(&["rm", "-f", "web"]);
    }
}

//! How many questions a second are answered, and how long one takes: over loopback, for the name
//! of a container, by this resolver or by another server.
//!
//! ```text
//! dns_bench                              this resolver, in this process
//! dns_bench --tcp                        the same by TCP
//! dns_bench --server 127.0.0.1:5353 NAME another server, such as dnsmasq
//! dns_bench --upstream 5300              nothing but a server that others can ask
//! dns_bench --port 5300 a.example        this resolver, which asks that one
//! ```
//!
//! A first round sends one question after the other, and tells how long each took; a second one
//! keeps 32 on the way. `--seconds N` says how long each of them lasts. `--json` prints the numbers
//! for a program.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that fails says where"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use berth_net::dns::{Attachment, Config, Registration, Resolver, Server, open_sockets};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

/// How many questions are on the way in the second round.
const WINDOW: u16 = 32;
/// How many other containers there are.
const CONTAINERS: usize = 500;
const NAME: &str = "c250";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut seconds = 3;
    let mut tcp = false;
    let mut json = false;
    let mut port = 53;
    let mut server: Option<SocketAddr> = None;
    let mut name = NAME.to_owned();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tcp" => tcp = true,
            "--json" => json = true,
            "--seconds" => seconds = arguments.next().unwrap().parse().unwrap(),
            "--upstream" => return answer(arguments.next().unwrap().parse().unwrap()),
            "--port" => port = arguments.next().unwrap().parse().unwrap(),
            "--server" => server = Some(arguments.next().unwrap().parse().unwrap()),
            other => name = other.to_owned(),
        }
    }
    let state = tempfile::tempdir().unwrap();
    let server = server.unwrap_or_else(|| serve(state.path(), port, tcp));
    let lasts = Duration::from_secs(seconds);
    let mut wire = Wire::new(server, tcp);
    let mut times = measure(&mut wire, &name, 1, lasts);
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let one_by_one = times.len() as u64 / seconds;
    let at_once = measure(&mut wire, &name, WINDOW, lasts).len() as u64 / seconds;
    if json {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let numbers = serde_json::json!({
            "one_by_one": one_by_one, "at_once": at_once,
            "median_us": micros(at(50)), "p99_us": micros(at(99)),
        });
        return println!("{numbers}");
    }
    println!(
        "one by one:   {one_by_one:>8} questions/s; median {:?}, 99 % {:?}",
        at(50),
        at(99)
    );
    println!("{WINDOW} on the way: {at_once:>8} questions/s");
}

/// Starts the resolver on a thread; answers where it listens.
fn serve(state: &std::path::Path, port: u16, tcp: bool) -> SocketAddr {
    let leases = state.join("networks/net/leases");
    std::fs::create_dir_all(&leases).unwrap();
    for n in 0..CONTAINERS {
        let address = format!("10.0.{}.{}", n / 250, n % 250 + 1);
        let lease = serde_json::json!({
            "version": 1, "container": "0".repeat(64), "name": format!("c{n}"),
            "ipv4": address, "interface": "eth0",
        });
        std::fs::write(leases.join(address), lease.to_string()).unwrap();
    }
    let (started, starts) = std::sync::mpsc::channel();
    let resolv_conf = state.join("resolv.conf");
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\n").unwrap();
    let config = Config {
        resolv_conf,
        port,
        ..Config::new(state.to_owned())
    };
    std::thread::spawn(move || {
        let server = Server::new(config, None).unwrap();
        started.send(()).unwrap();
        server.run().unwrap();
    });
    starts.recv().unwrap();
    let sockets = open_sockets().unwrap();
    let address = |fd: &std::os::fd::OwnedFd| {
        UdpSocket::from(fd.try_clone().unwrap())
            .local_addr()
            .unwrap()
    };
    let address = address(if tcp { &sockets.tcp } else { &sockets.udp });
    let registration = Registration {
        container: "0".repeat(64).parse().unwrap(),
        networks: vec![Attachment {
            id: "net".to_owned(),
            name: None,
            internal: false,
            nameless: false,
        }],
        servers: Vec::new(),
        options: Vec::new(),
    };
    let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let resolver = Resolver::connect(state).unwrap();
    resolver
        .register(&registration, &sockets, own.as_fd())
        .unwrap();
    address
}

/// Answers every question with an address, for ever.
fn answer(port: u16) {
    let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let (length, client) = udp.recv_from(&mut buffer).unwrap();
        let mut packet = buffer[..length].to_vec();
        // A response with one record; its name is the question's.
        packet[2] |= 0x80;
        packet[7] = 1;
        packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 1]);
        udp.send_to(&packet, client).unwrap();
    }
}

enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Wire {
    fn new(server: SocketAddr, tcp: bool) -> Self {
        if tcp {
            let stream = TcpStream::connect(server).unwrap();
            stream.set_nodelay(true).unwrap();
            return Self::Tcp(stream);
        }
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect(server).unwrap();
        udp.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        Self::Udp(udp)
    }

    fn send(&mut self, packet: &[u8]) {
        match self {
            Self::Udp(udp) => drop(udp.send(packet).unwrap()),
            Self::Tcp(stream) => {
                let length = u16::try_from(packet.len()).unwrap();
                stream
                    .write_all(&[&length.to_be_bytes(), packet].concat())
                    .unwrap();
            }
        }
    }

    /// The number of the answer that came.
    fn receive(&mut self) -> u16 {
        let mut buffer = [0; 4096];
        match self {
            Self::Udp(udp) => {
                let length = udp.recv(&mut buffer).unwrap();
                assert!(
                    length > 12 && buffer[3] & 15 == 0 && buffer[7] > 0,
                    "no answer"
                );
            }
            Self::Tcp(stream) => {
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let length = usize::from(u16::from_be_bytes(length));
                stream.read_exact(&mut buffer[..length]).unwrap();
            }
        }
        u16::from_be_bytes([buffer[0], buffer[1]])
    }
}

/// Keeps `window` questions on the way for a while; tells how long each took.
fn measure(wire: &mut Wire, name: &str, window: u16, lasts: Duration) -> Vec<Duration> {
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    let began = Instant::now();
    let mut sent = vec![began; usize::from(window)];
    let mut times = Vec::new();
    let mut ask = |wire: &mut Wire, id: u16, sent: &mut Vec<Instant>| {
        packet[..2].copy_from_slice(&id.to_be_bytes());
        sent[usize::from(id)] = Instant::now();
        wire.send(&packet);
    };
    for id in 0..window {
        ask(wire, id, &mut sent);
    }
    loop {
        let id = wire.receive();
        times.push(sent[usize::from(id)].elapsed());
        if began.elapsed() > lasts {
            break;
        }
        ask(wire, id, &mut sent);
    }
    for _ in 1..window {
        wire.receive();
    }
    times
}

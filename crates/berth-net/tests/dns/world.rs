//! A host, its resolver and its containers, each in a network namespace of its own.
//!
//! Threads enter the namespaces, and leave sockets behind that belong there; nothing outside of
//! them is touched.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use berth_base::ContainerId;
use berth_net::dns::{
    Attachment, Config, DnsError, Registration, Resolver, Server, Sockets, open_sockets, redirect,
};
use berth_sys::batch::NetlinkSocket;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::wire;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const NEW_NETWORK: u64 = 0x4000_0000;

/// Whether this machine can make what the tests need; says why not.
pub(crate) fn can_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        berth_testkit::skip("network namespaces need root");
    }
    root
}

/// What is said to a query by UDP (or by TCP, `true`).
pub(crate) type Answers = dyn Fn(&[u8], bool) -> Option<Vec<u8>> + Send + Sync;

/// A network namespace.
pub(crate) struct Namespace(OwnedFd);

impl Namespace {
    /// A new one, with its loopback interface up.
    pub(crate) fn new() -> Self {
        std::thread::spawn(|| {
            berth_sys::unshare_namespaces(NEW_NETWORK).unwrap();
            berth_sys::net::loopback_up().unwrap();
            Self(
                std::fs::File::open("/proc/thread-self/ns/net")
                    .unwrap()
                    .into(),
            )
        })
        .join()
        .unwrap()
    }

    /// Does something there.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let fd = self.0.as_fd();
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                move_into_link_name_space(fd, Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            there.join().unwrap()
        })
    }

    fn start<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let fd = self.0.try_clone().unwrap();
        std::thread::spawn(move || {
            move_into_link_name_space(fd.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        })
    }
}

/// A host with a resolver.
pub(crate) struct World {
    pub(crate) state: tempfile::TempDir,
    pub(crate) host: Namespace,
    ended: Receiver<Result<(), DnsError>>,
    /// Containers that are there for others to find.
    others: Mutex<BTreeSet<char>>,
}

impl World {
    /// With nobody to ask outside.
    pub(crate) fn new() -> Self {
        Self::with(|config| config)
    }

    pub(crate) fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join("resolv.conf"), "").unwrap();
        let host = Namespace::new();
        let ended = start_server(&host, change(Self::config(state.path())));
        Self {
            state,
            host,
            ended,
            others: Mutex::default(),
        }
    }

    fn config(state: &Path) -> Config {
        Config {
            resolv_conf: state.join("resolv.conf"),
            // Long enough for a slow machine; what is to fail says so at once.
            timeout: Duration::from_secs(2),
            grace: Duration::from_secs(60),
            ..Config::new(state.to_owned())
        }
    }

    /// Starts another resolver, as after a crash.
    pub(crate) fn restart(&mut self) {
        self.ended = start_server(&self.host, Self::config(self.state.path()));
        for digit in &*self.others.lock().unwrap() {
            self.run_other(*digit);
        }
    }

    /// Has a container run that asks nothing; its process is the test's.
    fn run_other(&self, digit: char) {
        let sockets = self.host.run(|| Sockets {
            udp: UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            tcp: TcpListener::bind("127.0.0.1:0").unwrap().into(),
        });
        let registration = Registration {
            container: container(digit),
            networks: Vec::new(),
            servers: Vec::new(),
            options: Vec::new(),
        };
        let init = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        let resolver = self.resolver();
        resolver
            .register(&registration, &sockets, init.as_fd())
            .unwrap();
    }

    /// The containers that are served, but for the others.
    pub(crate) fn registered(&self) -> Vec<ContainerId> {
        let mut all = self.resolver().registered().unwrap();
        let others = self.others.lock().unwrap();
        all.retain(|id| !others.iter().any(|digit| container(*digit) == *id));
        all
    }

    /// Waits for the resolver's end.
    pub(crate) fn wait_for_end(&self) -> Result<(), DnsError> {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }

    /// The host's servers, one for each of these; they live as long as the test.
    pub(crate) fn upstreams(&self, answers: Vec<Arc<Answers>>) {
        let mut text = String::new();
        for (number, answers) in (1..).zip(answers) {
            let address = format!("127.0.1.{number}");
            upstream(&self.host, &address, answers);
            text += &format!("nameserver {address}\n");
        }
        std::fs::write(self.state.path().join("resolv.conf"), text).unwrap();
    }

    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::connect(self.state.path()).unwrap()
    }

    fn leases(&self, network: &str) -> PathBuf {
        self.state
            .path()
            .join("networks")
            .join(network)
            .join("leases")
    }

    /// Makes a network's folder.
    pub(crate) fn network(&self, id: &str) {
        std::fs::create_dir_all(self.leases(id)).unwrap();
    }

    /// Writes the lease of a container that runs.
    pub(crate) fn lease(
        &self,
        network: &str,
        digit: char,
        name: &str,
        aliases: &[&str],
        addresses: &[&str],
    ) {
        self.put_lease(network, digit, name, aliases, addresses);
        if self.others.lock().unwrap().insert(digit) {
            self.run_other(digit);
        }
    }

    /// Writes a lease, of whomever.
    pub(crate) fn put_lease(
        &self,
        network: &str,
        digit: char,
        name: &str,
        aliases: &[&str],
        addresses: &[&str],
    ) {
        let mut json = serde_json::json!({
            "version": 1, "container": digit.to_string().repeat(64), "name": name,
            "aliases": aliases, "interface": "eth0",
        });
        for address in addresses {
            let key = if address.contains(':') {
                "ipv6"
            } else {
                "ipv4"
            };
            json[key] = (*address).into();
        }
        let temporary = self.leases(network).join(".new");
        std::fs::write(&temporary, json.to_string()).unwrap();
        std::fs::rename(&temporary, self.leases(network).join(addresses[0])).unwrap();
    }
}

fn start_server(host: &Namespace, config: Config) -> Receiver<Result<(), DnsError>> {
    let (started, starts) = channel();
    let (ends, ended) = channel();
    host.start(move || {
        let server = Server::new(config, None).unwrap();
        started.send(()).unwrap();
        // The test may be over.
        ends.send(server.run()).ok();
    });
    starts.recv_timeout(PATIENCE).unwrap();
    ended
}

/// A server in a namespace, by UDP and TCP, on port 53.
pub(crate) fn upstream(namespace: &Namespace, address: &str, answers: Arc<Answers>) {
    let (udp, tcp) = namespace.run(|| {
        let udp = UdpSocket::bind((address, 53)).unwrap();
        (udp, TcpListener::bind((address, 53)).unwrap())
    });
    let by_tcp = Arc::clone(&answers);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = udp.recv_from(&mut buffer) {
            if let Some(answer) = answers(&buffer[..length], false) {
                udp.send_to(&answer, client).unwrap();
            }
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            let packet = read_frame(&mut stream);
            if let Some(answer) = by_tcp(&packet, true) {
                write_frame(&mut stream, &answer);
            }
        }
    });
}

pub(crate) fn write_frame(stream: &mut TcpStream, packet: &[u8]) {
    let length = u16::try_from(packet.len()).unwrap();
    let frame = [&length.to_be_bytes(), packet].concat();
    stream.write_all(&frame).unwrap();
}

pub(crate) fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut packet).unwrap();
    packet
}

/// Counts and keeps what was asked.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<(String, bool)>>>);

impl Log {
    pub(crate) fn add(&self, query: &[u8], tcp: bool) {
        self.0.lock().unwrap().push((wire::name_of(query), tcp));
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter()
            .map(|(name, tcp)| {
                if *tcp {
                    format!("{name} by TCP")
                } else {
                    name.clone()
                }
            })
            .collect()
    }
}

/// A container: a namespace, and a process that lives as long as it.
pub(crate) struct Guest {
    pub(crate) id: ContainerId,
    pub(crate) namespace: Namespace,
    /// Talks to 127.0.0.11:53.
    pub(crate) udp: UdpSocket,
    /// The port behind it.
    pub(crate) port: u16,
    init: Child,
}

impl Guest {
    /// One that is registered.
    pub(crate) fn new(world: &World, digit: char, networks: &[&str]) -> Self {
        let networks = networks.iter().map(|id| attachment(id)).collect();
        Self::with(world, digit, |mut registration| {
            registration.networks = networks;
            registration
        })
    }

    pub(crate) fn with(
        world: &World,
        digit: char,
        change: impl FnOnce(Registration) -> Registration,
    ) -> Self {
        Self::registered(world.state.path(), digit, change)
    }

    /// One that another resolver serves.
    pub(crate) fn at(state: &Path, digit: char, networks: &[&str]) -> Self {
        Self::registered(state, digit, |registration| Registration {
            networks: networks.iter().map(|id| attachment(id)).collect(),
            ..registration
        })
    }

    fn registered(
        state: &Path,
        digit: char,
        change: impl FnOnce(Registration) -> Registration,
    ) -> Self {
        let (guest, sockets) = Self::unregistered(digit);
        let registration = change(guest.registration());
        Resolver::connect(state)
            .unwrap()
            .register(&registration, &sockets, guest.pidfd().as_fd())
            .unwrap();
        guest
    }

    /// One that nobody serves yet, with its sockets.
    pub(crate) fn unregistered(digit: char) -> (Self, Sockets) {
        let namespace = Namespace::new();
        let init = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (sockets, udp, port) = namespace.run(|| {
            let sockets = open_in_namespace();
            let port = UdpSocket::from(sockets.udp.try_clone().unwrap())
                .local_addr()
                .unwrap()
                .port();
            (sockets, connected(), port)
        });
        let guest = Self {
            id: container(digit),
            namespace,
            udp,
            port,
            init,
        };
        (guest, sockets)
    }

    pub(crate) fn registration(&self) -> Registration {
        Registration {
            container: self.id.clone(),
            networks: Vec::new(),
            servers: Vec::new(),
            options: Vec::new(),
        }
    }

    pub(crate) fn pidfd(&self) -> OwnedFd {
        let pid = Pid::from_raw(i32::try_from(self.init.id()).unwrap()).unwrap();
        pidfd_open(pid, PidfdFlags::empty()).unwrap()
    }

    /// Asks by UDP.
    pub(crate) fn ask(&self, name: &str, kind: u16) -> wire::Answer {
        self.send(&wire::query(0x1234, name, kind)).unwrap()
    }

    /// Sends a packet and waits for the answer; `None` when there is none to another query that
    /// follows it.
    pub(crate) fn send(&self, packet: &[u8]) -> Option<wire::Answer> {
        const LAST: u16 = 0xfffe;
        self.udp.send(packet).unwrap();
        let is_own = packet.get(..2) == Some(&LAST.to_be_bytes());
        if !is_own && packet.len() < 12 || packet.get(2).is_some_and(|flags| flags & 0x80 != 0) {
            self.udp.send(&wire::query(LAST, "", wire::A)).unwrap();
        }
        let answer = self.receive();
        (answer.id != LAST).then_some(answer)
    }

    pub(crate) fn receive(&self) -> wire::Answer {
        let mut buffer = [0; 65_536];
        let length = self.udp.recv(&mut buffer).unwrap();
        wire::answer(&buffer[..length])
    }

    /// Connects by TCP.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = self
            .namespace
            .run(|| TcpStream::connect(("127.0.0.11", 53)).unwrap());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Ends its process, and waits until nobody listens any more on its sockets.
    pub(crate) fn end(mut self) {
        drop(self.init.stdin.take());
        self.init.wait().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !self.namespace.run(|| is_refused(self.port)) {
            assert!(Instant::now() < deadline, "its sockets are still open");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        drop(self.init.stdin.take());
        self.init.wait().ok();
    }
}

fn container(digit: char) -> ContainerId {
    digit.to_string().repeat(64).parse().unwrap()
}

/// Opens the resolver's sockets in the caller's namespace and leads port 53 there.
pub(crate) fn open_in_namespace() -> Sockets {
    let sockets = open_sockets().unwrap();
    let batch = redirect(&sockets).unwrap();
    let netlink = NetlinkSocket::netfilter().unwrap();
    netlink.perform(batch.bytes().unwrap()).unwrap();
    sockets
}

/// A client's socket in the caller's namespace.
pub(crate) fn connected() -> UdpSocket {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect("127.0.0.11:53").unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    udp
}

/// Whether nobody has the port: the kernel says so at once on loopback.
pub(crate) fn is_refused(port: u16) -> bool {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(("127.0.0.11", port)).unwrap();
    udp.set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    // No query: a resolver that is there says nothing.
    udp.send(b"?").unwrap();
    let answer = udp.recv(&mut [0; 16]);
    answer.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

pub(crate) fn attachment(id: &str) -> Attachment {
    Attachment {
        id: id.to_owned(),
        name: None,
        internal: false,
        nameless: false,
    }
}

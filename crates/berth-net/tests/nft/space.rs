//! A network namespace of the test's own, gone with the test.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use berth_net::nft;
use berth_sys::batch::NetlinkSocket;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// For what must come; long, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(20);
/// For what must not come.
const SILENCE: Duration = Duration::from_millis(400);
/// CLONE_NEWNET.
const NEW_NETWORK: u64 = 0x4000_0000;

/// A network namespace.
pub(crate) struct Space(fs::File);

/// What came of an attempt to reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server answered, and saw this address.
    Seen(String),
    /// Nobody answered.
    Silence,
    /// Somebody said no (a reset, or ICMP port unreachable).
    Refused,
    /// Anything else.
    Failed(String),
}

impl Space {
    /// A fresh one with its loopback up; `None`, and the reason told, where that is not possible.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            berth_testkit::skip("network namespaces need root");
            return None;
        }
        if ["nft", "ip"].iter().any(|program| !installed(program)) {
            berth_testkit::skip("nft or ip is not installed");
            return None;
        }
        Some(Self::fresh())
    }

    fn fresh() -> Self {
        let made = thread::spawn(|| {
            berth_sys::unshare_namespaces(NEW_NETWORK).unwrap();
            berth_sys::net::loopback_up().unwrap();
            fs::File::open("/proc/thread-self/ns/net").unwrap()
        });
        Self(made.join().unwrap())
    }

    /// Another one.
    pub(crate) fn beside(&self) -> Self {
        Self::fresh()
    }

    /// Where `ip` finds it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Does something in there, on a thread of its own.
    pub(crate) fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
                    .unwrap();
                act()
            });
            inside.join().unwrap()
        })
    }

    /// A socket to its packet filter.
    pub(crate) fn netfilter(&self) -> NetlinkSocket {
        self.run(|| nft::socket().unwrap())
    }

    /// Runs a program in there to its end and gives what it printed.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> String {
        self.input(program, arguments, "")
    }

    /// The same with something to read.
    pub(crate) fn input(&self, program: &str, arguments: &[&str], text: &str) -> String {
        let done = self.run(|| {
            let mut child = Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            child.wait_with_output().unwrap()
        });
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// Lines for `ip -batch`.
    pub(crate) fn ip(&self, lines: &str) {
        self.input("ip", &["-batch", "-"], lines);
    }

    /// Writes below /proc/sys, which shows the writer's own namespace.
    pub(crate) fn sysctl(&self, path: &str, value: &str) {
        self.run(|| fs::write(path, value).unwrap_or_else(|e| panic!("{path}: {e}")));
    }

    /// Serves until the test ends: whoever comes by TCP or UDP is told the address he has.
    pub(crate) fn serve(&self, address: &str) {
        let (tcp, udp) = self.run(|| {
            let tcp = TcpListener::bind(address).unwrap();
            let udp = UdpSocket::bind(address).unwrap();
            (tcp, udp)
        });
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                let peer = stream.peer_addr().unwrap().ip().to_string();
                // Whoever has gone does not want to know.
                drop(stream.write_all(peer.as_bytes()));
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, peer)) = udp.recv_from(&mut buffer) {
                drop(udp.send_to(peer.ip().to_string().as_bytes(), peer));
            }
        });
    }

    /// Goes there by TCP and must get there.
    pub(crate) fn tcp(&self, address: &str) -> Outcome {
        self.try_tcp(address, PATIENCE)
    }

    /// Goes there by UDP and must get there.
    pub(crate) fn udp(&self, address: &str) -> Outcome {
        self.try_udp(0, address, PATIENCE)
    }

    /// The same from a port of one's own: the flow goes on where it was.
    pub(crate) fn udp_from(&self, port: u16, address: &str) -> Outcome {
        self.try_udp(port, address, PATIENCE)
    }

    /// Goes there by TCP and UDP, and must find nobody.
    pub(crate) fn is_silent(&self, address: &str) {
        assert_eq!(
            self.try_tcp(address, SILENCE),
            Outcome::Silence,
            "tcp {address}"
        );
        assert_eq!(
            self.try_udp(0, address, SILENCE),
            Outcome::Silence,
            "udp {address}"
        );
    }

    fn try_tcp(&self, address: &str, patience: Duration) -> Outcome {
        let address: SocketAddr = address.parse().unwrap();
        self.run(|| {
            let said = TcpStream::connect_timeout(&address, patience).and_then(|mut stream| {
                stream.set_read_timeout(Some(patience))?;
                let mut text = String::new();
                stream.read_to_string(&mut text).map(|_| text)
            });
            outcome(said)
        })
    }

    fn try_udp(&self, port: u16, address: &str, patience: Duration) -> Outcome {
        let address: SocketAddr = address.parse().unwrap();
        let any: IpAddr = match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.run(|| {
            let said = UdpSocket::bind((any, port)).and_then(|socket| {
                // Connected: an answer from another address is none.
                socket.connect(address)?;
                socket.set_read_timeout(Some(patience))?;
                socket.send(b"who am I")?;
                let mut buffer = [0; 64];
                let length = socket.recv(&mut buffer)?;
                Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
            });
            outcome(said)
        })
    }
}

fn outcome(said: std::io::Result<String>) -> Outcome {
    use std::io::ErrorKind::{ConnectionRefused, TimedOut, WouldBlock};
    match said {
        Ok(text) => Outcome::Seen(text),
        Err(error) if matches!(error.kind(), TimedOut | WouldBlock) => Outcome::Silence,
        Err(error) if error.kind() == ConnectionRefused => Outcome::Refused,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Shorthand for what a server saw.
pub(crate) fn seen(address: &str) -> Outcome {
    Outcome::Seen(address.to_owned())
}

/// Whether a program of the distribution is there.
pub(crate) fn installed(program: &str) -> bool {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists())
}

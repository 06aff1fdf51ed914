//! The servers that know the rest of the world: the host's, or those of `--dns`.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::netdevice::name_to_index;

use super::redirect::ADDRESS;

/// How many servers count, as with the C library (resolv.conf(5), MAXNS).
const MAX_SERVERS: usize = 3;
/// The longest resolv.conf that is read.
const MAX_FILE: u64 = 64 << 10;
/// How often resolv.conf is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long another server than the first is asked first, after the first had failed.
const PREFERENCE: Duration = Duration::from_secs(60);

/// Servers, in the order in which they are asked.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    servers: Vec<SocketAddr>,
    /// The one that answered when others did not, and until when it is asked first.
    preferred: Cell<Option<(usize, Instant)>>,
}

impl Upstreams {
    /// These servers, on the given port. Our own address is left out: it would ask itself.
    pub(crate) fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let is_other = |address: &SocketAddr| address.ip() != IpAddr::V4(ADDRESS);
        let servers = addresses.into_iter().filter(is_other);
        Self {
            servers: servers.take(MAX_SERVERS).collect(),
            preferred: Cell::default(),
        }
    }

    /// How often a query is sent before it has failed; 0 when there is nobody to ask. A server
    /// that is alone gets a second chance, since packets are lost.
    pub(crate) fn attempts(&self) -> usize {
        match self.servers.len() {
            0 => 0,
            count => count.max(2),
        }
    }

    /// The place of the server to begin with.
    pub(crate) fn first(&self, now: Instant) -> usize {
        match self.preferred.get() {
            Some((place, until)) if now < until => place,
            _ => 0,
        }
    }

    /// The server of an attempt that began at `first`.
    pub(crate) fn server(&self, first: usize, attempt: usize) -> Option<SocketAddr> {
        let place = self.place(first, attempt)?;
        self.servers.get(place).copied()
    }

    fn place(&self, first: usize, attempt: usize) -> Option<usize> {
        (first + attempt).checked_rem(self.servers.len())
    }

    /// Remembers which server answered: after another had failed it is asked first for a while.
    pub(crate) fn answered(&self, first: usize, attempt: usize, now: Instant) {
        if attempt > 0
            && let Some(place) = self.place(first, attempt)
        {
            let until = now + PREFERENCE;
            self.preferred.set((place != 0).then_some((place, until)));
        }
    }
}

/// The host's servers, by a resolv.conf that is read again when it has changed.
#[derive(Debug)]
pub(crate) struct HostServers {
    path: PathBuf,
    port: u16,
    looked: Option<Instant>,
    stamp: Option<Stamp>,
    servers: Rc<Upstreams>,
}

/// By what a changed file is known: inode, size, time.
type Stamp = (u64, u64, u64, i64, i64);

impl HostServers {
    /// By the file at `path`; its servers listen on `port`.
    pub(crate) fn new(path: PathBuf, port: u16) -> Self {
        Self {
            path,
            port,
            looked: None,
            stamp: None,
            servers: Rc::default(),
        }
    }

    /// The servers as they are now.
    pub(crate) fn current(&mut self, now: Instant) -> Rc<Upstreams> {
        let is_due = |looked: Instant| now.duration_since(looked) >= LOOK;
        if self.looked.is_none_or(is_due) {
            self.looked = Some(now);
            self.reread();
        }
        Rc::clone(&self.servers)
    }

    /// Looks at the file at the next question, however recently it did.
    pub(crate) fn expire(&mut self) {
        self.looked = None;
        self.stamp = None;
    }

    fn reread(&mut self) {
        let metadata = std::fs::metadata(&self.path).ok();
        let stamp = metadata.map(|m| (m.dev(), m.ino(), m.len(), m.mtime(), m.mtime_nsec()));
        // Servers that are known stay so while the file is away, or being replaced.
        if stamp.is_none() || stamp == self.stamp {
            return;
        }
        let mut text = Vec::new();
        let read = File::open(&self.path).and_then(|f| f.take(MAX_FILE).read_to_end(&mut text));
        if read.is_ok() {
            self.stamp = stamp;
            let servers = servers_of(&String::from_utf8_lossy(&text), self.port);
            self.servers = Rc::new(Upstreams::new(servers));
        }
    }
}

/// The servers that a resolv.conf(5) lists.
fn servers_of(text: &str, port: u16) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => socket_address(words.next()?, port),
            _ => None,
        }
    };
    text.lines().filter_map(server).collect()
}

/// An address as resolv.conf has it: a link-local one names its interface behind a `%`.
fn socket_address(text: &str, port: u16) -> Option<SocketAddr> {
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    match (address, scope) {
        (IpAddr::V6(v6), Some(scope)) => {
            let index = scope.parse().ok().or_else(|| index_of(scope))?;
            Some(SocketAddrV6::new(v6, port, 0, index).into())
        }
        _ => Some((address, port).into()),
    }
}

fn index_of(interface: &str) -> Option<u32> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None).ok()?;
    name_to_index(socket, interface).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let servers = Upstreams::new(servers_of(text, 53)).servers;
        servers.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn servers_are_read_and_no_more_than_three() {
        let text = "# nameserver 1.1.1.1\n;nameserver 1.1.1.2\nsearch a b\n\
            nameserver 10.0.0.1 trailing\n\tnameserver\t::1\n nameserver fe80::1%1\n\
            nameserver 10.0.0.4\nnameserver x\n";
        assert_eq!(texts(text), ["10.0.0.1:53", "[::1]:53", "[fe80::1%1]:53"]);
        assert!(texts("nameserver fe80::1%no-such-interface\n").is_empty());
        assert!(texts("nameserver\n\nnameservers 1.1.1.1\n").is_empty());
    }

    #[test]
    fn our_own_address_is_nobody_to_ask() {
        assert_eq!(
            texts("nameserver 127.0.0.11\nnameserver 127.0.0.53\n"),
            ["127.0.0.53:53"]
        );
    }

    #[test]
    fn a_server_that_answered_for_another_is_asked_first_for_a_while() {
        let now = Instant::now();
        let upstreams = Upstreams::new(servers_of("nameserver 1.1.1.1\nnameserver 2.2.2.2", 53));
        assert_eq!((upstreams.attempts(), upstreams.first(now)), (2, 0));
        upstreams.answered(0, 0, now);
        assert_eq!(upstreams.first(now), 0);
        upstreams.answered(0, 1, now);
        assert_eq!(upstreams.first(now), 1);
        assert_eq!(upstreams.server(1, 1).unwrap().to_string(), "1.1.1.1:53");
        assert_eq!(upstreams.first(now + PREFERENCE), 0);
        upstreams.answered(1, 1, now);
        assert_eq!(upstreams.first(now), 0);
    }

    #[test]
    fn one_server_is_asked_twice_and_none_never() {
        assert_eq!(
            Upstreams::new(servers_of("nameserver ::1", 53)).attempts(),
            2
        );
        let nobody = Upstreams::default();
        assert_eq!((nobody.attempts(), nobody.server(0, 0)), (0, None));
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_missing_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let mut host = HostServers::new(path.clone(), 53);
        let mut now = Instant::now();
        let mut servers = || {
            now += LOOK;
            let servers = host.current(now).servers.clone();
            servers
                .iter()
                .map(SocketAddr::to_string)
                .collect::<Vec<_>>()
        };
        assert!(servers().is_empty());
        std::fs::write(&path, "nameserver 10.0.0.1\n").unwrap();
        assert_eq!(servers(), ["10.0.0.1:53"]);
        std::fs::write(&path, "nameserver 10.0.0.22\n").unwrap();
        assert_eq!(servers(), ["10.0.0.22:53"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(servers(), ["10.0.0.22:53"]);
    }
}

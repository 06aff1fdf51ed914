//! The event loop: everybody's sockets, and the questions that wait for an answer from outside.
//!
//! State owned: the descriptors of the containers that are served, their connections, and the
//! queries passed on. What a container can make it hold is bounded per container and overall;
//! where the whole is full, the one that holds the most gives way. It must not wait for anything
//! but [`Server::run`]'s epoll instance, and must not keep a socket of a container that has ended.

mod containers;
mod control;
mod datagram;
mod forward;
mod respond;
mod slots;
mod stream;
mod upkeep;
mod upstream_socket;

use std::collections::{HashMap, VecDeque};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use berth_base::ContainerId;
use berth_sys::signal::SignalFd;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::error::DnsError;
use super::upkeep::Upkeep;
use super::upstream::HostServers;
use super::zone::Zone;
use containers::Container;
use control::{Control, Door};
use forward::Pending;
use slots::{Slots, Token};
use stream::Connection;

/// How many events are fetched at once.
const EVENTS: usize = 64;
/// How much is read at once: the longest packet there is.
const INBOX: usize = 64 << 10;

/// Where things are, and how long is waited.
#[derive(Clone, Debug)]
pub struct Config {
    /// The volatile state folder: `dns.sock` and `networks` are in it.
    pub state: PathBuf,
    /// The file that lists the host's servers.
    pub resolv_conf: PathBuf,
    /// The port of all servers that are asked.
    pub port: u16,
    /// How long a server may take before the next is asked.
    pub timeout: Duration,
    /// How long the process stays without a container.
    pub grace: Duration,
    /// How long a connection of a container's may be idle (RFC 7766, 6.2.3).
    pub idle: Duration,
}

impl Config {
    /// For the resolver of a state folder.
    #[must_use]
    pub fn new(state: PathBuf) -> Self {
        Self {
            state,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            port: 53,
            timeout: Duration::from_secs(2),
            grace: Duration::from_secs(5),
            idle: Duration::from_secs(10),
        }
    }
}

/// The resolver.
pub struct Server {
    config: Config,
    epoll: OwnedFd,
    signals: Option<SignalFd>,
    door: Door,
    zone: Zone,
    host: HostServers,
    controls: Slots<Control>,
    containers: Slots<Container>,
    by_id: HashMap<ContainerId, Token>,
    connections: Slots<Connection>,
    pending: Slots<Pending>,
    /// What is done besides.
    upkeep: Option<Box<dyn Upkeep>>,
    /// Processes for whose sake that is done, by pidfd.
    held: Slots<OwnedFd>,
    /// Connections with something new to send.
    lively: Vec<Token>,
    timers: Timers,
    /// The time of the events that are being dealt with.
    now: Instant,
    /// Since when nobody is served.
    unused_since: Option<Instant>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    random: forward::Random,
}

/// What will be looked at later, each queue in the order of its times.
#[derive(Debug, Default)]
struct Timers {
    /// Queries passed on, with the number of the attempt.
    pending: VecDeque<(Instant, Token, usize)>,
    connections: VecDeque<(Instant, Token)>,
    controls: VecDeque<(Instant, Token)>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Door,
    Zone,
    Signals,
    Control(Token),
    Datagrams(Token),
    Listener(Token),
    Init(Token),
    Connection(Token),
    Pending(Token),
    Upkeep,
    Held(Token),
}

impl Source {
    fn data(self) -> epoll::EventData {
        let (kind, token) = match self {
            Self::Door => (0, 0),
            Self::Zone => (1, 0),
            Self::Signals => (2, 0),
            Self::Control(token) => (3, token.to_bits()),
            Self::Datagrams(token) => (4, token.to_bits()),
            Self::Listener(token) => (5, token.to_bits()),
            Self::Init(token) => (6, token.to_bits()),
            Self::Connection(token) => (7, token.to_bits()),
            Self::Pending(token) => (8, token.to_bits()),
            Self::Upkeep => (9, 0),
            Self::Held(token) => (10, token.to_bits()),
        };
        epoll::EventData::new_u64((kind << 60) | token)
    }

    fn of(data: epoll::EventData) -> Self {
        let bits = data.u64();
        let token = Token::from_bits(bits);
        match bits >> 60 {
            0 => Self::Door,
            1 => Self::Zone,
            2 => Self::Signals,
            3 => Self::Control(token),
            4 => Self::Datagrams(token),
            5 => Self::Listener(token),
            6 => Self::Init(token),
            7 => Self::Connection(token),
            8 => Self::Pending(token),
            9 => Self::Upkeep,
            _ => Self::Held(token),
        }
    }
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Serve,
    End,
}

impl Server {
    /// A resolver that listens on its state folder's `dns.sock`. The caller sees to it that there
    /// is one only; a socket that an earlier one left is replaced.
    ///
    /// # Errors
    /// The socket cannot be made, or the system has no room for another watcher of files.
    pub fn new(config: Config, signals: Option<SignalFd>) -> Result<Self, DnsError> {
        let failed = |what, path: PathBuf| move |source| DnsError::System { what, path, source };
        let networks = config.state.join("networks");
        let zone = Zone::new(networks.clone()).map_err(failed("watch the leases in", networks))?;
        let door = Door::open(&config.state)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC);
        let now = Instant::now();
        let server = Self {
            epoll: epoll.map_err(failed("wait for clients of", door.path().to_owned()))?,
            signals,
            door,
            zone,
            host: HostServers::new(config.resolv_conf.clone(), config.port),
            config,
            controls: Slots::default(),
            containers: Slots::default(),
            by_id: HashMap::new(),
            connections: Slots::default(),
            pending: Slots::default(),
            upkeep: None,
            held: Slots::default(),
            lively: Vec::new(),
            timers: Timers::default(),
            now,
            unused_since: Some(now),
            inbox: vec![0; INBOX],
            outbox: Vec::new(),
            random: forward::Random::default(),
        };
        server.watch_door()?;
        server
            .watch_own()
            .map_err(failed("wait for clients of", server.door.path().to_owned()))?;
        Ok(server)
    }

    fn watch_door(&self) -> Result<(), DnsError> {
        let watched = self.watch(self.door.as_fd(), Source::Door, epoll::EventFlags::IN);
        watched.map_err(|source| DnsError::System {
            what: "wait for clients of",
            path: self.door.path().to_owned(),
            source,
        })
    }

    fn watch_own(&self) -> Result<(), Errno> {
        self.watch(self.zone.as_fd(), Source::Zone, epoll::EventFlags::IN)?;
        match &self.signals {
            Some(signals) => self.watch(signals.as_fd(), Source::Signals, epoll::EventFlags::IN),
            None => Ok(()),
        }
    }

    /// Serves until no container has been served for a while, or SIGTERM comes.
    ///
    /// # Errors
    /// epoll_wait(2) fails, which is a defect.
    pub fn run(mut self) -> Result<(), DnsError> {
        let mut space = [MaybeUninit::uninit(); EVENTS];
        loop {
            let timeout = self.timeout();
            let events: &[epoll::Event] =
                match epoll::wait(&self.epoll, &mut space[..], timeout.as_ref()) {
                    Ok((events, _)) => events,
                    Err(Errno::INTR) => &[],
                    Err(source) => {
                        return Err(DnsError::System {
                            what: "wait for clients of",
                            path: self.door.path().to_owned(),
                            source,
                        });
                    }
                };
            self.now = Instant::now();
            for event in events {
                let flags = event.flags;
                if self.attend(Source::of(event.data), flags) == Next::End {
                    return self.door.hide();
                }
            }
            self.expire();
            self.keep_up();
            if self.has_ended()? {
                return Ok(());
            }
        }
    }

    fn attend(&mut self, source: Source, flags: epoll::EventFlags) -> Next {
        match source {
            Source::Door => self.accept_control(),
            Source::Zone => {
                self.zone.refresh();
            }
            Source::Signals => return self.take_signals(),
            Source::Control(token) => self.hear_control(token),
            Source::Datagrams(token) => self.hear_datagrams(token),
            Source::Listener(token) => self.accept_connection(token),
            Source::Init(token) => self.drop_container(token),
            Source::Connection(token) => self.attend_connection(token, flags),
            Source::Pending(token) => self.hear_upstream(token),
            Source::Upkeep => self.hear_upkeep(),
            Source::Held(token) => self.let_go(token),
        }
        self.serve_lively();
        Next::Serve
    }

    fn take_signals(&mut self) -> Next {
        use rustix::process::Signal;
        let mut next = Next::Serve;
        while let Some(signal) = self.signals.as_ref().and_then(SignalFd::read) {
            match i32::try_from(signal) {
                Ok(signal) if signal == Signal::HUP.as_raw() => self.host.expire(),
                _ => next = Next::End,
            }
        }
        next
    }

    /// Deals with what has waited for too long.
    fn expire(&mut self) {
        while let Some((_, token, attempt)) = due(&mut self.timers.pending, self.now, |t| t.0) {
            self.time_out(token, attempt);
        }
        while let Some((_, token)) = due(&mut self.timers.connections, self.now, |t| t.0) {
            self.close_if_idle(token);
        }
        while let Some((_, token)) = due(&mut self.timers.controls, self.now, |t| t.0) {
            self.drop_control_if_idle(token);
        }
        self.serve_lively();
    }

    fn is_unused(&self) -> bool {
        let past = |since| self.now.duration_since(since) >= self.config.grace;
        self.controls.is_empty() && self.unused_since.is_some_and(past)
    }

    /// How long to wait for events: until the first of all times.
    fn timeout(&self) -> Option<Timespec> {
        // A client that is connected keeps the process, and says when it goes.
        let unused = self.unused_since.filter(|_| self.controls.is_empty());
        let grace = unused.map(|since| since + self.config.grace);
        let times = [
            self.timers.pending.front().map(|timer| timer.0),
            self.timers.connections.front().map(|timer| timer.0),
            self.timers.controls.front().map(|timer| timer.0),
            self.upkeep_due(),
            grace,
        ];
        let first = times.into_iter().flatten().min()?;
        // Never less than it takes: epoll counts milliseconds, and would wake up too early.
        let wait = first.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        Timespec::try_from(wait).ok()
    }

    fn watch(
        &self,
        fd: BorrowedFd<'_>,
        source: Source,
        flags: epoll::EventFlags,
    ) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, source.data(), flags)
    }

    /// Ends a watch. Closing is not enough where somebody else has a copy of the descriptor.
    fn unwatch(&self, fd: BorrowedFd<'_>) {
        // It fails for what is not watched, which is what is wanted.
        epoll::delete(&self.epoll, fd).ok();
    }
}

/// Takes the first timer out if its time has come.
fn due<T>(queue: &mut VecDeque<T>, now: Instant, time: impl Fn(&T) -> Instant) -> Option<T> {
    match queue.front() {
        Some(first) if time(first) <= now => queue.pop_front(),
        _ => None,
    }
}

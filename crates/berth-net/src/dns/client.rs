//! The resolver, seen by the engine.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth_base::ContainerId;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{SocketFlags, connect};

use super::error::DnsError;
use super::redirect::Sockets;
use super::registration::{MAX_PACKET, Registration, Reply, Request};
use super::socket;

/// How long the resolver may take to answer: it does nothing slow.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a resolver that was just started is tried.
const RETRY: Duration = Duration::from_millis(2);

/// A connection to the resolver of a state folder.
#[derive(Debug)]
pub struct Resolver {
    socket: OwnedFd,
    path: PathBuf,
}

/// Connects to the resolver of a state folder. Where there is none `start` is called, which
/// starts a process that calls [`super::run`], and the connection is tried until it stands.
///
/// # Errors
/// What `start` says; [`DnsError::NotRunning`] when the process does not come up within seconds.
pub fn ensure_running<E: From<DnsError>>(
    state: &Path,
    start: impl FnOnce() -> Result<(), E>,
) -> Result<Resolver, E> {
    match Resolver::connect(state) {
        Err(DnsError::NotRunning(_)) => start()?,
        other => return Ok(other?),
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Resolver::connect(state) {
            Err(DnsError::NotRunning(_)) if Instant::now() < deadline => std::thread::sleep(RETRY),
            other => return Ok(other?),
        }
    }
}

/// Has a container served ([`Resolver::register`]), by a resolver that is started if need be,
/// also when the one that was found was about to end.
///
/// # Errors
/// As [`ensure_running`] and [`Resolver::register`].
pub fn serve<E: From<DnsError>>(
    state: &Path,
    mut start: impl FnMut() -> Result<(), E>,
    registration: &Registration,
    sockets: &Sockets,
    init: BorrowedFd<'_>,
) -> Result<(), E> {
    const TRIES: usize = 3;
    for _ in 1..TRIES {
        let resolver = ensure_running(state, &mut start)?;
        match resolver.register(registration, sockets, init) {
            Err(DnsError::NotRunning(_)) => {}
            other => return Ok(other?),
        }
    }
    let resolver = ensure_running(state, start)?;
    Ok(resolver.register(registration, sockets, init)?)
}

impl Resolver {
    /// Connects to the resolver of a state folder.
    ///
    /// # Errors
    /// [`DnsError::NotRunning`] when nobody listens.
    pub fn connect(state: &Path) -> Result<Self, DnsError> {
        let path = socket::path(state);
        let connected = socket::address(state).and_then(|(_folder, address)| {
            let socket = socket::packets(SocketFlags::empty())?;
            set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
            set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
            connect(&socket, &address)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => Ok(Self { socket, path }),
            Err(Errno::NOENT | Errno::CONNREFUSED) => Err(DnsError::NotRunning(path)),
            Err(source) => Err(DnsError::System {
                what: "connect to the resolver on",
                path,
                source,
            }),
        }
    }

    /// Has a container served: its sockets are answered until its first process, by pidfd, has
    /// ended. What was registered for it before is replaced. The caller closes its own copies of
    /// the sockets: every open one holds the namespace.
    ///
    /// # Errors
    /// [`DnsError::NotRunning`] when the resolver ended meanwhile: start it and register again;
    /// [`DnsError::Refused`] when it cannot serve the container.
    pub fn register(
        &self,
        registration: &Registration,
        sockets: &Sockets,
        init: BorrowedFd<'_>,
    ) -> Result<(), DnsError> {
        let descriptors = [sockets.udp.as_fd(), sockets.tcp.as_fd(), init];
        let request = Request::Register(registration.clone());
        let reply = self.ask(&request, &descriptors)?;
        self.done(&registration.container, reply)
    }

    /// Says that a container is on other networks now, or has other servers.
    ///
    /// # Errors
    /// As [`Self::register`]; [`DnsError::Unknown`] when the container is not served.
    pub fn update(&self, registration: &Registration) -> Result<(), DnsError> {
        let reply = self.ask(&Request::Update(registration.clone()), &[])?;
        self.done(&registration.container, reply)
    }

    /// Has a container's sockets closed before its end. One that is not served is fine.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn forget(&self, container: &ContainerId) -> Result<(), DnsError> {
        match self.ask(&Request::Forget(container.clone()), &[])? {
            Reply::Unknown => Ok(()),
            reply => self.done(container, reply),
        }
    }

    /// The containers that are served: who runs on a user network and is not among them must be
    /// registered again.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn registered(&self) -> Result<Vec<ContainerId>, DnsError> {
        match self.ask(&Request::List, &[])? {
            Reply::Containers(containers) => Ok(containers),
            other => Err(self.garbled(format!("{other:?}"))),
        }
    }

    fn done(&self, container: &ContainerId, reply: Reply) -> Result<(), DnsError> {
        let container = container.short().to_owned();
        match reply {
            Reply::Done => Ok(()),
            Reply::Refused(why) => Err(DnsError::Refused { container, why }),
            Reply::Unknown => Err(DnsError::Unknown(container)),
            other => Err(self.garbled(format!("{other:?}"))),
        }
    }

    fn ask(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<Reply, DnsError> {
        let failed = |source| match source {
            // It closed the connection: it is ending.
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => {
                DnsError::NotRunning(self.path.clone())
            }
            source => DnsError::System {
                what: "talk to the resolver on",
                path: self.path.clone(),
                source,
            },
        };
        let bytes = serde_json::to_vec(request).map_err(|e| self.garbled(e.to_string()))?;
        socket::send(self.socket.as_fd(), &bytes, descriptors).map_err(failed)?;
        let mut buffer = vec![0; MAX_PACKET];
        let (length, _) = socket::receive(self.socket.as_fd(), &mut buffer).map_err(failed)?;
        match buffer.get(..length).unwrap_or_default() {
            [] => Err(failed(Errno::CONNRESET)),
            reply => serde_json::from_slice(reply).map_err(|e| self.garbled(e.to_string())),
        }
    }

    fn garbled(&self, why: String) -> DnsError {
        DnsError::Garbled {
            path: self.path.clone(),
            why,
        }
    }
}

impl AsFd for Resolver {
    /// The connection: SO_PEERCRED says which process the resolver is.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

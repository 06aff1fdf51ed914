//! A client's connection to a monitor.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use berth_base::protocol::{self, Failure};
use berth_base::state::ExitOutcome;
use berth_base::{HostPid, SessionId};
use berth_runtime::exec_request::seal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, recv, send, sendmsg, socket_with,
};

/// A connection bound to the first process of a container or to one exec session.
pub struct Session {
    socket: OwnedFd,
    version: u16,
    /// The exec session, where it is one and its id is known.
    exec: Option<SessionId>,
}

/// How long a monitor may take to answer at least, and how often it is looked at meanwhile.
const SLICE: Duration = Duration::from_secs(1);

/// What a monitor says.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The process runs.
    Started(Option<HostPid>),
    /// Standard output, or the terminal.
    Stdout(&'a [u8]),
    /// Standard error.
    Stderr(&'a [u8]),
    /// So many bytes of output were left out here: others took them, and this client was too slow.
    Skipped(u64),
    /// It ended; nothing follows.
    Exited(ExitOutcome),
    /// The request failed; nothing follows.
    Failed(Failure),
    /// The monitor is gone. Where a keeper lives, it takes over within moments.
    Lost,
}

/// A connection to a monitor failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// connect(2) or the hello failed.
    #[error("cannot reach the monitor of the container: {0}")]
    Connect(#[source] io::Error),
    /// The peer speaks another version.
    #[error("the monitor speaks protocol {0}, this berth speaks {ours}; use the berth that started the container", ours = protocol::VERSION)]
    Version(u16),
    /// It takes connections and says nothing.
    #[error("it does not answer")]
    Silent,
    /// It has no place for one more client.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// Sending or receiving failed.
    #[error("the connection to the monitor broke: {0}")]
    Broken(#[source] io::Error),
    /// A packet that makes no sense.
    #[error("the monitor sent an unknown packet of type {0:#04x}")]
    Unknown(u8),
}

impl Session {
    /// Wraps an established connection that needs no hello (the launch connection).
    pub const fn from_launch(socket: OwnedFd) -> Self {
        Self {
            socket,
            version: protocol::VERSION,
            exec: None,
        }
    }

    /// Connects to the socket `monitor.sock` in a container's volatile folder.
    ///
    /// A monitor that takes its time is waited for as long as `is_hopeless`, which hears for how
    /// long that is, says no.
    pub fn connect(
        volatile_dir: &Path,
        is_hopeless: &dyn Fn(Duration) -> bool,
    ) -> Result<Self, SessionError> {
        let mut newest = protocol::VERSION;
        loop {
            let mut session = Self {
                socket: open_socket(volatile_dir, is_hopeless)?,
                version: newest,
                exec: None,
            };
            session.send(protocol::CLIENT_HELLO, &newest.to_le_bytes())?;
            let answered = session.hear_hello(is_hopeless)?;
            if answered == 0 || answered > newest {
                return Err(SessionError::Version(answered));
            }
            session.version = answered;
            // The first monitors close after an answer that is not what the client said.
            if answered == newest || answered > protocol::FIRST_VERSION {
                return Ok(session);
            }
            newest = answered;
        }
    }

    fn hear_hello(&self, is_hopeless: &dyn Fn(Duration) -> bool) -> Result<u16, SessionError> {
        let mut buffer = [0; 4096];
        let length = self.receive_while(&mut buffer, is_hopeless)?;
        match buffer.get(..length) {
            Some([protocol::MONITOR_HELLO, a, b]) => Ok(u16::from_le_bytes([*a, *b])),
            Some([protocol::FAILED, json @ ..]) => match serde_json::from_slice(json) {
                Ok(failure) => Err(SessionError::Refused(failure)),
                Err(_) => Err(SessionError::Unknown(protocol::FAILED)),
            },
            _ => Err(SessionError::Connect(io::Error::from(
                io::ErrorKind::UnexpectedEof,
            ))),
        }
    }

    /// The version of the protocol that the monitor speaks with us.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Notes which exec session it is bound to.
    pub(crate) fn bind(&mut self, id: SessionId) {
        self.exec = Some(id);
    }

    /// The exec session that it is bound to, where its id is known.
    pub const fn exec_id(&self) -> Option<&SessionId> {
        self.exec.as_ref()
    }

    /// Whether a monitor, or a keeper about to become one, listens on a container's socket. One
    /// that does not come to accept connections listens all the same.
    pub(crate) fn is_served(volatile_dir: &Path) -> bool {
        try_open(volatile_dir).is_ok()
    }

    /// Asks for the streams of the first process.
    pub fn attach(&self, flags: u8) -> Result<(), SessionError> {
        self.send(protocol::ATTACH, &[flags])
    }

    /// Starts an exec session with a JSON `ExecRequest`; one that is longer than a packet goes in a
    /// file, which a monitor of version [`protocol::EXEC_FILES_SINCE`] takes.
    pub fn exec(&self, request: &[u8]) -> Result<(), SessionError> {
        if request.len() < protocol::MAX_PACKET {
            return self.send(protocol::EXEC, request);
        }
        let file = seal(request).map_err(SessionError::Broken)?;
        self.send_file(protocol::EXEC_FILE, file.as_fd())
    }

    /// Sends bytes for standard input; at most [`protocol::MAX_PACKET`] - 1 of them.
    pub fn send_stdin(&self, bytes: &[u8]) -> Result<(), SessionError> {
        self.send(protocol::STDIN, bytes)
    }

    /// Ends standard input.
    pub fn send_stdin_eof(&self) -> Result<(), SessionError> {
        self.send(protocol::STDIN_EOF, &[])
    }

    /// Sets the size of the terminal.
    pub fn send_resize(&self, rows: u16, columns: u16) -> Result<(), SessionError> {
        self.send(protocol::RESIZE, &protocol::encode_size(rows, columns))
    }

    /// Sends a signal to the process this connection is bound to.
    pub fn send_signal(&self, signal: u8) -> Result<(), SessionError> {
        self.send(protocol::SIGNAL, &[signal])
    }

    /// As [`Self::receive`], but gives up once `is_hopeless`, which hears for how long nothing came,
    /// says so.
    pub(crate) fn receive_unless<'a>(
        &self,
        buffer: &'a mut [u8],
        is_hopeless: &dyn Fn(Duration) -> bool,
    ) -> Result<Packet<'a>, SessionError> {
        let length = self.receive_while(buffer, is_hopeless)?;
        decode(buffer.get(..length))
    }

    /// Receives the next packet, blocking; `buffer` needs [`protocol::MAX_PACKET`] bytes.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<Packet<'a>, SessionError> {
        let length = self.receive_raw(buffer)?;
        decode(buffer.get(..length))
    }

    fn receive_while(
        &self,
        buffer: &mut [u8],
        is_hopeless: &dyn Fn(Duration) -> bool,
    ) -> Result<usize, SessionError> {
        let began = Instant::now();
        loop {
            let slice = Timespec {
                tv_sec: i64::try_from(SLICE.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: 0,
            };
            let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut polled, Some(&slice)) {
                Ok(0) if is_hopeless(began.elapsed()) => return Err(SessionError::Silent),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.receive_raw(buffer),
                Err(e) => return Err(SessionError::Broken(e.into())),
            }
        }
    }

    fn receive_raw(&self, buffer: &mut [u8]) -> Result<usize, SessionError> {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((length, _)) => return Ok(length),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(0),
                Err(e) => return Err(SessionError::Broken(e.into())),
            }
        }
    }

    fn send(&self, kind: u8, payload: &[u8]) -> Result<(), SessionError> {
        let mut packet = Vec::with_capacity(payload.len() + 1);
        packet.push(kind);
        packet.extend_from_slice(payload);
        loop {
            match send(&self.socket, &packet, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(SessionError::Broken(e.into())),
            }
        }
    }

    /// Sends a packet without payload and a descriptor (unix(7), SCM_RIGHTS).
    fn send_file(&self, kind: u8, file: BorrowedFd<'_>) -> Result<(), SessionError> {
        let packet = [kind];
        let descriptors = [file];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(SessionError::Broken(rustix::io::Errno::NOBUFS.into()));
            }
            let parts = [IoSlice::new(&packet)];
            match sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(SessionError::Broken(e.into())),
            }
        }
    }
}

fn decode(packet: Option<&[u8]>) -> Result<Packet<'_>, SessionError> {
    let Some((kind, payload)) = packet.and_then(<[u8]>::split_first) else {
        return Ok(Packet::Lost);
    };
    Ok(match *kind {
        protocol::STARTED => Packet::Started(
            payload
                .try_into()
                .ok()
                .map(u32::from_le_bytes)
                .and_then(HostPid::new),
        ),
        protocol::STDOUT => Packet::Stdout(payload),
        protocol::STDERR => Packet::Stderr(payload),
        protocol::SKIPPED => Packet::Skipped(
            payload
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes)),
        ),
        protocol::EXITED => Packet::Exited(protocol::decode_outcome(payload)),
        protocol::FAILED => match serde_json::from_slice(payload) {
            Ok(failure) => Packet::Failed(failure),
            Err(_) => return Err(SessionError::Unknown(*kind)),
        },
        other => return Err(SessionError::Unknown(other)),
    })
}

/// Connects to `monitor.sock` in a folder; where too many wait already, waits too.
fn open_socket(
    volatile_dir: &Path,
    is_hopeless: &dyn Fn(Duration) -> bool,
) -> Result<OwnedFd, SessionError> {
    let began = Instant::now();
    loop {
        if let Some(socket) = try_open(volatile_dir)? {
            return Ok(socket);
        }
        if is_hopeless(began.elapsed()) {
            return Err(SessionError::Silent);
        }
        std::thread::sleep(SLICE / 10);
    }
}

/// Connects; `None` when as many wait to be accepted as can (EAGAIN, unix(7)). The path is reached
/// through /proc/self/fd, so that it may exceed the 108 bytes of sun_path.
fn try_open(volatile_dir: &Path) -> Result<Option<OwnedFd>, SessionError> {
    let cannot = |e: rustix::io::Errno| SessionError::Connect(e.into());
    let dir = rustix::fs::open(
        volatile_dir,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(cannot)?;
    let path = format!(
        "/proc/self/fd/{}/monitor.sock",
        rustix::fd::AsRawFd::as_raw_fd(&dir)
    );
    let address = SocketAddrUnix::new(path).map_err(cannot)?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .map_err(cannot)?;
    match connect(&socket, &address) {
        Ok(()) => {}
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        Err(e) => return Err(cannot(e)),
    }
    rustix::io::ioctl_fionbio(&socket, false).map_err(cannot)?;
    Ok(Some(socket))
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

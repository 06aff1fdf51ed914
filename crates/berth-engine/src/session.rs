//! A client's connection to a monitor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use berth_base::HostPid;
use berth_base::protocol::{self, Failure};
use berth_base::state::ExitOutcome;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};

/// A connection bound to the first process of a container or to one exec session.
pub struct Session {
    socket: OwnedFd,
}

/// What a monitor says.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The process runs.
    Started(Option<HostPid>),
    /// Standard output, or the terminal.
    Stdout(&'a [u8]),
    /// Standard error.
    Stderr(&'a [u8]),
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
        Self { socket }
    }

    /// Connects to the socket `monitor.sock` in a container's volatile folder.
    pub fn connect(volatile_dir: &Path) -> Result<Self, SessionError> {
        let socket = open_socket(volatile_dir)?;
        let session = Self { socket };
        session.send(protocol::CLIENT_HELLO, &protocol::VERSION.to_le_bytes())?;
        let mut buffer = [0; 64];
        let length = session.receive_raw(&mut buffer)?;
        match buffer.get(..length) {
            Some([protocol::MONITOR_HELLO, a, b]) => {
                let version = u16::from_le_bytes([*a, *b]);
                if version == protocol::VERSION {
                    Ok(session)
                } else {
                    Err(SessionError::Version(version))
                }
            }
            _ => Err(SessionError::Connect(io::Error::from(
                io::ErrorKind::UnexpectedEof,
            ))),
        }
    }

    /// Whether a monitor, or a keeper about to become one, listens on a container's socket.
    pub(crate) fn is_served(volatile_dir: &Path) -> bool {
        open_socket(volatile_dir).is_ok()
    }

    /// Asks for the streams of the first process.
    pub fn attach(&self, flags: u8) -> Result<(), SessionError> {
        self.send(protocol::ATTACH, &[flags])
    }

    /// Starts an exec session with a JSON `ExecRequest`.
    pub fn exec(&self, request: &[u8]) -> Result<(), SessionError> {
        self.send(protocol::EXEC, request)
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

    /// Receives the next packet, blocking; `buffer` needs [`protocol::MAX_PACKET`] bytes.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<Packet<'a>, SessionError> {
        let length = self.receive_raw(buffer)?;
        let Some((kind, payload)) = buffer.get(..length).and_then(<[u8]>::split_first) else {
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
            protocol::EXITED => Packet::Exited(protocol::decode_outcome(payload)),
            protocol::FAILED => match serde_json::from_slice(payload) {
                Ok(failure) => Packet::Failed(failure),
                Err(_) => return Err(SessionError::Unknown(*kind)),
            },
            other => return Err(SessionError::Unknown(other)),
        })
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
}

/// Connects to `monitor.sock` in a folder. The path is reached through /proc/self/fd, so that it
/// may exceed the 108 bytes of sun_path (unix(7)).
fn open_socket(volatile_dir: &Path) -> Result<OwnedFd, SessionError> {
    let dir = rustix::fs::open(
        volatile_dir,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|e| SessionError::Connect(e.into()))?;
    let path = format!(
        "/proc/self/fd/{}/monitor.sock",
        rustix::fd::AsRawFd::as_raw_fd(&dir)
    );
    let address = SocketAddrUnix::new(path).map_err(|e| SessionError::Connect(e.into()))?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|e| SessionError::Connect(e.into()))?;
    connect(&socket, &address).map_err(|e| SessionError::Connect(e.into()))?;
    Ok(socket)
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

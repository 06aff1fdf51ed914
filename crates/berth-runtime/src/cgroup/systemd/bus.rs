//! A D-Bus connection to systemd: messages there and back, each within a deadline.
//!
//! The wire format is rustbus's; the socket is ours, close-on-exec and with timeouts. The other
//! side is trusted (the system's bus daemon, or systemd itself), but never waited for without end.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustbus::message_builder::MarshalledMessage;
use rustbus::wire::marshal::marshal;
use rustbus::wire::unmarshal;
use rustbus::{MessageBuilder, MessageType};

/// A message of systemd to us is a few hundred bytes; the D-Bus limit is 128 MiB.
const LARGEST_MESSAGE: usize = 1 << 20;
/// The fixed part of a header, the length of its fields included (D-Bus specification, "Message
/// Format").
const FIXED: usize = 16;

/// A socket on which systemd can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

/// Who answers on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bus daemon, which wants to be greeted and passes messages on.
    Daemon,
    /// systemd itself.
    Direct,
}

/// What can go wrong on a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    #[error("cannot connect to {}: {source}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("the bus refuses this user: {0:?}")]
    Rejected(String),
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("the answer cannot be understood: {0}")]
    Malformed(String),
    /// systemd is not on the bus.
    #[error("systemd is not on the bus at {}", .0.display())]
    Absent(PathBuf),
    /// A job of systemd did not end well.
    #[error("its job ended as {0:?}; see journalctl or systemctl status")]
    Job(String),
    /// An error reply: its name and text.
    #[error("{text} ({name})")]
    Refused { name: String, text: String },
}

impl BusError {
    /// Whether it is the error reply of this name.
    pub(super) fn is(&self, error_name: &str) -> bool {
        matches!(self, Self::Refused { name, .. } if name == error_name)
    }
}

pub(super) struct Connection {
    stream: UnixStream,
    patience: Duration,
    deadline: Instant,
    serial: u32,
    /// Read while something else was waited for.
    early: VecDeque<MarshalledMessage>,
}

impl Connection {
    /// Connects and authenticates. Everything done by this connection has to be over within
    /// `patience`.
    pub(super) fn open(address: &Address, patience: Duration) -> Result<Self, BusError> {
        let stream = UnixStream::connect(&address.path).map_err(|source| BusError::Connect {
            path: address.path.clone(),
            source,
        })?;
        let mut connection = Self::over(stream, patience);
        connection.authenticate()?;
        if address.kind == Kind::Daemon {
            let hello = call("org.freedesktop.DBus", "Hello")
                .on("/org/freedesktop/DBus")
                .at("org.freedesktop.DBus")
                .build();
            let serial = connection.send(&hello)?;
            connection.reply(serial)?;
        }
        Ok(connection)
    }

    fn over(stream: UnixStream, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            deadline: Instant::now() + patience,
            serial: 0,
            early: VecDeque::new(),
        }
    }

    /// SASL EXTERNAL without an identity: the other side takes that of our end of the socket,
    /// which is right from within a user namespace too.
    fn authenticate(&mut self) -> Result<(), BusError> {
        self.write(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        for _ in 0..2 {
            let line = self.read_line()?;
            if line.starts_with("OK") {
                return Ok(());
            }
            if line != "DATA" {
                return Err(BusError::Rejected(line));
            }
        }
        Err(BusError::Rejected("DATA".to_owned()))
    }

    /// A line of the handshake, read byte by byte since a message may follow.
    fn read_line(&mut self) -> Result<String, BusError> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0u8];
            self.read(&mut byte)?;
            line.extend(byte);
            if line.len() > 1024 {
                return Err(BusError::Malformed("an endless line".to_owned()));
            }
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Sends a message and returns its serial number.
    pub(super) fn send(&mut self, message: &MarshalledMessage) -> Result<u32, BusError> {
        self.serial += 1;
        let mut bytes = Vec::new();
        marshal(message, self.serial, &mut bytes)
            .map_err(|error| BusError::Malformed(error.to_string()))?;
        bytes.extend_from_slice(message.get_buf());
        self.write(&bytes)?;
        Ok(self.serial)
    }

    /// Sends a call and waits for its reply.
    pub(super) fn ask(
        &mut self,
        message: &MarshalledMessage,
    ) -> Result<MarshalledMessage, BusError> {
        let serial = self.send(message)?;
        self.reply(serial)
    }

    /// Waits for the reply to a call; an error reply is an error.
    pub(super) fn reply(&mut self, serial: u32) -> Result<MarshalledMessage, BusError> {
        let reply = self.wait(|message| message.dynheader.response_serial == Some(serial))?;
        if reply.typ != MessageType::Error {
            return Ok(reply);
        }
        let text = reply
            .body
            .parser()
            .get::<&str>()
            .unwrap_or("no reason given");
        Err(BusError::Refused {
            name: reply.dynheader.error_name.clone().unwrap_or_default(),
            text: text.to_owned(),
        })
    }

    /// Waits for a message, and keeps those that come before it.
    pub(super) fn wait(
        &mut self,
        is_it: impl Fn(&MarshalledMessage) -> bool,
    ) -> Result<MarshalledMessage, BusError> {
        if let Some(at) = self.early.iter().position(&is_it)
            && let Some(message) = self.early.remove(at)
        {
            return Ok(message);
        }
        loop {
            let message = self.receive()?;
            if is_it(&message) {
                return Ok(message);
            }
            self.early.push_back(message);
        }
    }

    pub(super) fn receive(&mut self) -> Result<MarshalledMessage, BusError> {
        let malformed = |error: &dyn std::fmt::Display| BusError::Malformed(error.to_string());
        let mut bytes = vec![0u8; FIXED];
        self.read(&mut bytes)?;
        let (used, header) =
            unmarshal::unmarshal_header(&bytes, 0).map_err(|error| malformed(&error))?;
        let fields = fields_length(&bytes, header.byteorder);
        let body = usize::try_from(header.body_len).unwrap_or(usize::MAX);
        let whole = fields
            .and_then(|fields| (FIXED + fields).checked_next_multiple_of(8))
            .and_then(|head| head.checked_add(body))
            .filter(|length| *length <= LARGEST_MESSAGE)
            .ok_or_else(|| malformed(&"it is too long"))?;
        bytes.resize(whole, 0);
        let rest = bytes.get_mut(FIXED..).unwrap_or_default();
        self.read(rest)?;
        let (more, fields) = unmarshal::unmarshal_dynamic_header(&header, &bytes, used)
            .map_err(|error| malformed(&error))?;
        let (_, message) = unmarshal::unmarshal_next_message(&header, fields, &bytes, used + more)
            .map_err(|error| malformed(&error))?;
        Ok(message)
    }

    fn left(&self) -> Result<Duration, BusError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BusError::TimedOut(self.patience));
        }
        Ok(left)
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), BusError> {
        while !bytes.is_empty() {
            let left = self.left()?;
            let wrote = self
                .stream
                .set_write_timeout(Some(left))
                .and_then(|()| self.stream.write(bytes));
            match wrote {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) => self.tolerate(error)?,
            }
        }
        Ok(())
    }

    /// Fills the whole buffer.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(), BusError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let left = self.left()?;
            let read = self
                .stream
                .set_read_timeout(Some(left))
                .and_then(|()| self.stream.read(rest));
            match read {
                Ok(0) => return Err(BusError::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => filled += count,
                Err(error) => self.tolerate(error)?,
            }
        }
        Ok(())
    }

    /// Goes on after a signal; a timeout of the socket is ours.
    fn tolerate(&self, error: io::Error) -> Result<(), BusError> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Err(BusError::TimedOut(self.patience))
            }
            _ => Err(BusError::Broken(error)),
        }
    }
}

/// A call that is still to be addressed.
pub(super) fn call(interface: &str, member: &str) -> rustbus::CallBuilder {
    MessageBuilder::new().call(member).with_interface(interface)
}

/// The length of a header's fields, after its fixed part.
fn fields_length(bytes: &[u8], order: rustbus::ByteOrder) -> Option<usize> {
    let length: [u8; 4] = bytes.get(12..FIXED)?.try_into().ok()?;
    let length = match order {
        rustbus::ByteOrder::LittleEndian => u32::from_le_bytes(length),
        rustbus::ByteOrder::BigEndian => u32::from_be_bytes(length),
    };
    usize::try_from(length).ok()
}

#[cfg(test)]
pub(super) mod fake;

//! Records for the journal, by its native protocol: a datagram each (systemd's
//! JOURNAL_NATIVE_PROTOCOL).

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use berth_base::state::LogConfig;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, send, sendmsg, socket_with,
};

use super::Stream;
use super::lost::Lost;

/// How long the end of a container waits for a journal that does not read.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection to the journal, and what waits for it.
pub(super) struct Journal {
    path: PathBuf,
    socket: Option<OwnedFd>,
    /// The fields that every record has, encoded.
    fields: Vec<u8>,
    datagram: Vec<u8>,
    waiting: VecDeque<(Stream, Vec<u8>)>,
    waiting_bytes: u64,
    /// How much may wait; `None` makes the container wait instead.
    buffer: Option<u64>,
}

impl Journal {
    pub(super) fn new(config: &LogConfig) -> Self {
        Self {
            path: config.path.clone(),
            socket: None,
            fields: encode(&config.fields),
            datagram: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            buffer: (config.buffer_bytes > 0).then_some(config.buffer_bytes),
        }
    }

    /// Sends a record, after all that wait.
    pub(super) fn send(&mut self, stream: Stream, line: &[u8], lost: &mut Lost) {
        if self.waiting.is_empty() {
            match self.send_with_words(stream, line, lost) {
                Ok(()) => return,
                Err(Errno::AGAIN | Errno::NOBUFS) => {}
                Err(error) => return lost.add(1, &error.into()),
            }
        }
        let length = line.len() as u64;
        match self.buffer {
            Some(limit) if self.waiting_bytes + length > limit => {
                let why = "the journal does not read, and the buffer is full";
                lost.add(1, &io::Error::other(why));
            }
            _ => {
                self.waiting_bytes += length;
                self.waiting.push_back((stream, line.to_vec()));
            }
        }
    }

    /// The socket, while records wait for it.
    pub(super) fn wants_write(&self) -> Option<BorrowedFd<'_>> {
        let socket = self.socket.as_ref().filter(|_| !self.waiting.is_empty());
        socket.map(|socket| socket.as_fd())
    }

    /// Whether the container has to wait.
    pub(super) fn holds_up(&self) -> bool {
        self.buffer.is_none() && self.wants_write().is_some()
    }

    /// Sends what waits, as far as the journal takes it.
    pub(super) fn write_waiting(&mut self, lost: &mut Lost) {
        while let Some((stream, line)) = self.waiting.pop_front() {
            match self.send_with_words(stream, &line, lost) {
                Ok(()) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => {
                    self.waiting.push_front((stream, line));
                    return;
                }
                Err(error) => lost.add(1, &error.into()),
            }
            self.waiting_bytes -= line.len() as u64;
        }
    }

    /// Sends what waits at the end of the container. A journal that does not read cannot keep it.
    pub(super) fn finish(&mut self, lost: &mut Lost) {
        let end = Instant::now() + LAST_WORDS;
        while let Some(socket) = self.wants_write() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = io::Error::other("the journal does not read");
                lost.add(self.waiting.len() as u64, &why);
                self.waiting.clear();
                return;
            }
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(0),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let polled = poll(
                &mut [PollFd::from_borrowed_fd(socket, PollFlags::OUT)],
                Some(&timeout),
            );
            if polled.is_ok_and(|ready| ready > 0) {
                self.write_waiting(lost);
            }
        }
    }

    /// Sends a record; before it the one that says what was lost.
    fn send_with_words(
        &mut self,
        stream: Stream,
        line: &[u8],
        lost: &mut Lost,
    ) -> Result<(), Errno> {
        if let Some(words) = lost.words() {
            self.datagram.clear();
            push_field(&mut self.datagram, "PRIORITY", b"4");
            let count = lost.untold().to_string();
            push_field(&mut self.datagram, "BERTH_LOST", count.as_bytes());
            self.transmit(words.trim_end().as_bytes())?;
            lost.told();
        }
        self.datagram.clear();
        // As Docker: what is written to standard error is an error.
        let priority: &[u8] = match stream {
            Stream::Stdout => b"6",
            Stream::Stderr => b"3",
        };
        push_field(&mut self.datagram, "PRIORITY", priority);
        let text = match line.strip_suffix(b"\n") {
            Some(text) => text,
            None => {
                if line.len() >= super::MAX_LINE {
                    push_field(&mut self.datagram, "CONTAINER_PARTIAL_MESSAGE", b"true");
                }
                line
            }
        };
        self.transmit(text)
    }

    /// Completes the datagram and sends it.
    fn transmit(&mut self, message: &[u8]) -> Result<(), Errno> {
        push_field(&mut self.datagram, "MESSAGE", message);
        self.datagram.extend_from_slice(&self.fields);
        let had_one = self.socket.is_some();
        match self.transmit_once() {
            // The journal was started again since.
            Err(Errno::CONNREFUSED | Errno::NOTCONN | Errno::CONNRESET) if had_one => {
                self.socket = None;
                self.transmit_once()
            }
            done => done,
        }
    }

    fn transmit_once(&mut self) -> Result<(), Errno> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect()?,
        };
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = match send(&socket, &self.datagram, flags) {
            Err(Errno::MSGSIZE) => send_file(&socket, &self.datagram),
            done => done.map(drop),
        };
        self.socket = Some(socket);
        sent
    }

    fn connect(&self) -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(&self.path)?)?;
        Ok(socket)
    }
}

/// What is too large for a datagram goes as a sealed memory file.
fn send_file(socket: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create(c"berth-log", flags)?;
    let mut file = std::fs::File::from(memory);
    let written = file.write_all(bytes);
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [file.as_fd()];
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[], &mut control, flags).map(drop)
}

fn encode(fields: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        push_field(&mut bytes, name, value.as_bytes());
    }
    bytes
}

/// `NAME=value`, or where the value has line breaks its length between the two.
fn push_field(datagram: &mut Vec<u8>, name: &str, value: &[u8]) {
    datagram.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value);
    datagram.push(b'\n');
}

//! The caller's end of `--console-socket`.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tempfile::TempDir;

use crate::output::PATIENCE;

/// A listening socket, and later the terminal's master that came over it.
pub struct Console {
    dir: TempDir,
    listener: UnixListener,
}

impl Console {
    /// Listens at a path of its own.
    #[must_use]
    pub fn listen() -> Self {
        let dir = tempfile::tempdir().expect("make a folder for the socket");
        let listener = UnixListener::bind(dir.path().join("tty.sock")).expect("bind");
        Self { dir, listener }
    }

    /// The path for `--console-socket`, or for `--pidfd-socket`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("tty.sock")
    }

    /// The descriptor that a runtime sent.
    ///
    /// # Panics
    /// None came within [`PATIENCE`].
    #[must_use]
    #[track_caller]
    pub fn receive(&self) -> OwnedFd {
        wait_readable(&self.listener);
        let (stream, _) = self.listener.accept().expect("accept");
        let (_, mut descriptors) = receive(&stream);
        assert_eq!(descriptors.len(), 1, "one descriptor in the message");
        descriptors.remove(0)
    }

    /// The terminal's master.
    #[must_use]
    #[track_caller]
    pub fn receive_terminal(&self) -> File {
        File::from(self.receive())
    }

    /// Reads a terminal until it has said `wanted`, or to its end: all that was read.
    #[must_use]
    pub fn read_until(terminal: &mut File, wanted: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut text = String::new();
        while !text.contains(wanted) && Instant::now() < end {
            wait_readable(&*terminal);
            let mut buffer = [0; 4096];
            match terminal.read(&mut buffer) {
                // EIO: nobody holds the other side any more.
                Ok(0) | Err(_) => break,
                Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
            }
        }
        text
    }

    /// Types into a terminal.
    pub fn write(terminal: &mut File, text: &str) {
        terminal.write_all(text.as_bytes()).expect("type");
    }

    /// Whether nothing has connected so far.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        !readable_within(&self.listener, Duration::from_millis(50))
    }

    /// The folder of the socket, for files beside it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }
}

#[track_caller]
fn wait_readable(fd: impl std::os::fd::AsFd) {
    assert!(
        readable_within(fd, PATIENCE),
        "nothing came within {PATIENCE:?}"
    );
}

fn readable_within(fd: impl std::os::fd::AsFd, limit: Duration) -> bool {
    let timeout = Timespec::try_from(limit).expect("a short time");
    let mut interest = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
    poll(&mut interest, Some(&timeout)).expect("poll") > 0
}

/// One message of a socket, with the descriptors that came along.
///
/// # Panics
/// None came within [`PATIENCE`].
#[must_use]
#[track_caller]
pub fn receive(stream: &UnixStream) -> (Vec<u8>, Vec<OwnedFd>) {
    wait_readable(stream);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; 65_536];
    let received = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .expect("receive");
    bytes.truncate(received.bytes);
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    (bytes, descriptors)
}

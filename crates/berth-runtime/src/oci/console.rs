//! `--console-socket` and `--pidfd-socket`: handing a descriptor to the caller.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with,
};

use super::{Outcome, cannot};

/// Sends a descriptor, with a word that says what it is, to a stream socket at a host path.
pub(crate) fn hand_over(path: &Path, word: &str, descriptor: BorrowedFd<'_>) -> Outcome {
    send_to(path, word.as_bytes(), descriptor).map_err(|errno| {
        cannot(
            &format!("send the {word} to the socket {}", path.display()),
            errno,
        )
    })
}

/// Finds out whether there is a socket at a host path.
pub(crate) fn find(path: &Path) -> Result<(), Errno> {
    // by path: the socket is the caller's, on the host.
    let found = rustix::fs::stat(path)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Socket => Ok(()),
        _ => Err(Errno::NOTSOCK),
    }
}

/// Connects to a socket whose path may be longer than an address of unix(7) holds.
pub(crate) fn connect_to(path: &Path, kind: SocketType) -> Result<std::os::fd::OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    match SocketAddrUnix::new(path) {
        Ok(address) => connect(&socket, &address)?,
        Err(_) => {
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
            // by path: as above
            let target = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
            let short = format!("/proc/self/fd/{}", target.as_raw_fd());
            connect(&socket, &SocketAddrUnix::new(short)?)?;
        }
    }
    Ok(socket)
}

fn send_to(path: &Path, word: &[u8], descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    let socket = connect_to(path, SocketType::STREAM)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    sendmsg(
        &socket,
        &[IoSlice::new(word)],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .map(drop)
}

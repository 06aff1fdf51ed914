//! What a fresh network namespace needs: its loopback interface up, and somebody who answers there.

use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

use crate::clone::last_errno;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A server's socket at an address of the caller's network namespace, which never blocks: UDP
/// (SOCK_DGRAM) bound, TCP (SOCK_STREAM) listening.
///
/// # Errors
/// As socket(2), bind(2) and listen(2); EADDRNOTAVAIL on the loopback where `lo` is down.
pub fn serve_at(kind: SocketType, address: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, kind, flags, None)?;
    if kind == SocketType::STREAM {
        // Connections of an earlier listener may not be over.
        set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    if kind == SocketType::STREAM {
        listen(&socket, BACKLOG)?;
    }
    Ok(socket)
}

/// Brings up `lo` of the caller's network namespace (netdevice(7), SIOCSIFFLAGS). Its
/// addresses come by themselves.
pub fn loopback_up() -> Result<(), Errno> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: ifreq is plain data for which all zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *slot = byte.cast_signed();
    }
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = i16::try_from(up).map_err(|_| Errno::INVAL)?;
    // SAFETY: the descriptor is a socket, the request an ifreq with a terminated name.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

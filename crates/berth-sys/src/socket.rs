//! Which network namespace a socket belongs to.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

/// Opens the network namespace in which a socket was made (SIOCGSKNS, 4.10, netdevice(7)).
///
/// Fails with EPERM without CAP_NET_ADMIN over that namespace, ENOTTY when the descriptor is no
/// socket.
pub fn open_network_namespace(socket: impl AsFd) -> io::Result<OwnedFd> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: SIOCGSKNS takes no argument and touches no memory; the descriptor is borrowed and
    // open.
    let opened = unsafe { libc::ioctl(fd, libc::SIOCGSKNS as libc::Ioctl, 0) };
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a non-negative result is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

/// Reads the number that stands for the network namespace of a socket as long as the host runs
/// (SO_NETNS_COOKIE, 5.14, socket(7)).
///
/// Fails with ENOPROTOOPT on older kernels, ENOTSOCK when the descriptor is no socket.
pub fn network_namespace_cookie(socket: impl AsFd) -> io::Result<u64> {
    let mut cookie = 0u64;
    let mut length: libc::socklen_t = 8;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the option is a 64-bit integer; `cookie` is a live and aligned one, and `length`
    // says its size.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::net::UdpSocket;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn an_own_socket_is_in_our_namespace() {
        let sockets = [
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        ];
        let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
        match open_network_namespace(&sockets[0]) {
            Ok(opened) => assert_eq!(File::from(opened).metadata().unwrap().ino(), own),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        }
        if let Ok(cookie) = network_namespace_cookie(&sockets[0]) {
            assert_eq!(network_namespace_cookie(&sockets[1]).unwrap(), cookie);
        }
        let file = File::open("/proc/self/stat").unwrap();
        assert!(open_network_namespace(&file).is_err());
        assert!(network_namespace_cookie(&file).is_err());
    }
}

//! A container's connection to the resolver: sockets opened in its network namespace, which a
//! process of the host answers.
//!
//! What is said to the resolver, and what makes 127.0.0.11:53 lead to the sockets, was put together
//! by the engine; here it is sent from the right place.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use berth_base::state::ResolverRequest;
use berth_sys::batch::NetlinkSocket;
use berth_sys::net::serve_at;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, recv, sendmsg, socket_with,
};

use super::WiringError;

/// How long the resolver may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// The container's end: a UDP and a TCP socket in its namespace.
pub(super) struct Ends {
    udp: OwnedFd,
    tcp: OwnedFd,
}

impl Ends {
    /// Opens them in the caller's network namespace, which is the container's, and makes port 53
    /// lead to them.
    pub(super) fn open(request: &ResolverRequest) -> Result<Self, Errno> {
        // init does it as well, at some time.
        berth_sys::net::loopback_up()?;
        let address = SocketAddrV4::new(request.address, request.port);
        let ends = Self {
            udp: serve_at(SocketType::DGRAM, address)?,
            tcp: serve_at(SocketType::STREAM, address)?,
        };
        NetlinkSocket::netfilter()?
            .perform(&request.redirect)
            .map_err(|refusal| refusal.errno)?;
        Ok(ends)
    }

    /// Hands them to the resolver, which answers them until the process behind `pidfd` has ended.
    pub(super) fn hand_over(
        self,
        request: &ResolverRequest,
        pidfd: BorrowedFd<'_>,
    ) -> Result<(), WiringError> {
        let failed = |errno: Errno| WiringError::Resolver(errno.into());
        let socket = reach(request).map_err(failed)?;
        let descriptors = [self.udp.as_fd(), self.tcp.as_fd(), pidfd];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(failed(Errno::INVAL));
        }
        let parts = [IoSlice::new(request.packet.as_bytes())];
        sendmsg(&socket, &parts, &mut control, SendFlags::NOSIGNAL).map_err(failed)?;
        let mut reply = [0; 1024];
        let (length, _) = recv(&socket, &mut reply, RecvFlags::empty()).map_err(failed)?;
        let reply = reply.get(..length).unwrap_or_default();
        if reply == request.accepted.as_bytes() {
            return Ok(());
        }
        let why = match reply {
            [] => "it is ending".to_owned(),
            reply => String::from_utf8_lossy(reply).into_owned(),
        };
        Err(WiringError::Resolver(std::io::Error::other(why)))
    }
}

/// Connects to the resolver's socket, by way of its folder's descriptor: a path may be longer than
/// sun_path (unix(7)).
fn reach(request: &ResolverRequest) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // by path: a state folder
    let folder = rustix::fs::open(&request.folder, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), request.socket);
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

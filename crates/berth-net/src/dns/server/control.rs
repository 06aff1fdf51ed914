//! `dns.sock`: the engine's connections.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth_persist::{At, Op, perform};
use rustix::event::epoll::EventFlags;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketFlags, accept_with, bind, listen};
use rustix::process::geteuid;

use super::containers::Descriptors;
use super::slots::Token;
use super::{Server, Source};
use crate::dns::error::DnsError;
use crate::dns::registration::{MAX_PACKET, Reply, Request};
use crate::dns::socket::{self, DESCRIPTORS};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// How long a client may do nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// The listening socket, which has a name in the state folder as long as it is open.
#[derive(Debug)]
pub(super) struct Door {
    listener: OwnedFd,
    path: PathBuf,
}

impl Door {
    /// Listens, in the place of a socket that an earlier process left.
    pub(super) fn open(state: &Path) -> Result<Self, DnsError> {
        let path = socket::path(state);
        let failed = |source| DnsError::System {
            what: "listen on",
            path: path.clone(),
            source,
        };
        remove(&path)?;
        let (_folder, address) = socket::address(state).map_err(failed)?;
        let listener = socket::packets(SocketFlags::NONBLOCK).map_err(failed)?;
        let opened = bind(&listener, &address)
            .and_then(|()| rustix::fs::chmod(&path, Mode::RUSR | Mode::WUSR))
            .and_then(|()| listen(&listener, BACKLOG));
        opened.map_err(failed)?;
        Ok(Self { listener, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the name away: who looks for it from now on starts another process, which waits for
    /// this one's lock. Who waits to be accepted finds the connection closed, and does the same.
    pub(super) fn hide(&self) -> Result<(), DnsError> {
        remove(&self.path)
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

fn remove(path: &Path) -> Result<(), DnsError> {
    match perform("dns.socket.remove", Op::Unlink(At::path(path))) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DnsError::System {
            what: "remove",
            path: path.to_owned(),
            source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        }),
        _ => Ok(()),
    }
}

/// A connection of the engine's.
#[derive(Debug)]
pub(super) struct Control {
    socket: OwnedFd,
    /// When it asked for something last.
    active: Instant,
}

impl Server {
    pub(super) fn accept_control(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(socket) = accept_with(self.door.as_fd(), flags) {
            // The socket's mode keeps others out; this does where modes do not.
            let user = socket_peercred(&socket).map(|peer| peer.uid);
            if !user.is_ok_and(|user| user.is_root() || user == geteuid()) {
                continue;
            }
            let active = self.now;
            let token = self.controls.insert(Control { socket, active });
            let watched = self.controls.get(token).is_some_and(|control| {
                let source = Source::Control(token);
                let watched = self.watch(control.socket.as_fd(), source, EventFlags::IN);
                watched.is_ok()
            });
            match watched {
                true => self.timers.controls.push_back((active + PATIENCE, token)),
                false => self.drop_control(token),
            }
        }
    }

    /// A connection has been there for a while.
    pub(super) fn drop_control_if_idle(&mut self, token: Token) {
        match self.controls.get(token) {
            Some(control) if self.now.duration_since(control.active) < PATIENCE => {
                self.timers.controls.push_back((self.now + PATIENCE, token));
            }
            _ => self.drop_control(token),
        }
    }

    fn drop_control(&mut self, token: Token) {
        if let Some(control) = self.controls.remove(token) {
            self.unwatch(control.socket.as_fd());
        }
    }

    pub(super) fn hear_control(&mut self, token: Token) {
        let mut buffer = vec![0; MAX_PACKET];
        let Some(control) = self.controls.get_mut(token) else {
            return;
        };
        control.active = self.now;
        let (length, descriptors) = match socket::receive(control.socket.as_fd(), &mut buffer) {
            Err(Errno::AGAIN) => return,
            Err(_) | Ok((0, _)) => return self.drop_control(token),
            Ok(received) => received,
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        let reply = match serde_json::from_slice(bytes) {
            Ok(request) => self.carry_out(request, descriptors),
            Err(error) => Reply::Refused(format!("the request cannot be read: {error}")),
        };
        let sent = serde_json::to_vec(&reply).is_ok_and(|bytes| {
            let control = self.controls.get(token);
            control.is_some_and(|c| socket::send(c.socket.as_fd(), &bytes, &[]).is_ok())
        });
        if !sent {
            self.drop_control(token);
        }
    }

    fn carry_out(&mut self, request: Request, descriptors: Vec<OwnedFd>) -> Reply {
        let done = |result| match result {
            Ok(true) => Reply::Done,
            Ok(false) => Reply::Unknown,
            Err(why) => Reply::Refused(why),
        };
        match request {
            Request::Register(registration) => {
                let Ok([udp, tcp, init]) = <[OwnedFd; DESCRIPTORS]>::try_from(descriptors) else {
                    return Reply::Refused("its descriptors did not come along".to_owned());
                };
                let descriptors = Descriptors { udp, tcp, init };
                done(self.add_container(registration, descriptors).map(|()| true))
            }
            Request::Update(registration) => done(self.update_container(registration)),
            Request::Forget(container) => match self.by_id.get(&container).copied() {
                Some(token) => {
                    self.drop_container(token);
                    Reply::Done
                }
                None => Reply::Unknown,
            },
            Request::List => Reply::Containers(self.by_id.keys().cloned().collect()),
        }
    }
}

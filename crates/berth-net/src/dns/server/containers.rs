//! The containers that are served.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::event::epoll::EventFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};

use super::respond::View;
use super::slots::Token;
use super::{Server, Source};
use crate::dns::registration::Registration;
use crate::dns::upstream::Upstreams;

/// A container, its sockets and what of ours it takes up.
#[derive(Debug)]
pub(super) struct Container {
    registration: Registration,
    pub(super) view: View,
    pub(super) udp: OwnedFd,
    pub(super) tcp: OwnedFd,
    init: OwnedFd,
    /// Its own servers (`--dns`); none: the host's.
    pub(super) servers: Option<Rc<Upstreams>>,
    /// Queries that wait for an answer from outside.
    pub(super) pending: usize,
    /// Connections that stand.
    pub(super) connections: usize,
}

/// The descriptors that come with a registration.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) udp: OwnedFd,
    pub(super) tcp: OwnedFd,
    pub(super) init: OwnedFd,
}

impl Server {
    /// Serves a container, in the place of what was registered for it before.
    pub(super) fn add_container(
        &mut self,
        registration: Registration,
        descriptors: Descriptors,
    ) -> Result<(), String> {
        check(&registration)?;
        check_sockets(&descriptors)?;
        let view = View::of(&registration);
        self.hold_networks(&view)?;
        if let Some(token) = self.by_id.get(&registration.container) {
            self.drop_container(*token);
        }
        let Descriptors { udp, tcp, init } = descriptors;
        let id = registration.container.clone();
        let token = self.containers.insert(Container {
            servers: self.own_servers(&registration),
            registration,
            view,
            udp,
            tcp,
            init,
            pending: 0,
            connections: 0,
        });
        self.zone.set_running(&id, true);
        self.by_id.insert(id, token);
        self.unused_since = None;
        self.watch_container(token).map_err(|errno| {
            self.drop_container(token);
            format!(
                "its sockets cannot be watched: {}",
                std::io::Error::from(errno)
            )
        })
    }

    fn watch_container(&self, token: Token) -> Result<(), Errno> {
        let Some(container) = self.containers.get(token) else {
            return Ok(());
        };
        let input = EventFlags::IN;
        self.watch(container.udp.as_fd(), Source::Datagrams(token), input)?;
        self.watch(container.tcp.as_fd(), Source::Listener(token), input)?;
        self.watch(container.init.as_fd(), Source::Init(token), input)
    }

    /// Changes what a container sees. Its sockets and connections stay.
    pub(super) fn update_container(&mut self, registration: Registration) -> Result<bool, String> {
        check(&registration)?;
        let Some(token) = self.by_id.get(&registration.container).copied() else {
            return Ok(false);
        };
        let view = View::of(&registration);
        self.hold_networks(&view)?;
        let servers = self.own_servers(&registration);
        if let Some(container) = self.containers.get_mut(token) {
            container.registration = registration;
            container.servers = servers;
            let before = std::mem::replace(&mut container.view, view);
            for network in before.networks() {
                self.zone.release(network);
            }
        }
        Ok(true)
    }

    fn own_servers(&self, registration: &Registration) -> Option<Rc<Upstreams>> {
        let servers = registration.servers.iter();
        let addresses = servers.map(|server| SocketAddr::from((*server, self.config.port)));
        match registration.servers.is_empty() {
            true => None,
            false => Some(Rc::new(Upstreams::new(addresses))),
        }
    }

    /// Holds all networks of a view, or none.
    fn hold_networks(&mut self, view: &View) -> Result<(), String> {
        for (held, network) in view.networks().enumerate() {
            if let Err(error) = self.zone.hold(network) {
                for earlier in view.networks().take(held) {
                    self.zone.release(earlier);
                }
                return Err(format!(
                    "the leases of network {network} cannot be watched: {error}"
                ));
            }
        }
        Ok(())
    }

    /// Lets go of a container and of everything that is its own, so that nothing here holds its
    /// network namespace.
    pub(super) fn drop_container(&mut self, token: Token) {
        let Some(container) = self.containers.remove(token) else {
            return;
        };
        self.by_id.remove(&container.registration.container);
        self.zone
            .set_running(&container.registration.container, false);
        for fd in [&container.udp, &container.tcp, &container.init] {
            self.unwatch(fd.as_fd());
        }
        for network in container.view.networks() {
            self.zone.release(network);
        }
        let connections = self.connections.iter();
        let own = connections.filter(|(_, connection)| connection.container == token);
        for connection in own.map(|(token, _)| token).collect::<Vec<_>>() {
            self.close_connection(connection);
        }
        let pending = self.pending.iter();
        let own = pending.filter(|(_, pending)| pending.container == token);
        for pending in own.map(|(token, _)| token).collect::<Vec<_>>() {
            self.abandon(pending);
        }
        self.note_if_unused();
    }

    /// The container that holds the most of something.
    pub(super) fn heaviest(&self, weight: impl Fn(&Container) -> usize) -> Option<Token> {
        let weights = self.containers.iter();
        let weights = weights.map(|(token, container)| (weight(container), token));
        weights
            .max_by_key(|(weight, _)| *weight)
            .map(|(_, token)| token)
    }
}

fn check(registration: &Registration) -> Result<(), String> {
    registration.fault().map_or(Ok(()), Err)
}

/// Refuses descriptors that are not what they should be, and makes sure that no call on them
/// waits.
fn check_sockets(descriptors: &Descriptors) -> Result<(), String> {
    let Descriptors { udp, tcp, .. } = descriptors;
    let is = |socket: &OwnedFd, kind| socket_type(socket).is_ok_and(|found| found == kind);
    if !is(udp, SocketType::DGRAM) {
        return Err("the first descriptor is no UDP socket".to_owned());
    }
    if !is(tcp, SocketType::STREAM) || !socket_acceptconn(tcp).unwrap_or(false) {
        return Err("the second descriptor is no listening TCP socket".to_owned());
    }
    for socket in [udp, tcp] {
        let set = rustix::fs::fcntl_getfl(socket)
            .and_then(|flags| rustix::fs::fcntl_setfl(socket, flags | OFlags::NONBLOCK));
        set.map_err(|errno| {
            format!(
                "its sockets cannot be prepared: {}",
                std::io::Error::from(errno)
            )
        })?;
    }
    Ok(())
}

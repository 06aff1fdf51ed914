//! What clients ask for.

use std::os::fd::{AsFd, BorrowedFd};

use berth_base::ErrorClass;
use berth_base::protocol::{self, Failure, attach};
use rustix::net::{SocketFlags, accept_with};

use super::Monitor;
use super::client::{Binding, Client, Said};
use super::unit::CONTAINER;
use crate::{exec_request, failure};

/// More clients than this are refused, so that a broken one cannot exhaust our descriptors.
const MAX_CLIENTS: usize = 128;

impl Monitor {
    /// Accepts a connection from our own user or root.
    pub(super) fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = accept_with(&self.house.listener, flags) else {
            return;
        };
        if !may_connect(socket.as_fd()) {
            return;
        }
        let mut client = Client::new(socket, false);
        if self.clients.len() < MAX_CLIENTS {
            self.clients.push(client);
        } else {
            let message = format!(
                "the monitor of container {} has {MAX_CLIENTS} clients, and takes no more",
                self.house.config.name
            );
            let failure = failure::engine(ErrorClass::Unavailable, message);
            client.push(protocol::FAILED, &encode(&failure));
        }
    }

    /// One packet of a client.
    pub(super) fn hear_client(&mut self, index: usize, buffer: &mut [u8; protocol::MAX_PACKET]) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        let Some(said) = client.receive(buffer) else {
            return;
        };
        let Said {
            kind,
            payload,
            file,
        } = said;
        if !client.greeted {
            client.closing = !(kind == protocol::CLIENT_HELLO && client.greet(payload));
            return;
        }
        match kind {
            protocol::ATTACH => self.attach(index, payload.first().copied().unwrap_or(0)),
            protocol::EXEC => {
                let request = payload.to_vec();
                self.begin_session(index, Ok(request));
            }
            protocol::EXEC_FILE => self.begin_session(index, exec_request::unseal(file)),
            _ => {
                let Some(binding) = client.binding else {
                    return;
                };
                let payload = payload.to_vec();
                self.steer(binding, kind, &payload);
            }
        }
    }

    /// Input, size and signals for the process a client is bound to.
    fn steer(&mut self, binding: Binding, kind: u8, payload: &[u8]) {
        let Some(unit) = self.unit(binding.unit) else {
            return;
        };
        match kind {
            protocol::STDIN if binding.input => unit.input.push(payload),
            protocol::STDIN_EOF if binding.input => self.end_input(binding),
            protocol::RESIZE => {
                if let Some((rows, columns)) = protocol::decode_size(payload) {
                    unit.resize(rows, columns);
                    if binding.unit == CONTAINER {
                        self.note_size(rows, columns);
                    }
                }
            }
            protocol::SIGNAL => {
                if let Some(number) = payload.first() {
                    unit.signal(i32::from(*number));
                }
            }
            _ => {}
        }
    }

    /// A terminal's input never ends with a client; a container's only when it was said so.
    fn end_input(&mut self, binding: Binding) {
        let once = self.house.config.stdio.stdin_once;
        let Some(unit) = self.unit(binding.unit) else {
            return;
        };
        if unit.terminal.is_none() && (binding.unit != CONTAINER || once) {
            unit.input.end();
        }
    }

    /// Lets go of clients that have closed, or heard all that there is to hear.
    pub(super) fn dismiss_clients(&mut self) {
        let mut index = 0;
        while let Some(client) = self.clients.get(index) {
            if client.is_gone() || (client.closing && !client.is_behind()) {
                let client = self.clients.remove(index);
                if client.is_gone() {
                    self.client_left(client.binding);
                }
            } else {
                index += 1;
            }
        }
    }

    /// A client that closes takes its input along, and a session that ends with it.
    fn client_left(&mut self, binding: Option<Binding>) {
        let Some(binding) = binding else { return };
        if binding.input {
            self.end_input(binding);
        }
        if binding.unit != CONTAINER {
            self.client_of_session_left(binding.unit);
        }
    }

    fn attach(&mut self, index: usize, flags: u8) {
        let live = self.units.iter().find(|unit| unit.number == CONTAINER);
        let pid = live
            .and_then(|unit| unit.child.as_ref())
            .map(|(pid, _)| pid.as_raw_nonzero());
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        client.binding = Some(Binding {
            unit: CONTAINER,
            output: flags & attach::OUTPUT != 0,
            input: flags & attach::STDIN != 0,
            owner: flags & attach::OWNER != 0,
        });
        let pid = pid.map_or(0, std::num::NonZero::get);
        client.push(protocol::STARTED, &pid.to_le_bytes());
    }
}

/// The JSON form of a failure.
pub(crate) fn encode(failure: &Failure) -> Vec<u8> {
    // Three plain fields always have a JSON form.
    serde_json::to_vec(failure).unwrap_or_default()
}

/// SO_PEERCRED: our own user, or root.
fn may_connect(socket: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_peercred(socket)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

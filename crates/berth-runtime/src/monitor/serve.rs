//! What clients ask for.

use std::os::fd::{AsFd, BorrowedFd};

use berth_base::ErrorClass;
use berth_base::protocol::{self, Failure, attach};
use rustix::net::{SocketFlags, accept_with};

use super::client::{Binding, Client};
use super::unit::{CONTAINER, Unit};
use super::{Monitor, input};
use crate::failure;
use crate::session::{self, SessionInput};

/// More clients than this are refused, so that a broken one cannot exhaust our descriptors.
const MAX_CLIENTS: usize = 128;

impl Monitor {
    /// Accepts a connection from our own user or root.
    pub(super) fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = accept_with(&self.house.listener, flags) else {
            return;
        };
        if self.clients.len() < MAX_CLIENTS && may_connect(socket.as_fd()) {
            self.clients.push(Client::new(socket, false));
        }
    }

    /// One packet of a client.
    pub(super) fn hear_client(&mut self, index: usize, buffer: &mut [u8; protocol::MAX_PACKET]) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        let Some((kind, payload)) = client.receive(buffer) else {
            if client.is_gone() {
                let binding = client.binding;
                self.client_left(binding);
            }
            return;
        };
        if !client.greeted {
            client.closing = !(kind == protocol::CLIENT_HELLO && client.greet(payload));
            return;
        }
        match kind {
            protocol::ATTACH => self.attach(index, payload.first().copied().unwrap_or(0)),
            protocol::EXEC => {
                let request = payload.to_vec();
                self.begin_session(index, &request);
            }
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

    /// A client that closes takes its input along.
    fn client_left(&mut self, binding: Option<Binding>) {
        if let Some(binding) = binding.filter(|binding| binding.input) {
            self.end_input(binding);
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
        });
        let pid = pid.map_or(0, std::num::NonZero::get);
        client.push(protocol::STARTED, &pid.to_le_bytes());
    }

    /// Starts an exec session for a client.
    fn begin_session(&mut self, index: usize, request: &[u8]) {
        let number = self.next_session;
        self.next_session += 1;
        let begun = self.try_session(number, request);
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        match begun {
            Ok(unit) => {
                client.binding = Some(Binding {
                    unit: number,
                    output: true,
                    input: true,
                });
                self.units.push(unit);
            }
            Err(failure) => {
                client.push(protocol::FAILED, &encode(&failure));
                client.closing = true;
            }
        }
    }

    fn try_session(&mut self, number: u32, request: &[u8]) -> Result<Unit, Failure> {
        let container = self.units.iter().find(|unit| unit.number == CONTAINER);
        let child = container
            .filter(|unit| unit.started)
            .and_then(|unit| unit.child.as_ref());
        let Some((pid, pidfd)) = child else {
            let message = format!("container {} is not running", self.house.config.name);
            return Err(failure::engine(ErrorClass::Conflict, message));
        };
        let input = SessionInput {
            config: &self.house.config,
            pid: *pid,
            pidfd: pidfd.as_fd(),
            request,
            is_probe: false,
        };
        let begun = session::begin(&input)?;
        let mut unit = Unit::new(number);
        unit.starter = Some(begun.starter);
        unit.report = Some(begun.report);
        unit.input = input::Input::new(begun.stdin);
        unit.stdout = begun.stdout;
        unit.stderr = begun.stderr;
        Ok(unit)
    }
}

/// The JSON form of a failure.
pub(super) fn encode(failure: &Failure) -> Vec<u8> {
    // Three plain fields always have a JSON form.
    serde_json::to_vec(failure).unwrap_or_default()
}

/// SO_PEERCRED: our own user, or root.
fn may_connect(socket: BorrowedFd<'_>) -> bool {
    rustix::net::sockopt::socket_peercred(socket)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

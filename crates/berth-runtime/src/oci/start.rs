//! `start`: lets a waiting init execute its program.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use berth_base::ErrorClass;
use oci_spec::runtime::Spec;

use super::container::Container;
use super::create::Waiting;
use super::delete::{self, Force};
use super::hooks::{self, Point};
use super::listener::Notified;
use super::state::{StateFile, Status};
use super::{Outcome, cannot, fail, notify};
use crate::failure;
use crate::wire;

/// Starts a created container; returns once it runs its program.
pub(crate) fn start(container: &Container) -> Outcome {
    match container.status() {
        Status::Created => {}
        Status::Stopped => {
            return Err(fail(
                ErrorClass::Conflict,
                "cannot start a container that has stopped",
            ));
        }
        Status::Creating => {
            return Err(fail(
                ErrorClass::Conflict,
                "cannot start a container that is still being created",
            ));
        }
        Status::Running | Status::Paused => {
            return Err(fail(
                ErrorClass::Conflict,
                "cannot start an already running container",
            ));
        }
    }
    let spec = container.spec()?;
    let socket = container
        .connect()
        .map_err(|e| cannot("reach the first process", e))?;
    let init = container.init().ok_or_else(|| {
        fail(
            ErrorClass::Conflict,
            "cannot start a container that has stopped",
        )
    })?;
    let notify = notify::Listener::open(&container.folder)?;
    let started = signal(spec, &container.state, init.pidfd.as_fd(), socket.as_fd());
    let started = started.and_then(|()| {
        let socket = container.folder.start_socket();
        fs::remove_file(&socket).map_err(|e| cannot(&format!("remove {}", socket.display()), e))?;
        after_start(spec, &container.state)
    });
    if let Err(mut failure) = started {
        // A failed hook ends the container and what was made for it (runtime-spec, runtime.md,
        // "Lifecycle"); one whose program cannot be executed is left stopped, to be looked at.
        if hooks::is_hook_failure(&failure)
            && let Err(besides) = delete::delete(container, Force::Yes)
        {
            failure.message = format!("{}; besides, {}", failure.message, besides.message);
        }
        return Err(failure);
    }
    match notify {
        None => Ok(()),
        Some(notify) => {
            let pid = container
                .state
                .init
                .as_ref()
                .map_or(0, |init| init.pid.get());
            notify.wait(&init.pidfd, pid)
        }
    }
}

/// Starts a newborn of `run --detach`.
pub(crate) fn detached(container: &Container, init: Waiting) -> Outcome {
    let Waiting {
        pidfd,
        socket,
        lock,
        ..
    } = init;
    drop(lock);
    let notify = notify::Listener::open(&container.folder)?;
    let (spec, state) = (container.spec()?, &container.state);
    signal(spec, state, pidfd.as_fd(), socket.as_fd())?;
    after_start(spec, state)?;
    match notify {
        None => Ok(()),
        Some(notify) => {
            let pid = state.init.as_ref().map_or(0, |init| init.pid.get());
            notify.wait(&pidfd, pid)
        }
    }
}

/// Says start and hears init out until it executes the program.
pub(crate) fn signal(
    spec: &Spec,
    state: &StateFile,
    pidfd: BorrowedFd<'_>,
    init: BorrowedFd<'_>,
) -> Outcome {
    wire::send_byte(init, wire::START).map_err(|e| cannot("start the first process", e))?;
    loop {
        let (packet, length, _) =
            wire::receive(init).map_err(|e| cannot("hear from the first process", e))?;
        match packet.get(..length).and_then(|p| p.split_first()) {
            // The socket closes by itself when the program is executed.
            None => return Ok(()),
            Some((&wire::LISTENER, payload)) => Notified {
                spec,
                state,
                status: Status::Created,
                pid: state.init.as_ref().map_or(0, |init| init.pid.get()),
                pidfd,
                socket: init,
            }
            .pass_on(payload)?,
            Some((kind, payload)) => return Err(explain(spec, *kind, payload)),
        }
    }
}

/// poststart hooks: the program runs already.
pub(crate) fn after_start(spec: &Spec, state: &StateFile) -> Outcome {
    hooks::run(spec, Point::Poststart, state, Status::Running)
}

/// Without the plan at hand only hooks and the program can be named; nothing else is left to fail
/// but filter and capabilities.
fn explain(spec: &Spec, kind: u8, payload: &[u8]) -> berth_base::protocol::Failure {
    let args = spec.process().as_ref().and_then(|p| p.args().as_deref());
    let name = args
        .and_then(|args| args.first())
        .map_or("", String::as_str);
    match kind {
        wire::HOOK_FAILED => super::words::hook_failure(spec, payload)
            .unwrap_or_else(|| fail(ErrorClass::Internal, "a startContainer hook failed")),
        wire::EXEC_FAILED => super::words::not_executable(name, payload),
        _ => fail(
            ErrorClass::Internal,
            format!(
                "cannot give up privilege for {name:?}: {}",
                failure::describe(errno_in(payload))
            ),
        ),
    }
}

fn errno_in(payload: &[u8]) -> rustix::io::Errno {
    let raw = payload.last_chunk().map_or(22, |b| i32::from_le_bytes(*b));
    rustix::io::Errno::from_raw_os_error(raw)
}

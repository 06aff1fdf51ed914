//! What init needs from its creator to wait for its start: hooks, their state, a socket.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

use super::container::short_address;
use super::state::{HookState, StateFile, Status};
use super::{Outcome, cannot, hooks};
use crate::act::hooks::PreparedHook;
use crate::act::start::Lifecycle;
use crate::plan::{Plan, Step};

/// What init needs prepared before the clone.
#[derive(Default)]
pub(crate) struct InitParts {
    create_container: Vec<PreparedHook>,
    start_container: Vec<PreparedHook>,
    creating: Vec<u8>,
    created: Vec<u8>,
}

impl InitParts {
    pub(crate) fn new(spec: &Spec, state: &StateFile) -> Outcome<Self> {
        let Some(listed) = spec.hooks() else {
            return Ok(Self::default());
        };
        let prefix = |status| {
            HookState::new(state, status)
                .prefix()
                .map_err(|e| cannot("encode the state", e))
        };
        Ok(Self {
            create_container: hooks::for_init(listed.create_container())?,
            start_container: hooks::for_init(listed.start_container())?,
            creating: prefix(Status::Creating)?,
            created: prefix(Status::Created)?,
        })
    }

    pub(crate) fn lifecycle<'a>(
        &'a self,
        plan: &'a Plan,
        listener: Option<BorrowedFd<'a>>,
    ) -> Lifecycle<'a> {
        let is_capabilities = |step: &&Step| matches!(step, Step::SetCapabilities { .. });
        Lifecycle {
            candidates: &plan.program.candidates,
            listener,
            create_container: &self.create_container,
            start_container: &self.start_container,
            creating: &self.creating,
            created: &self.created,
            capabilities: plan.init.iter().find(is_capabilities),
        }
    }
}

/// The socket on which init waits for its start.
pub(super) fn start_socket(folder: &Path) -> Outcome<OwnedFd> {
    let made = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // by path: the state of a container, below --root
        let folder = open(folder, flags, Mode::empty())?;
        let kind = SocketType::SEQPACKET;
        let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &short_address(&folder)?)?;
        listen(&socket, 8)?;
        Ok::<_, rustix::io::Errno>(socket)
    };
    made().map_err(|e| cannot("make the start socket", e))
}

//! A container as the kernel shows it now.

use std::cell::OnceCell;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use berth_base::protocol::Failure;
use berth_base::{ErrorClass, ProcessIdentity};
use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::id::OciId;
use super::state::{StateFile, Status};
use super::store::{Folder, Store};
use super::{Outcome, cannot, fail};
use crate::cgroup::Cgroup;
use crate::process;

/// A container that exists.
pub(crate) struct Container {
    pub(crate) id: OciId,
    pub(crate) folder: Folder,
    pub(crate) state: StateFile,
    /// Its configuration, once somebody needs it.
    config: OnceCell<Spec>,
}

impl Container {
    /// A container whose state is at hand.
    pub(crate) fn new(id: OciId, folder: Folder, state: StateFile) -> Self {
        Self {
            id,
            folder,
            state,
            config: OnceCell::new(),
        }
    }

    /// Spares it reading the configuration.
    pub(crate) fn with_config(self, spec: Spec) -> Self {
        Self {
            config: OnceCell::from(spec),
            ..self
        }
    }

    /// Opens a container.
    ///
    /// # Errors
    /// "container does not exist", in the words that shims look for.
    pub(crate) fn open(store: &Store, id: &OciId) -> Outcome<Self> {
        let folder = store.folder(id);
        let Some(state) = folder.read()? else {
            return Err(missing(id));
        };
        Ok(Self::new(id.clone(), folder, state))
    }

    /// What the container does now. A folder that nobody creates any more and that has no living
    /// first process is stopped, however that came about.
    pub(crate) fn status(&self) -> Status {
        if self.init().is_none() {
            let creating = self.state.init.is_none() && self.folder.is_locked();
            return if creating {
                Status::Creating
            } else {
                Status::Stopped
            };
        }
        if self.folder.is_locked() {
            Status::Creating
        } else if self.connect().is_ok() {
            // init listens: nobody else could, and it lets go of the socket when it executes.
            Status::Created
        } else if self.cgroup().is_frozen().unwrap_or(false) {
            Status::Paused
        } else {
            Status::Running
        }
    }

    /// The first process, while it lives. A zombie does not.
    pub(crate) fn init(&self) -> Option<Init> {
        let identity = self.state.init.as_ref()?;
        let number = i32::try_from(identity.pid.get()).ok()?;
        let pid = Pid::from_raw(number)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // The pidfd is of the process that has the number now; it is ours if it began when ours
        // did. Read after the pidfd was opened, so that no third one can come between.
        (process::is_same(identity) && !is_zombie(identity)).then_some(Init { pid, pidfd })
    }

    /// Connects to the start socket.
    pub(crate) fn connect(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(self.folder.path(), flags, Mode::empty())?;
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        connect(&socket, &short_address(&folder)?)?;
        Ok(socket)
    }

    /// Its cgroups.
    pub(crate) fn cgroup(&self) -> Cgroup {
        Cgroup::from_paths(&self.state.cgroups)
    }

    /// The configuration it was created with.
    pub(crate) fn spec(&self) -> Outcome<&Spec> {
        if let Some(spec) = self.config.get() {
            return Ok(spec);
        }
        let path = self.folder.config();
        let text = fs::read(&path).map_err(|e| cannot(&format!("read {}", path.display()), e))?;
        let spec = serde_json::from_slice(&text).map_err(|e| {
            fail(
                ErrorClass::Internal,
                format!("cannot parse {}: {e}", path.display()),
            )
        })?;
        Ok(self.config.get_or_init(|| spec))
    }
}

/// The address of a start socket below an open folder: paths of callers are longer than the 108
/// bytes that unix(7) gives an address.
pub(crate) fn short_address(folder: &OwnedFd) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(format!(
        "/proc/self/fd/{}/start.sock",
        folder.as_fd().as_raw_fd()
    ))
}

/// A living first process.
pub(crate) struct Init {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

/// The words that containerd's and podman's shims look for.
pub(crate) fn missing(id: &OciId) -> Failure {
    fail(
        ErrorClass::NotFound,
        format!("container does not exist: no container has the id {id}"),
    )
}

/// Whether a process has ended and only waits to be reaped.
fn is_zombie(identity: &ProcessIdentity) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", identity.pid)).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().next());
    matches!(state, None | Some("Z" | "X" | "x"))
}

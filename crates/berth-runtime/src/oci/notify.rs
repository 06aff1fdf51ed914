//! NOTIFY_SOCKET: a service manager waits for the container to say that it is ready
//! (sd_notify(3)).
//!
//! The container gets a folder of its own below `/run/notify` and never sees the manager's socket:
//! what it says is read by us, and only `READY=1` with the PID of its first process is passed on.

use std::fs::{self, DirBuilder};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, Spec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, recv, send,
    socket_with,
};

use super::store::Folder;
use super::{Outcome, cannot, console};

/// Where the container finds the folder.
const INSIDE: &str = "/run/notify";

/// The manager's socket, when there is one.
pub(crate) fn manager() -> Option<PathBuf> {
    std::env::var_os("NOTIFY_SOCKET")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// The folder that a container sees.
pub(crate) fn folder(container: &Folder) -> PathBuf {
    container.path().join("notify")
}

/// Makes the folder, before the container is made.
pub(crate) fn make_folder(container: &Folder) -> Outcome {
    let path = folder(container);
    DirBuilder::new()
        .mode(0o755)
        .create(&path)
        .map_err(|e| cannot(&format!("make {}", path.display()), e))
}

/// Adds mount and variable to a spec.
pub(crate) fn extend(spec: &mut Spec, folder: &Path) {
    let mut mount = Mount::default();
    let options = ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned);
    mount
        .set_destination(INSIDE.into())
        .set_typ(Some("bind".into()))
        .set_source(Some(folder.into()))
        .set_options(Some(options.into()));
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.push(mount);
    spec.set_mounts(Some(mounts));
    if let Some(process) = spec.process_mut() {
        let mut env = process.env().clone().unwrap_or_default();
        env.push(format!("NOTIFY_SOCKET={INSIDE}/notify.sock"));
        process.set_env(Some(env));
    }
}

/// Listens for a container.
pub(crate) struct Listener {
    socket: OwnedFd,
    manager: PathBuf,
}

impl Listener {
    /// Opens the container's side; `None` when no manager waits or the container was not made
    /// for one.
    pub(crate) fn open(container: &Folder) -> Outcome<Option<Self>> {
        let Some(manager) = manager() else {
            return Ok(None);
        };
        let folder = folder(container);
        if !folder.is_dir() {
            return Ok(None);
        }
        let made = || {
            let opened = rustix::fs::open(
                &folder,
                rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )?;
            use std::os::fd::AsRawFd;
            let short = format!("/proc/self/fd/{}/notify.sock", opened.as_raw_fd());
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
            bind(&socket, &SocketAddrUnix::new(short)?)?;
            Ok::<_, Errno>(socket)
        };
        let socket = made().map_err(|e| cannot("make the notify socket", e))?;
        // The container's user writes to it, whoever that is.
        let path = folder.join("notify.sock");
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))
            .map_err(|e| cannot(&format!("open up {}", path.display()), e))?;
        Ok(Some(Self { socket, manager }))
    }

    /// Waits until the container is ready or has ended, and tells the manager.
    pub(crate) fn wait(&self, init: &OwnedFd, pid: u32) -> Outcome {
        loop {
            let mut polled = [
                PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(init.as_fd(), PollFlags::IN),
            ];
            match poll(&mut polled, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(cannot("wait for the container to be ready", errno)),
            }
            let ended = !polled[1].revents().is_empty();
            if self.hear(pid)? || ended {
                return Ok(());
            }
        }
    }

    /// Reads what is there; true once the container has said that it is ready.
    pub(crate) fn hear(&self, pid: u32) -> Outcome<bool> {
        let mut buffer = [0u8; 4096];
        loop {
            let length = match recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(cannot("read the notify socket", errno)),
            };
            let said = buffer.get(..length).unwrap_or_default();
            if said.split(|b| *b == b'\n').any(|line| line == b"READY=1") {
                self.tell(pid)?;
                return Ok(true);
            }
        }
    }

    fn tell(&self, pid: u32) -> Outcome {
        let failed = |e| cannot(&format!("notify {}", self.manager.display()), e);
        let message = format!("MAINPID={pid}\nREADY=1\n");
        let manager = console::connect_to(&self.manager, SocketType::DGRAM).map_err(failed)?;
        send(&manager, message.as_bytes(), SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(failed)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

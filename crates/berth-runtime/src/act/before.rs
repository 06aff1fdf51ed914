//! Steps of the host's side, before anything is joined or cloned.
//!
//! Who we are: the stage, or the creator of the OCI command line, with the caller's privilege and
//! in the caller's namespaces. This may allocate.

use std::os::fd::{AsFd, OwnedFd};

use berth_base::HostPid;
use berth_sys::{Clone3, Forked, exit_now};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::Context;
use crate::plan::{Mappings, Step};
use crate::{mapping, namespaces, wire};

pub(super) fn perform(step: &Step, cx: &mut Context<'_>) -> Result<(), Errno> {
    match step {
        Step::MakeUserNamespace { mappings, slot } => {
            let namespace = user_namespace(mappings)?;
            cx.put(*slot, namespace)
        }
        Step::OpenUserNamespace { host, slot } => {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            // by path: the host's, named by the user; nothing is joined yet
            let namespace = open(host.as_c_str(), flags, Mode::empty())?;
            if berth_sys::namespace_flag(namespace.as_fd())? != namespaces::NEW_USER {
                return Err(Errno::INVAL);
            }
            cx.put(*slot, namespace)
        }
        Step::OpenInterfaces { slot } => {
            let socket = berth_sys::netlink::open()?;
            cx.put(*slot, socket)
        }
        _ => Err(Errno::NOSYS),
    }
}

/// A user namespace with these mappings. Its only process is a child of ours that waits until we
/// hold the namespace.
fn user_namespace(mappings: &Mappings) -> Result<OwnedFd, Errno> {
    let (ours, theirs) = wire::pair()?;
    let clone = Clone3::default().namespaces(namespaces::NEW_USER);
    let (pid, pidfd) = match clone.run()? {
        Forked::Child => {
            drop(ours);
            // Ends with us, or when we let go.
            exit_now(i32::from(
                wire::await_byte(theirs.as_fd(), wire::START).is_ok(),
            ))
        }
        Forked::Parent { pid, pidfd } => (pid, pidfd),
    };
    let opened = HostPid::new(pid.as_raw_nonzero().get().unsigned_abs())
        .ok_or(Errno::SRCH)
        .and_then(|host| mapping::write(host, mappings).map_err(|_| Errno::PERM))
        .and_then(|()| {
            let path = format!("/proc/{}/ns/user", pid.as_raw_nonzero());
            // by path: the host's procfs, a child that we have not reaped
            open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        });
    drop(ours);
    match pidfd_send_signal(&pidfd, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(error),
    }
    waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
    opened
}

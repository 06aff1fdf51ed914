//! Seccomp notifications: taking init's listener and handing it to the agent.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use berth_base::ErrorClass;
use oci_spec::runtime::Spec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use serde::Serialize;

use super::state::{HookState, OCI_VERSION, StateFile, Status};
use super::{Outcome, cannot, console, fail};
use crate::wire;

/// A process whose filter has a listener, as we see it.
pub(crate) struct Notified<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) state: &'a StateFile,
    pub(crate) status: Status,
    pub(crate) pid: u32,
    pub(crate) pidfd: BorrowedFd<'a>,
    pub(crate) socket: BorrowedFd<'a>,
}

/// What the agent learns (runtime-spec, config-linux.md, "The Container Process State").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'static str,
    fds: [&'static str; 1],
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    state: HookState<'a>,
}

impl Notified<'_> {
    /// Takes the listener and sends it to the agent, then lets the process go on. Without effect
    /// when the process says something else meanwhile, which the caller then hears.
    pub(crate) fn pass_on(&self, payload: &[u8]) -> Outcome {
        let number = payload
            .first_chunk()
            .map(|bytes| i32::from_le_bytes(*bytes))
            .ok_or_else(|| fail(ErrorClass::Internal, "init named no listener"))?;
        let Some(listener) = self.take(number)? else {
            return Ok(());
        };
        let linux = self.spec.linux().as_ref();
        let profile = linux.and_then(|l| l.seccomp().as_ref());
        let path = profile
            .and_then(|p| p.listener_path().as_deref())
            .ok_or_else(|| fail(ErrorClass::Invalid, "linux.seccomp.listenerPath: missing"))?;
        let text = serde_json::to_string(&ProcessState {
            oci_version: OCI_VERSION,
            fds: ["seccompFd"],
            pid: self.pid,
            metadata: profile.and_then(|p| p.listener_metadata().as_deref()),
            state: HookState::new(self.state, self.status),
        })
        .map_err(|e| cannot("encode the process state", e))?;
        console::hand_over(path, &text, listener.as_fd())?;
        wire::send_byte(self.socket, wire::TAKEN).map_err(|e| cannot("reach the first process", e))
    }

    fn take(&self, number: i32) -> Outcome<Option<OwnedFd>> {
        loop {
            match pidfd_getfd(self.pidfd, number, PidfdGetfdFlags::empty()) {
                Ok(fd) if is_listener(&fd) => return Ok(Some(fd)),
                Ok(_) | Err(Errno::BADF) => {}
                Err(errno) => return Err(cannot("take the seccomp listener", errno)),
            }
            let pause = Timespec {
                tv_sec: 0,
                tv_nsec: 1_000_000,
            };
            let mut polled = [PollFd::from_borrowed_fd(self.socket, PollFlags::IN)];
            match poll(&mut polled, Some(&pause)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(None),
                Err(errno) => return Err(cannot("wait for the seccomp listener", errno)),
            }
        }
    }
}

/// Whether a descriptor is a seccomp listener, by the name that procfs gives it.
fn is_listener(fd: &OwnedFd) -> bool {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    link.is_ok_and(|target| target.to_string_lossy().contains("seccomp notify"))
}

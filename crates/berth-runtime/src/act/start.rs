//! Waiting for those outside: the stage, the hooks on the host side, the start command.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use berth_sys::SeccompFlags;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, accessat, fstat, open};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with, send};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::{Context, hooks};
use crate::plan::Step;
use crate::wire;

/// What the OCI command line prepares for init before the clone.
#[derive(Default)]
pub(crate) struct Lifecycle<'a> {
    /// Where to look for the program.
    pub(crate) candidates: &'a [CString],
    /// The listening socket for the start command; without one the stage gives the signal.
    pub(crate) listener: Option<BorrowedFd<'a>>,
    /// createContainer.
    pub(crate) create_container: &'a [hooks::PreparedHook],
    /// startContainer.
    pub(crate) start_container: &'a [hooks::PreparedHook],
    /// The state for createContainer hooks, up to the value of `pid`.
    pub(crate) creating: &'a [u8],
    /// The state for startContainer hooks, up to the value of `pid`.
    pub(crate) created: &'a [u8],
    /// The step that gives the program its capabilities; startContainer hooks get the same.
    pub(crate) capabilities: Option<&'a Step>,
}

pub(super) fn perform(step: &Step, cx: &mut Context<'_>) -> Result<(), Errno> {
    match step {
        Step::AwaitCgroups => wire::await_byte(cx.stage, wire::ENTERED),
        Step::AwaitMapping => wire::await_byte(cx.stage, wire::MAPPED),
        Step::AwaitStart => {
            wire::send_byte(cx.stage, wire::READY)?;
            wire::await_byte(cx.stage, wire::START)
        }
        Step::AwaitHooks => {
            wire::send_byte(cx.stage, wire::HOOKS)?;
            wire::await_byte(cx.stage, wire::HOOKED)
        }
        Step::CreateContainerHooks => {
            let life = cx.lifecycle.ok_or(Errno::BADF)?;
            hooks::run(cx, hooks::Point::CreateContainer, life)
        }
        Step::StartContainerHooks => {
            let life = cx.lifecycle.ok_or(Errno::BADF)?;
            hooks::run(cx, hooks::Point::StartContainer, life)
        }
        Step::FindProgram => find(cx.lifecycle.ok_or(Errno::BADF)?.candidates),
        Step::AwaitStartCommand => await_start_command(cx),
        _ => Err(Errno::NOSYS),
    }
}

/// What execvp(3) would find: the errno of the failure it would end in.
///
/// Runs with the program's own ids, without effective capabilities of root unless it is root.
fn find(candidates: &[CString]) -> Result<(), Errno> {
    let mut answer = Errno::NOENT;
    for candidate in candidates {
        match executable(candidate) {
            Ok(()) => return Ok(()),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => answer = errno,
        }
    }
    Err(answer)
}

fn executable(path: &CStr) -> Result<(), Errno> {
    // by path: our own root, after the pivot; execve(2) will walk the same way
    let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    // by path: as above
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// Says that everything is set up, then waits until somebody connects and says start. A
/// connection that closes without a word has only asked whether we still wait.
fn await_start_command(cx: &mut Context<'_>) -> Result<(), Errno> {
    // A caller may read our creator's output to its end before it goes on (containerd's shim
    // does, where there is a terminal), so we let go of it here.
    if let Some(terminal) = &cx.terminal {
        for number in 0..3 {
            berth_sys::place_at(terminal.as_fd(), number)?;
        }
    }
    wire::send_byte(cx.stage, wire::READY)?;
    let Some(listener) = cx.lifecycle.and_then(|life| life.listener) else {
        return wire::await_byte(cx.stage, wire::START);
    };
    loop {
        let peer: OwnedFd = match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(peer) => peer,
            Err(Errno::INTR | Errno::CONNABORTED | Errno::AGAIN) => continue,
            Err(error) => return Err(error),
        };
        if wire::await_byte(peer.as_fd(), wire::START).is_ok() {
            cx.peer = Some(peer);
            return Ok(());
        }
    }
}

/// Makes CAP_SYS_ADMIN effective where it is still permitted: without no_new_privs a filter needs
/// it, and becoming another user has cleared the effective set. What the program keeps is set
/// after the filter.
fn raise_admin() -> Result<(), Errno> {
    let mut sets = capabilities(None)?;
    let admin = CapabilitySet::SYS_ADMIN & sets.permitted;
    if sets.effective.contains(admin) {
        return Ok(());
    }
    sets.effective |= admin;
    set_capabilities(None, sets)
}

/// Loads the seccomp filter. A listener is for the other side, which passes it on to its agent.
///
/// It cannot be sent from here: the filter may hold back sendmsg(2) itself until the agent, who
/// has no listener yet, has answered. So its number is announced beforehand, the other side takes
/// it out of our table (pidfd_getfd(2)) as soon as it is there, and we wait for that by a call
/// that the agent can answer by then.
pub(super) fn load_filter(cx: &Context<'_>) -> Result<(), Errno> {
    let (program, flags) = cx.filter.ok_or(Errno::BADF)?;
    raise_admin()?;
    if flags.0 & SeccompFlags::NEW_LISTENER == 0 {
        return berth_sys::load_filter(program, flags).map(drop);
    }
    let other = cx.speaker();
    let number = rustix::io::fcntl_dupfd_cloexec(other, 0)?.as_raw_fd();
    let mut packet = [wire::LISTENER, 0, 0, 0, 0];
    if let Some(room) = packet.last_chunk_mut() {
        *room = number.to_le_bytes();
    }
    send(other, &packet, SendFlags::NOSIGNAL)?;
    let listener = berth_sys::load_filter(program, flags)?;
    wire::await_byte(other, wire::TAKEN)?;
    drop(listener);
    Ok(())
}

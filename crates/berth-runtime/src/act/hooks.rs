//! Hooks that init runs itself: createContainer before the pivot, startContainer after it.
//!
//! Who we are: init. Nothing here allocates; a hook's arguments were prepared before the clone,
//! its state is put together from two prepared halves and our PID. Streams are memory files, so
//! that a hook which does not read, or says too much, cannot block us.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_sys::{ArgVector, Clone3, Forked, execve, exit_now, place_at, signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::Context;
use super::path::StackPath;
use super::start::Lifecycle;
use crate::wire;

/// A hook as init executes it.
pub(crate) struct PreparedHook {
    /// Its program: a host path for createContainer, a path of the root for startContainer.
    pub(crate) path: std::ffi::CString,
    /// Its arguments.
    pub(crate) argv: ArgVector,
    /// Its environment.
    pub(crate) env: ArgVector,
    /// Seconds after which it is ended.
    pub(crate) timeout: Option<i64>,
}

/// When hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    CreateContainer = 0,
    StartContainer = 1,
}

/// How a hook failed.
enum Fault {
    /// Exit code.
    Code(i32),
    /// Signal.
    Signal(i32),
    /// It was ended after its timeout.
    Timeout,
    /// It could not be run.
    Errno(Errno),
}

/// The most that is told of what a failed hook said.
const TAIL: usize = 512;

/// Runs the hooks of one point in order; the first failure ends the start.
pub(super) fn run(cx: &mut Context<'_>, point: Point, life: &Lifecycle<'_>) -> Result<(), Errno> {
    let (list, state) = match point {
        Point::CreateContainer => (life.create_container, life.creating),
        Point::StartContainer => (life.start_container, life.created),
    };
    for (index, hook) in list.iter().enumerate() {
        let output = memfd_create(c"hook-output", MemfdFlags::CLOEXEC)?;
        if let Err(fault) = one(cx, point, hook, state, &output) {
            report(cx.speaker(), point, index, &fault, &output);
            return Err(Errno::CANCELED);
        }
    }
    Ok(())
}

fn one(
    cx: &mut Context<'_>,
    point: Point,
    hook: &PreparedHook,
    state: &[u8],
    output: &OwnedFd,
) -> Result<(), Fault> {
    let stdin = state_file(state).map_err(Fault::Errno)?;
    match Clone3::default().run().map_err(Fault::Errno)? {
        Forked::Child => become_hook(cx, point, hook, [&stdin, output, output]),
        Forked::Parent { pidfd, .. } => await_end(pidfd.as_fd(), hook.timeout),
    }
}

/// The state as a file, read from its start. Inside, our PID is the one that counts (runtime-spec,
/// runtime.md, "State").
fn state_file(prefix: &[u8]) -> Result<OwnedFd, Errno> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let file = memfd_create(c"hook-state", MemfdFlags::CLOEXEC)?;
    let mut rest = StackPath::new();
    rest.push_number(u32::try_from(pid).unwrap_or(0))?
        .push(b"}")?;
    for part in [prefix, rest.as_c_str()?.to_bytes()] {
        let mut left = part;
        while !left.is_empty() {
            let written = rustix::io::write(&file, left)?;
            left = left.get(written..).unwrap_or_default();
        }
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

/// The child: a startContainer hook belongs to the image, so it gets the container's privileges.
fn become_hook(
    cx: &mut Context<'_>,
    point: Point,
    hook: &PreparedHook,
    streams: [&OwnedFd; 3],
) -> ! {
    let capabilities = cx.lifecycle.and_then(|life| life.capabilities);
    if let (Point::StartContainer, Some(step)) = (point, capabilities)
        && super::confine::perform(step, cx).is_err()
    {
        exit_now(126)
    }
    for (number, stream) in (0..).zip(streams) {
        if place_at(stream.as_fd(), number).is_err() {
            exit_now(126)
        }
    }
    if signal::unblock_all().is_err() || berth_sys::close_on_exec_from(3).is_err() {
        exit_now(126)
    }
    execve(&hook.path, &hook.argv, &hook.env);
    exit_now(127)
}

fn await_end(pidfd: BorrowedFd<'_>, timeout: Option<i64>) -> Result<(), Fault> {
    let limit = timeout.map(|seconds| Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    });
    let ended = loop {
        let mut polled = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        match poll(&mut polled, limit.as_ref()) {
            Ok(ready) => break ready > 0,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Fault::Errno(errno)),
        }
    };
    if !ended {
        pidfd_send_signal(pidfd, Signal::KILL).map_err(Fault::Errno)?;
    }
    let status = waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED).map_err(Fault::Errno)?;
    if !ended {
        return Err(Fault::Timeout);
    }
    let status = status.ok_or(Fault::Errno(Errno::CHILD))?;
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Fault::Code(code)),
        (None, Some(signal)) => Err(Fault::Signal(signal)),
        (None, None) => Err(Fault::Errno(Errno::CHILD)),
    }
}

/// Tells the other side which hook failed, how, and the end of what it said.
fn report(speaker: BorrowedFd<'_>, point: Point, index: usize, fault: &Fault, output: &OwnedFd) {
    let (how, value) = match fault {
        Fault::Code(code) => (b'c', *code),
        Fault::Signal(signal) => (b's', *signal),
        Fault::Timeout => (b't', 0),
        Fault::Errno(errno) => (b'e', errno.raw_os_error()),
    };
    let mut packet = [0u8; 8 + TAIL];
    let index = u8::try_from(index).unwrap_or(u8::MAX);
    let head = [wire::HOOK_FAILED, point as u8, index, how];
    let value = value.to_le_bytes();
    let head = head.iter().chain(&value).copied().enumerate();
    for (at, byte) in head {
        if let Some(slot) = packet.get_mut(at) {
            *slot = byte;
        }
    }
    let length =
        rustix::fs::fstat(output).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
    let tail = packet.get_mut(8..).unwrap_or_default();
    let offset = length.saturating_sub(TAIL as u64);
    let said = rustix::io::pread(output, tail, offset).unwrap_or(0);
    let packet = packet.get(..8 + said).unwrap_or_default();
    if send(speaker, packet, SendFlags::NOSIGNAL).is_err() {
        exit_now(1)
    }
}

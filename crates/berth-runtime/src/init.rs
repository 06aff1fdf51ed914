//! The container's first process, from clone3 to execve.
//!
//! Who we are: a fresh process in the container's new namespaces, with all the privilege of
//! the stage until the plan takes it away. We allocate nothing, hold nothing but what the stage
//! prepared, and end in execve(2), in the reaper, or in _exit(2).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_sys::{
    ArgVector, Clone3, Forked, close_on_exec_from, execve, exit_now, keep_on_exec, place_at, signal,
};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use crate::act::{self, Context, StepFailure};
use crate::plan::{Program, Step};
use crate::{reaper, wire};

/// What init executes, made before the clone.
pub(crate) struct Prepared<'a> {
    /// The steps.
    pub(crate) steps: &'a [Step],
    /// The program.
    pub(crate) program: &'a Program,
    /// Its arguments.
    pub(crate) argv: ArgVector,
    /// Its environment.
    pub(crate) env: ArgVector,
    /// Its standard streams; unset ones come from the terminal.
    pub(crate) streams: Option<[OwnedFd; 3]>,
    /// The first descriptor that does not survive execve: 3, more with `--preserve-fds`.
    pub(crate) first_closed: u32,
    /// Where a session init reports the end of its main process; none at PID 1.
    pub(crate) report: Option<OwnedFd>,
}

/// Runs init. Never returns.
pub(crate) fn run(prepared: &Prepared<'_>, context: &mut Context<'_>) -> ! {
    match set_up(prepared, context) {
        Ok(()) => execute(prepared, context),
        Err(StepFailure { index, errno }) => {
            let index = u32::try_from(index).unwrap_or(u32::MAX).to_le_bytes();
            report(context.speaker(), wire::STEP_FAILED, &index, errno);
            exit_now(1)
        }
    }
}

/// Clean signals, our streams, then the steps.
fn set_up(prepared: &Prepared<'_>, context: &mut Context<'_>) -> Result<(), StepFailure> {
    const BEFORE_STEPS: usize = usize::MAX;
    let early = |errno| StepFailure {
        index: BEFORE_STEPS,
        errno,
    };
    signal::reset_ignored();
    if let Some(streams) = &prepared.streams {
        place_streams(streams.each_ref().map(AsFd::as_fd)).map_err(early)?;
    }
    berth_sys::forbid_allocation();
    act::run(prepared.steps, context)?;
    if let Some(terminal) = &context.terminal {
        place_streams([terminal.as_fd(); 3]).map_err(early)?;
    }
    signal::unblock_all().map_err(|_| early(Errno::INVAL))?;
    // Nothing above the streams survives execve (CVE-2024-21626).
    close_on_exec_from(3).map_err(early)?;
    for number in 3..prepared.first_closed {
        let number = i32::try_from(number).map_err(|_| early(Errno::BADF))?;
        keep_on_exec(number).map_err(early)?;
    }
    Ok(())
}

fn place_streams(streams: [BorrowedFd<'_>; 3]) -> Result<(), Errno> {
    for (number, stream) in (0..).zip(streams) {
        place_at(stream, number)?;
    }
    Ok(())
}

/// Becomes the program, or its supervisor.
fn execute(prepared: &Prepared<'_>, context: &Context<'_>) -> ! {
    if !prepared.program.supervised {
        become_program(prepared, context.speaker())
    }
    // The child must find SIGCHLD and the rest as a program expects them, so the reaper blocks
    // signals only after the clone; what arrives before is kept by the blocked mask below.
    if signal::block_all().is_err() {
        exit_now(1)
    }
    match Clone3::default().run() {
        Ok(Forked::Child) => {
            if context.terminal.is_some() {
                reaper::take_terminal();
            }
            if signal::unblock_all().is_err() {
                exit_now(1)
            }
            become_program(prepared, context.speaker())
        }
        Ok(Forked::Parent { pid, .. }) => {
            let report = prepared.report.as_ref().map(AsFd::as_fd);
            reaper::supervise(pid, report)
        }
        Err(errno) => {
            report(context.speaker(), wire::EXEC_FAILED, &[], errno);
            exit_now(1)
        }
    }
}

/// execve(2) of the first candidate that works; what execvp(3) would answer when none does.
fn become_program(prepared: &Prepared<'_>, stage: BorrowedFd<'_>) -> ! {
    let mut answer = Errno::NOENT;
    for candidate in &prepared.program.candidates {
        match execve(candidate, &prepared.argv, &prepared.env) {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => answer = Errno::ACCESS,
            other => {
                answer = other;
                break;
            }
        }
    }
    report(stage, wire::EXEC_FAILED, &[], answer);
    exit_now(127)
}

/// Tells the stage what failed; when even that fails there is nobody left to tell.
fn report(stage: BorrowedFd<'_>, kind: u8, object: &[u8], errno: Errno) {
    let mut packet = [0u8; 9];
    let raw = errno.raw_os_error().to_le_bytes();
    let bytes = std::iter::once(&kind).chain(object).chain(&raw);
    let mut length = 0;
    for (slot, byte) in packet.iter_mut().zip(bytes) {
        *slot = *byte;
        length += 1;
    }
    let sent = send(
        stage,
        packet.get(..length).unwrap_or_default(),
        SendFlags::NOSIGNAL,
    );
    if sent.is_err() {
        exit_now(1)
    }
}

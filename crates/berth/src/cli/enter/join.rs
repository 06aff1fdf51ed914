//! The entering itself.
//!
//!     berth enter          waits outside: passes signals on, answers the exit code
//!      +- (entrant)        sits in the cgroups, enters the namespaces; without a PID namespace it
//!      |                   becomes the program
//!      +- the program      with one: made by the entrant as its sibling, so that it is our child
//!
//! The waiting process stays where it was: it holds no namespace of the target, and is not ended
//! with the target's cgroup.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use berth_base::{ErrorClass, NamespaceKind};
use berth_sys::signal::{SignalFd, pidfd_kill};
use berth_sys::{Clone3, Forked, exit_now};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{
    DumpableBehavior, Gid, Pid, PidfdFlags, Uid, WaitId, WaitIdOptions, WaitIdStatus, chroot,
    fchdir, pidfd_open, set_dumpable_behavior, waitid,
};
use rustix::thread::{
    ThreadNameSpaceType, move_into_thread_name_spaces, set_thread_gid, set_thread_groups,
    set_thread_uid,
};

use super::program::Program;
use super::target::{Target, ended, enter_cgroups};
use crate::cli::failure::{EXIT_ENGINE, Failure};
use crate::cli::subject::flag_of_kind;
use crate::cli::{Context, Outcome};

/// What becomes of uid, gid and groups in a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// Nothing.
    Keep,
    /// They become 0, and no further groups.
    BecomeRoot,
}

/// Signals that are passed on to the program.
const FORWARDED: [i32; 4] = [1, 10, 12, 15]; // HUP, USR1, USR2, TERM
/// Signals that a terminal sends to the program as well as to us.
const IGNORED: [i32; 2] = [2, 3]; // INT, QUIT

/// Enters and runs a program; answers its exit code.
pub(super) fn run(context: &Context, target: &Target, ids: Ids, program: &Program) -> Outcome {
    let (told, tell) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| internal("make a pipe", e))?;
    let signals: Vec<i32> = FORWARDED.into_iter().chain(IGNORED).collect();
    let signals = SignalFd::new(&signals).map_err(|error| {
        Failure::new(
            ErrorClass::Internal,
            format!("cannot watch signals: {error}"),
        )
    })?;
    match Clone3::default().run().map_err(|e| internal("clone", e))? {
        Forked::Child => {
            drop(told);
            let failure = entrant(target, ids, program, tell);
            context.console.fail(&failure);
            exit_now(i32::from(failure.exit_code.unwrap_or(EXIT_ENGINE)))
        }
        Forked::Parent { pid, pidfd } => {
            drop(tell);
            wait(pid, pidfd, &told, &signals)
        }
    }
}

/// We are the entrant: a fork of our own program, single-threaded, outside of everything. Returns
/// only on failure.
fn entrant(target: &Target, ids: Ids, program: &Program, tell: OwnedFd) -> Failure {
    if let Err(failure) = enter(target, ids) {
        return failure;
    }
    if !target.enters(NamespaceKind::Pid) {
        return program.execute();
    }
    // Only children are born in the PID namespace.
    match Clone3::default().sibling().run() {
        Ok(Forked::Child) => program.execute(),
        Ok(Forked::Parent { pid, .. }) => {
            // Nobody reads only where the waiting process is gone: then nobody waits.
            rustix::io::write(&tell, &pid.as_raw_nonzero().get().to_ne_bytes()).ok();
            exit_now(0)
        }
        // A PID namespace whose PID 1 has ended takes no more processes.
        Err(Errno::NOMEM) => ended(target.pid),
        Err(error) => internal("clone into the PID namespace", error),
    }
}

/// Moves this process into the target's cgroups and namespaces.
fn enter(target: &Target, ids: Ids) -> Result<(), Failure> {
    // Until execve(2) nothing inside may trace us, or look at what we hold open.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| internal("become undumpable", e))?;
    enter_cgroups(target)?;
    let mut flags = 0;
    for kind in &target.kinds {
        flags |= flag_of_kind(*kind);
    }
    if flags != 0 {
        let flags = u32::try_from(flags).unwrap_or(0);
        let flags = ThreadNameSpaceType::from_bits_retain(flags);
        // All or none of them (setns(2) with a pidfd, 5.8).
        move_into_thread_name_spaces(target.pidfd.as_fd(), flags)
            .map_err(|error| refused(target, error))?;
    }
    if let Some((root, folder)) = &target.folders {
        fchdir(root).map_err(|e| internal("enter its root folder", e))?;
        chroot(".").map_err(|e| internal("take its root folder for ours", e))?;
        // By descriptor: it may be one that no path leads to any more.
        fchdir(folder).map_err(|e| internal("enter its working directory", e))?;
    }
    if ids == Ids::BecomeRoot {
        become_root(target)?;
    }
    Ok(())
}

/// Takes the ids 0 of the user namespace that was entered.
fn become_root(target: &Target) -> Result<(), Failure> {
    match set_thread_groups(&[]) {
        // `deny` in /proc/PID/setgroups, as for every namespace that a user made: the groups stay.
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Err(internal("leave our groups", error)),
    }
    let unmapped = |what: &str, error| match error {
        Errno::INVAL => Failure::new(
            ErrorClass::Conflict,
            format!(
                "cannot become {what} 0 in the user namespace of process {}: it is not mapped there; try --preserve-credentials",
                target.pid
            ),
        ),
        error => internal(&format!("become {what} 0"), error),
    };
    set_thread_gid(Gid::ROOT).map_err(|error| unmapped("gid", error))?;
    set_thread_uid(Uid::ROOT).map_err(|error| unmapped("uid", error))
}

/// Puts setns(2)'s errors into words.
fn refused(target: &Target, error: Errno) -> Failure {
    let pid = target.pid;
    let kinds: Vec<&str> = target.kinds.iter().map(|kind| kind.as_str()).collect();
    let what = format!(
        "cannot enter the {} namespaces of process {pid}",
        kinds.join(", ")
    );
    match error {
        Errno::SRCH => ended(pid),
        Errno::PERM | Errno::ACCESS => Failure::new(
            ErrorClass::Denied,
            format!("{what}: the kernel refuses; it needs CAP_SYS_ADMIN over them and, for mnt, CAP_SYS_CHROOT: try again as root, or with --ns"),
        ),
        Errno::INVAL if target.enters(NamespaceKind::Pid) => Failure::new(
            ErrorClass::Conflict,
            format!("{what}: its PID namespace is not inside of yours; leave it out with --ns"),
        ),
        error => internal(&what, error),
    }
    .on(pid.to_string())
}

fn internal(what: &str, error: Errno) -> Failure {
    let what = what.strip_prefix("cannot ").unwrap_or(what);
    let class = match error {
        Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE => ErrorClass::Unavailable,
        Errno::PERM | Errno::ACCESS => ErrorClass::Denied,
        _ => ErrorClass::Internal,
    };
    Failure::new(class, format!("cannot {what}: {}", io::Error::from(error)))
}

/// We are the waiting process: until the program ends, passes signals on to it.
fn wait(entrant: Pid, pidfd: OwnedFd, told: &OwnedFd, signals: &SignalFd) -> Outcome {
    let Some(program) = program_of(told)? else {
        // The entrant is the program, or has failed and said so.
        return until_end(&pidfd, signals);
    };
    // Ours to reap. It has nothing left to do but to end.
    waitid(WaitId::Pid(entrant), WaitIdOptions::EXITED).map_err(|e| internal("wait", e))?;
    until_end(&program, signals)
}

/// The program that the entrant made; `None` when it became the program itself, or failed. Signals
/// stay pending meanwhile, so that none goes to the entrant.
fn program_of(told: &OwnedFd) -> Result<Option<OwnedFd>, Failure> {
    let mut bytes = [0; 4];
    match rustix::io::retry_on_intr(|| rustix::io::read(told, &mut bytes)) {
        Ok(4) => {}
        // Closed without a word, by execve(2) or by its end.
        Ok(_) => return Ok(None),
        Err(error) => return Err(internal("hear of the program", error)),
    }
    // Our own child, which nobody else reaps: the number is its own until we do.
    let pid = Pid::from_raw(i32::from_ne_bytes(bytes));
    let pid = pid.ok_or_else(|| internal("hear of the program", Errno::IO))?;
    let opened = pidfd_open(pid, PidfdFlags::empty());
    opened
        .map(Some)
        .map_err(|e| internal("watch the program", e))
}

/// Passes signals on until a child of ours ends; answers its exit code.
fn until_end(pidfd: &OwnedFd, signals: &SignalFd) -> Outcome {
    loop {
        let mut fds = [
            PollFd::new(pidfd, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(internal("wait", error)),
        }
        let has_ended = !fds[0].revents().is_empty();
        while let Some(signal) = signals.read() {
            let signal = i32::try_from(signal).unwrap_or(0);
            if FORWARDED.contains(&signal) {
                // It may have ended this moment.
                pidfd_kill(pidfd.as_fd(), signal).ok();
            }
        }
        if has_ended {
            let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
            let status = status.map_err(|e| internal("wait", e))?;
            return Ok(exit_code(status.as_ref()));
        }
    }
}

/// The exit code, as a shell would show it.
fn exit_code(status: Option<&WaitIdStatus>) -> u8 {
    let Some(status) = status else {
        return EXIT_ENGINE;
    };
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code & 0xff,
        (None, Some(signal)) => 128 + (signal & 0x7f),
        (None, None) => i32::from(EXIT_ENGINE),
    };
    u8::try_from(code).unwrap_or(EXIT_ENGINE)
}

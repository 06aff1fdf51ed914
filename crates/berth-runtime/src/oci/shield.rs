//! Our own program, out of reach of what we start.
//!
//! Who we are: `create`, `run` or `exec`, or `berth enter`, before anything else. init is cloned
//! from us, so what it runs from is what a container finds behind /proc/PID/exe; and a container's
//! program that names /proc/self/exe as its interpreter is run by it. On a writable mount that is
//! the host's binary, to be overwritten as soon as nobody executes it (CVE-2019-5736). So we
//! execute ourselves anew from a read-only clone of the mount.
//!
//! On x86_64 that has happened already when we come here, before the C library started
//! (`berth_sys::link_early_start`): what is left is to make sure of it. The rest is for other
//! architectures, for callers without privilege, and for command lines that it does not recognise.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use berth_sys::{ArgVector, execve_at};
use rustix::fs::{Mode, OFlags, SealFlags, StatVfsMountFlags, fcntl_get_seals, fstatvfs, open};

use super::{Outcome, cannot};
use crate::launch::open_program;

/// What we run from.
const OURSELVES: &str = "/proc/self/exe";

/// Returns when we run from a program that nothing inside can write; executes such a one before.
pub fn raise() -> Outcome {
    if is_out_of_reach(None)? {
        return Ok(());
    }
    let program = open_program(Path::new(OURSELVES))
        .map_err(|e| cannot("open our own program", std::io::Error::other(e)))?;
    if !is_out_of_reach(Some(program.as_fd()))? {
        // Without privilege: a program that its caller does not own, and so nobody inside writes.
        return Ok(());
    }
    let arguments = std::env::args_os().map(OsStringExt::into_vec);
    let variables = std::env::vars_os().map(|(name, value)| {
        let mut both = name.into_vec();
        both.push(b'=');
        both.extend_from_slice(value.as_bytes());
        both
    });
    let vector = |strings: &mut dyn Iterator<Item = Vec<u8>>| {
        let strings: Result<Vec<_>, _> = strings.map(CString::new).collect();
        strings.map(ArgVector::new)
    };
    let argv = vector(&mut { arguments }).map_err(|e| cannot("pass the arguments on", e))?;
    let env = vector(&mut { variables }).map_err(|e| cannot("pass the environment on", e))?;
    let errno = execve_at(program.as_fd(), &argv, &env);
    Err(cannot("execute our own program anew", errno))
}

/// Whether a program, ourselves if none is given, lies on a read-only mount or is sealed memory.
fn is_out_of_reach(program: Option<std::os::fd::BorrowedFd<'_>>) -> Outcome<bool> {
    let look = || {
        let own;
        let program = match program {
            Some(program) => program,
            None => {
                // by path: a magic link of the kernel's, in the host's procfs
                own = open(OURSELVES, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                own.as_fd()
            }
        };
        if fstatvfs(program)?
            .f_flag
            .contains(StatVfsMountFlags::RDONLY)
        {
            return Ok(true);
        }
        // No seals: no file in memory, or a descriptor that only names one (EBADF, EINVAL).
        let seals = fcntl_get_seals(program).unwrap_or(SealFlags::empty());
        Ok::<_, rustix::io::Errno>(seals.contains(SealFlags::WRITE))
    };
    look().map_err(|e| cannot("look at our own program", e))
}

//! Signals as descriptors, and the clean slate a new program needs.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// Signals delivered through a descriptor (signalfd(2)); they stay blocked in the process.
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks the signals and opens a non-blocking, close-on-exec descriptor for them.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let set = signal_set(signals);
        change_mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: `set` is an initialised signal set; -1 asks for a new descriptor.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(last_errno().into());
        }
        // SAFETY: signalfd just returned this descriptor; nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes the next pending signal; `None` when there is none.
    pub fn read(&self) -> Option<u32> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.0, &mut info) {
            Ok(length) if length == info.len() => {
                // ssi_signo is the first field, a native u32.
                info.first_chunk().map(|signo| u32::from_ne_bytes(*signo))
            }
            _ => None,
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Empties the signal mask of this thread (sigprocmask(2)).
pub fn unblock_all() -> io::Result<()> {
    change_mask(libc::SIG_SETMASK, &signal_set(&[]))
}

/// Blocks every signal that can be blocked.
pub fn block_all() -> io::Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set it is given.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: just initialised.
    change_mask(libc::SIG_SETMASK, &unsafe { set.assume_init() })
}

/// Gives every signal its default action. Ignored signals would survive execve(2), SIGPIPE
/// of the Rust runtime for one.
pub fn reset_all() {
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: SIG_DFL installs no handler. The two signals that libc reserves (32, 33)
        // are refused with EINVAL, which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Gives SIGPIPE, which the Rust runtime ignores, and SIGXFSZ their default action. Enough for a
/// fork of a program that was itself started after [`reset_all`].
pub fn reset_ignored() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: SIG_DFL installs no handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// A write beyond the limit on the length of files (`ulimit -f`, setrlimit(2)) fails with EFBIG, as
/// one to a full disk does, instead of killing who writes.
pub fn ignore_file_size() {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Waits for one of the signals, which must be blocked, and takes it (sigtimedwait(2)).
///
/// `None` after `timeout_ms`; a negative timeout waits for ever.
pub fn wait_for(signals: &[i32], timeout_ms: i64) -> Option<i32> {
    let set = signal_set(signals);
    let timeout = libc::timespec {
        tv_sec: timeout_ms.max(0) / 1000,
        tv_nsec: (timeout_ms.max(0) % 1000) * 1_000_000,
    };
    let timeout: *const libc::timespec = if timeout_ms < 0 {
        std::ptr::null()
    } else {
        &raw const timeout
    };
    loop {
        // SAFETY: `set` is initialised, the timeout null or a valid timespec, and no siginfo
        // is asked for.
        let signal = unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), timeout) };
        if signal > 0 {
            return Some(signal);
        }
        if last_errno() != Errno::INTR {
            return None;
        }
    }
}

/// Sends a signal to a process by PID (kill(2)). Only for our own unreaped children and
/// process groups, whose PID cannot have been reused; everything else goes through a pidfd.
pub fn kill_child(pid: rustix::process::Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill has no memory conditions.
    if unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) } < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Sends any signal, real-time ones included, through a pidfd (pidfd_send_signal(2)).
pub fn pidfd_kill(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    // SAFETY: a null siginfo asks for the one kill(2) would send; no memory is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

fn signal_set(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: initialised above; a number that is no signal is refused and changes nothing.
        unsafe { libc::sigaddset(set.as_mut_ptr(), *signal) };
    }
    // SAFETY: initialised by sigemptyset.
    unsafe { set.assume_init() }
}

fn change_mask(how: i32, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is an initialised signal set; the old one is not asked for.
    let result = unsafe { libc::sigprocmask(how, std::ptr::from_ref(set), std::ptr::null_mut()) };
    if result < 0 {
        Err(last_errno().into())
    } else {
        Ok(())
    }
}

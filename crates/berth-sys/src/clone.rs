//! clone3(2): one call makes a process with its namespaces, its cgroup and its pidfd.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::Pid;

/// `struct clone_args` up to `cgroup` (Linux 5.7), CLONE_ARGS_SIZE_VER2.
#[repr(C)]
#[derive(Default)]
struct RawCloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// CLONE_INTO_CGROUP; libc's constant is a 32-bit type that it does not fit.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A call of clone3(2) that copies the address space, as fork(2) does.
#[derive(Clone, Copy, Default)]
pub struct Clone3<'fd> {
    namespaces: u64,
    sibling: bool,
    cgroup: Option<BorrowedFd<'fd>>,
}

/// Which side of a clone3(2) this is.
pub enum Forked {
    /// The new process. It must allocate nothing and end in execve(2) or [`exit_now`], unless
    /// its parent was single-threaded and it is a plain continuation of our own program.
    Child,
    /// The caller.
    Parent {
        /// The child as this PID namespace counts it.
        pid: Pid,
        /// Refers to the child for as long as it is open; close-on-exec.
        pidfd: OwnedFd,
    },
}

impl<'fd> Clone3<'fd> {
    /// Puts the child into new namespaces: an OR of CLONE_NEW* flags (CLONE_NEWTIME included,
    /// which only clone3 takes).
    #[must_use]
    pub const fn namespaces(mut self, flags: u64) -> Self {
        self.namespaces = flags;
        self
    }

    /// Makes the child a sibling (CLONE_PARENT): the caller's parent becomes its parent, and it
    /// inherits the caller's exit signal.
    #[must_use]
    pub const fn sibling(mut self) -> Self {
        self.sibling = true;
        self
    }

    /// Starts the child inside a cgroup v2 directory (CLONE_INTO_CGROUP, Linux 5.7): far cheaper
    /// than a migration, which waits for an RCU grace period.
    #[must_use]
    pub const fn into_cgroup(mut self, directory: BorrowedFd<'fd>) -> Self {
        self.cgroup = Some(directory);
        self
    }

    /// Whether the older clone(2) can do it as well.
    const fn is_plain_fork(&self) -> bool {
        self.namespaces == 0 && !self.sibling && self.cgroup.is_none()
    }

    /// Calls clone3(2), or clone(2) where a seccomp filter hides the former and a plain fork is
    /// all that is asked for.
    ///
    /// # Panics
    /// When the caller has more than one thread: the child would inherit locks that nobody
    /// will ever release.
    pub fn run(self) -> Result<Forked, Errno> {
        assert!(
            is_single_threaded(),
            "clone3 from a process with several threads"
        );
        let mut pidfd: RawFd = -1;
        let mut flags = self.namespaces | libc::CLONE_PIDFD as u64;
        let mut args = RawCloneArgs {
            pidfd: (&raw mut pidfd) as u64,
            exit_signal: libc::SIGCHLD as u64,
            ..RawCloneArgs::default()
        };
        if self.sibling {
            flags |= libc::CLONE_PARENT as u64;
            args.exit_signal = 0;
        }
        if let Some(directory) = self.cgroup {
            flags |= CLONE_INTO_CGROUP;
            args.cgroup = u64::try_from(directory.as_raw_fd()).map_err(|_| Errno::BADF)?;
        }
        args.flags = flags;
        // SAFETY: `args` is a valid clone_args of the size passed; without CLONE_VM the child
        // has a copy of this address space and stack, so returning twice is sound as in
        // fork(2); the process has one thread (asserted above), so no lock is left held.
        let result =
            unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<RawCloneArgs>()) };
        let result = match result {
            0.. => result,
            _ => match last_errno() {
                // A seccomp filter that cannot look into clone_args answers ENOSYS, so that the
                // caller takes the older call (as Docker's default profile does, and ours).
                Errno::NOSYS if self.is_plain_fork() => fork_with_pidfd(&mut pidfd)?,
                errno => return Err(errno),
            },
        };
        let Some(pid) = i32::try_from(result).ok().and_then(Pid::from_raw) else {
            return Ok(Forked::Child);
        };
        // SAFETY: with CLONE_PIDFD the kernel stored a fresh descriptor that nobody else owns.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        Ok(Forked::Parent { pid, pidfd })
    }
}

/// clone(2) with nothing but CLONE_PIDFD and SIGCHLD.
fn fork_with_pidfd(pidfd: &mut RawFd) -> Result<libc::c_long, Errno> {
    let flags = libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the child has a copy of this address space and stack (a stack of 0
    // means the caller's), so returning twice is sound as in fork(2); `pidfd` is where CLONE_PIDFD
    // stores the descriptor, the third argument on every architecture; the caller has asserted
    // that it has one thread.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(flags),
            0,
            std::ptr::from_mut(pidfd),
            0,
            0,
        )
    };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(result)
    }
}

/// Whether this process has exactly one thread: /proc/self/task then has three links.
///
/// Without a mounted procfs the answer is true: only our own single-threaded children run there.
pub fn is_single_threaded() -> bool {
    rustix::fs::stat(c"/proc/self/task").map_or(true, |stat| stat.st_nlink <= 3)
}

/// Ends the process at once, running neither destructors nor exit handlers (_exit(2)).
pub fn exit_now(code: i32) -> ! {
    // SAFETY: exit_group has no memory conditions and does not return.
    unsafe { libc::_exit(code) }
}

/// The errno that the last libc call of this thread left.
pub(crate) fn last_errno() -> Errno {
    // SAFETY: __errno_location always returns a valid pointer to this thread's errno.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: see above; reading an int.
    Errno::from_raw_os_error(unsafe { *location })
}

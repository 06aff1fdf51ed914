//! Descriptors at fixed numbers, for a child that is about to execute a program.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// Duplicates a descriptor to a fixed number that stays open across execve(2) (dup2(2)).
///
/// Only for a child about to execute a program: whatever was open at `number` is closed, and an
/// owner of that number elsewhere in this process must not be dropped afterwards.
pub fn place_at(fd: BorrowedFd<'_>, number: RawFd) -> Result<(), Errno> {
    if fd.as_raw_fd() == number {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty());
    }
    // SAFETY: dup2 has no memory conditions; the child owns its descriptor table alone and ends
    // in execve or _exit, so no owner of `number` runs its destructor.
    if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Marks every descriptor from `first` up close-on-exec (close_range(2), Linux 5.11).
pub fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Lets a descriptor that was inherited survive execve(2) after all.
///
/// Only for a child about to execute a program, whose caller asked for this number.
pub fn keep_on_exec(number: RawFd) -> Result<(), Errno> {
    // SAFETY: F_SETFD has no memory conditions.
    if unsafe { libc::fcntl(number, libc::F_SETFD, 0) } < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Closes every descriptor from 3 up, save one (close_range(2), Linux 5.9).
///
/// Only for a child whose owners of those descriptors will never be dropped.
pub fn close_all_but_streams(keep: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    const FIRST: u32 = 3;
    let kept = keep.and_then(|fd| u32::try_from(fd.as_raw_fd()).ok());
    match kept {
        None => close_range(FIRST, u32::MAX, 0),
        Some(kept) => {
            if kept > FIRST {
                close_range(FIRST, kept - 1, 0)?;
            }
            close_range(kept.max(FIRST - 1) + 1, u32::MAX, 0)
        }
    }
}

/// Closes every descriptor from `first` up (close_range(2), Linux 5.9).
///
/// Only for a child whose owners of those descriptors will never be dropped.
pub fn close_from(first: u32) -> Result<(), Errno> {
    close_range(first, u32::MAX, 0)
}

/// Closes every descriptor save one, the three streams as well (close_range(2), Linux 5.9).
///
/// Only for a child of a clone, whose copies of their owners will never be dropped.
pub(crate) fn release_all_but(kept: BorrowedFd<'_>) -> Result<(), Errno> {
    let kept = u32::try_from(kept.as_raw_fd()).map_err(|_| Errno::BADF)?;
    if let Some(last) = kept.checked_sub(1) {
        close_range(0, last, 0)?;
    }
    close_range(kept + 1, u32::MAX, 0)
}

/// Closes one descriptor that another process holds as well (close_range(2), Linux 5.9).
///
/// Only for a child of a clone, whose copy of the owner will never be dropped.
pub fn release(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let number = u32::try_from(fd.as_raw_fd()).map_err(|_| Errno::BADF)?;
    close_range(number, number, 0)
}

fn close_range(first: u32, last: u32, flags: u32) -> Result<(), Errno> {
    // SAFETY: close_range has no memory conditions; see the callers for descriptor ownership.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Opens the object behind a descriptor anew through /proc/self/fd, with other flags.
pub fn reopen(fd: BorrowedFd<'_>, flags: rustix::fs::OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(
        path,
        flags | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
}

/// Takes ownership of a descriptor that this program was started with.
///
/// `None` when nothing is open at that number. Only at the start of `main`, once per number,
/// before anything else could own it. The descriptor becomes close-on-exec.
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: F_SETFD has no memory conditions.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: the descriptor is open (fcntl succeeded) and, at the start of a program, owned by
    // nobody; the caller asks for each number once.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

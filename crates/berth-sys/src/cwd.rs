//! getcwd(2) without allocating.

use rustix::io::Errno;

use crate::clone::last_errno;

/// The path of the working directory, as the kernel writes it: absolute, or beginning with
/// `(unreachable)` when it lies outside the process's root (Linux 2.6.36).
pub fn current_directory(buffer: &mut [u8]) -> Result<&[u8], Errno> {
    // The system call, not libc's wrapper, which hides an unreachable directory.
    // SAFETY: the kernel writes at most `buffer.len()` bytes into `buffer`.
    let length = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    if length < 0 {
        return Err(last_errno());
    }
    let length = usize::try_from(length).map_err(|_| Errno::OVERFLOW)?;
    // The length counts the terminating NUL.
    buffer
        .get(..length.saturating_sub(1))
        .ok_or(Errno::OVERFLOW)
}

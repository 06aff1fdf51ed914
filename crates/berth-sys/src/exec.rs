//! execve(2) and execveat(2) from vectors prepared beforehand.

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// A null-terminated array of C strings, made before a clone so that the child need not
/// allocate.
pub struct ArgVector {
    // Owns what `pointers` points to; a CString's heap buffer does not move with the CString.
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl ArgVector {
    /// Takes the strings of an argument vector or an environment.
    pub fn new(strings: Vec<CString>) -> Self {
        let mut pointers: Vec<*const c_char> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self {
            _strings: strings,
            pointers,
        }
    }
}

/// Replaces the program of this process (execve(2)). Returns only on failure.
pub fn execve(path: &CStr, argv: &ArgVector, envp: &ArgVector) -> Errno {
    // SAFETY: `path` is a C string; both arrays are null-terminated and their strings alive.
    unsafe {
        libc::execve(
            path.as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
        )
    };
    last_errno()
}

/// Replaces the program of this process by the file behind a descriptor (execveat(2) with
/// AT_EMPTY_PATH). Returns only on failure.
pub fn execve_at(file: BorrowedFd<'_>, argv: &ArgVector, envp: &ArgVector) -> Errno {
    // SAFETY: the descriptor is open, the path an empty C string; both arrays are
    // null-terminated and their strings alive.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last_errno()
}

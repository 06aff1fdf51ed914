//! seccomp(2): loading a compiled filter.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

/// Flags of SECCOMP_SET_MODE_FILTER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompFlags(pub u64);

impl SeccompFlags {
    /// SECCOMP_FILTER_FLAG_LOG.
    pub const LOG: u64 = 2;
    /// SECCOMP_FILTER_FLAG_SPEC_ALLOW.
    pub const SPEC_ALLOW: u64 = 4;
    /// SECCOMP_FILTER_FLAG_NEW_LISTENER (5.0).
    pub const NEW_LISTENER: u64 = 8;
}

/// Installs a BPF program as a seccomp filter of this process.
///
/// Needs CAP_SYS_ADMIN in the user namespace, or no_new_privs. Each instruction is a
/// `struct sock_filter` in native byte order.
///
/// With [`SeccompFlags::NEW_LISTENER`] the answer is the listener, at the lowest free number and
/// close-on-exec.
pub fn load_filter(program: &[[u8; 8]], flags: SeccompFlags) -> Result<Option<OwnedFd>, Errno> {
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    let length = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let header = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `header` names `length` instructions of 8 bytes in `program`, which outlives the
    // call; the kernel only reads them, byte-wise copied, so alignment does not matter.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            flags.0,
            &raw const header,
        )
    };
    if result < 0 {
        return Err(last_errno());
    }
    if flags.0 & SeccompFlags::NEW_LISTENER == 0 {
        return Ok(None);
    }
    let number = i32::try_from(result).map_err(|_| Errno::BADF)?;
    // SAFETY: with NEW_LISTENER the kernel answers with a fresh descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
}

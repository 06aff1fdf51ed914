//! seccomp(2): loading a compiled filter.

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
}

/// Installs a BPF program as a seccomp filter of this process.
///
/// Needs CAP_SYS_ADMIN in the user namespace, or no_new_privs. Each instruction is a
/// `struct sock_filter` in native byte order.
pub fn load_filter(program: &[[u8; 8]], flags: SeccompFlags) -> Result<(), Errno> {
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
        Err(last_errno())
    } else {
        Ok(())
    }
}

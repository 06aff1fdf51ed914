//! keyctl(2).

use rustix::io::Errno;

use crate::clone::last_errno;

/// Gives the process a fresh, anonymous session keyring (KEYCTL_JOIN_SESSION_KEYRING), so that
/// a container does not see the keys of whoever started it.
pub fn join_anonymous_session_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring; no memory is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

//! Taking an interface of the host into our network namespace.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

pub(super) fn take(socket: BorrowedFd<'_>, name: &CStr, inside: &CStr) -> Result<(), Errno> {
    berth_sys::net::take_interface(socket, name, inside)
}

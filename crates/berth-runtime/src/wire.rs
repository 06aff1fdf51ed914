//! The bytes between init, stage, monitor and keeper.
//!
//! All are SOCK_SEQPACKET socketpairs; the first byte of a packet is its kind. The peers are
//! our own forks, of one version, so the encoding is private.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// Stage to init: the id mappings are written.
pub(crate) const MAPPED: u8 = b'm';
/// Stage to init: execute the program.
pub(crate) const START: u8 = b'g';
/// Init to stage: everything is set up, waiting for [`START`].
pub(crate) const READY: u8 = b'r';
/// Init to stage, stage to monitor: carries the master of the terminal.
pub(crate) const TERMINAL: u8 = b't';
/// Init to stage: u32 step index, i32 errno.
pub(crate) const STEP_FAILED: u8 = b'f';
/// Init to stage: i32 errno of execve.
pub(crate) const EXEC_FAILED: u8 = b'e';
/// Stage to monitor: i32 PID of init; carries its pidfd.
pub(crate) const INIT: u8 = b'i';
/// Monitor to stage: init is known, go on.
pub(crate) const KNOWN: u8 = b'k';
/// Stage to monitor: the program runs.
pub(crate) const RUNNING: u8 = b'R';
/// Stage to monitor: a JSON failure.
pub(crate) const FAILED: u8 = b'F';
/// Monitor to keeper: everything is recorded, go away.
pub(crate) const DONE: u8 = b'd';

/// Sends a packet of one byte.
pub(crate) fn send_byte(socket: BorrowedFd<'_>, kind: u8) -> Result<(), Errno> {
    send(socket, &[kind], SendFlags::NOSIGNAL).map(drop)
}

/// Waits for a packet of one byte; ECONNRESET when the peer is gone.
pub(crate) fn await_byte(socket: BorrowedFd<'_>, kind: u8) -> Result<(), Errno> {
    let mut byte = [0u8; 1];
    loop {
        match recv(socket, &mut byte, RecvFlags::empty()) {
            Ok((1, _)) if byte == [kind] => return Ok(()),
            Ok((0, _)) => return Err(Errno::CONNRESET),
            Ok(_) => return Err(Errno::PROTO),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

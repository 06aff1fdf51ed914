//! The bytes between init, stage, monitor and keeper.
//!
//! All are SOCK_SEQPACKET socketpairs; the first byte of a packet is its kind. The peers are
//! our own forks, of one version, so the encoding is private.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use berth_base::protocol::Failure;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags,
    SocketType, recv, recvmsg, send, socketpair,
};
use rustix::process::Pid;

use crate::failure;
use crate::plan::{Program, Step};

/// Creator to init: you are in your cgroups.
pub(crate) const ENTERED: u8 = b'c';
/// Stage to init: the id mappings are written.
pub(crate) const MAPPED: u8 = b'm';
/// Stage to init: execute the program.
pub(crate) const START: u8 = b'g';
/// Init to stage: everything is set up, waiting for [`START`].
pub(crate) const READY: u8 = b'r';
/// Init to stage, stage to monitor: carries the master of the terminal.
pub(crate) const TERMINAL: u8 = b't';
/// Init to stage: the host's hooks may run now.
pub(crate) const HOOKS: u8 = b'h';
/// Stage to init: they have.
pub(crate) const HOOKED: u8 = b'H';
/// Init to stage or start command: point, index, how, i32 value, the end of the hook's output.
pub(crate) const HOOK_FAILED: u8 = b'x';
/// Init to the other side: i32, the number that its seccomp listener will have.
pub(crate) const LISTENER: u8 = b'l';
/// The other side to init: the listener is taken.
pub(crate) const TAKEN: u8 = b'L';
/// Init to stage: u32 step index, i32 errno.
pub(crate) const STEP_FAILED: u8 = b'f';
/// Init to stage: i32 errno of execve.
pub(crate) const EXEC_FAILED: u8 = b'e';
/// Stage to init: carries the root that the stage composed.
pub(crate) const ROOT: u8 = b'o';
/// Stage to monitor: i32 PID of init; carries its pidfd.
pub(crate) const INIT: u8 = b'i';
/// Monitor to stage: init is known, go on.
pub(crate) const KNOWN: u8 = b'k';
/// Stage to its parent: the steps of the process in words, one a line.
pub(crate) const STEPS: u8 = b's';
/// Stage to its parent: something that is left out, in words.
pub(crate) const WARNING: u8 = b'w';
/// Stage to monitor: the program runs.
pub(crate) const RUNNING: u8 = b'R';
/// Stage to monitor: a JSON failure.
pub(crate) const FAILED: u8 = b'F';
/// Monitor to keeper: everything is recorded, go away. Stage to its creator: all went well.
pub(crate) const DONE: u8 = b'd';
/// Monitor to keeper: the container has ended, close its ports. The answer: they are closed.
pub(crate) const RELEASE: u8 = b'p';
/// Usher to stage, with a pidfd: the warden of the program that carries the container's packets.
pub(crate) const WARDEN: u8 = b'W';

/// A pair of connected sockets that keep packets apart.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Sets O_NONBLOCK.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK)
}

/// Sends a packet of one byte.
pub(crate) fn send_byte(socket: BorrowedFd<'_>, kind: u8) -> Result<(), Errno> {
    send(socket, &[kind], SendFlags::NOSIGNAL).map(drop)
}

/// Says why it failed, in a packet that whoever uses [`receive`] gets whole.
pub(crate) fn send_failure(socket: BorrowedFd<'_>, failure: Failure) -> Result<(), Errno> {
    let mut packet = vec![FAILED];
    packet.extend(failure::encode_within(failure, MAX_PACKET - 1));
    send(socket, &packet, SendFlags::NOSIGNAL).map(drop)
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

/// The longest packet on these connections: a failure in words.
const MAX_PACKET: usize = 4096;

/// A received packet: its bytes, how many count, and the descriptor that came along.
pub(crate) type Received = ([u8; MAX_PACKET], usize, Option<OwnedFd>);

/// Receives one packet; a length of 0 means that the peer has closed.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> Result<Received, Errno> {
    let mut packet = [0u8; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        let mut parts = [IoSliceMut::new(&mut packet)];
        match recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => break message.bytes,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => break 0,
            Err(error) => return Err(error),
        }
    };
    let mut descriptor = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptor = descriptors.last();
        }
    }
    Ok((packet, length, descriptor))
}

/// Waits for a packet of one byte and a descriptor; allocates nothing.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> Result<(u8, OwnedFd), Errno> {
    let (packet, length, descriptor) = receive(socket)?;
    match (packet.first(), length, descriptor) {
        (Some(kind), 1, Some(descriptor)) => Ok((*kind, descriptor)),
        (_, 0, _) => Err(Errno::CONNRESET),
        _ => Err(Errno::PROTO),
    }
}

/// Receives one packet that has already arrived; EAGAIN when none has.
pub(crate) fn receive_now(socket: &OwnedFd) -> Result<([u8; 16], usize), Errno> {
    let mut packet = [0u8; 16];
    let (length, _) = recv(socket, &mut packet, RecvFlags::DONTWAIT)?;
    Ok((packet, length))
}

/// The PID behind a pidfd, as this PID namespace counts it (fdinfo's `Pid:`).
pub(crate) fn pid_of(pidfd: &OwnedFd) -> Option<Pid> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    // by path: procfs of the host
    let text = std::fs::read_to_string(path).ok()?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    // -1 once it was reaped, 0 where it lives in no namespace of ours.
    let number: i32 = number.trim().parse().ok().filter(|pid| *pid > 0)?;
    Pid::from_raw(number)
}

/// Puts a failure that init reported into words.
pub(crate) fn explain(kind: u8, payload: &[u8], steps: &[Step], program: &Program) -> Failure {
    let errno = |bytes: Option<&[u8; 4]>| {
        Errno::from_raw_os_error(i32::from_le_bytes(bytes.copied().unwrap_or([22, 0, 0, 0])))
    };
    match kind {
        EXEC_FAILED => failure::exec(program, errno(payload.first_chunk())),
        _ => {
            let index = payload.first_chunk().map(|b| u32::from_le_bytes(*b));
            let step = index
                .and_then(|i| usize::try_from(i).ok())
                .and_then(|i| steps.get(i));
            let errno = errno(payload.last_chunk());
            match step {
                Some(Step::FindProgram) => failure::exec(program, errno),
                _ => failure::step(step, errno),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_base::ErrorClass;
    use rustix::process::{PidfdFlags, pidfd_open};
    use std::os::fd::AsFd;

    #[test]
    fn a_failure_is_received_whole_however_long_it_is() {
        let (ours, theirs) = pair().unwrap();
        for message in ["short".to_owned(), "\u{1}\u{e9}".repeat(20_000)] {
            let failure = failure::engine(ErrorClass::Invalid, message.clone());
            send_failure(ours.as_fd(), failure).unwrap();
            let (packet, length, _) = receive(theirs.as_fd()).unwrap();
            let received: Failure = serde_json::from_slice(&packet[1..length]).unwrap();
            let beginning = received.message.trim_end_matches('.');
            assert!(message.starts_with(beginning) && !beginning.is_empty());
            assert_eq!(received.exit_code, 125);
        }
    }

    #[test]
    fn a_reaped_process_has_no_pid() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        assert_eq!(pid_of(&pidfd), Some(pid));
        child.wait().unwrap();
        assert_eq!(pid_of(&pidfd), None);
    }
}

//! The packets between a monitor and its clients.
//!
//! The monitor listens on `monitor.sock` (SOCK_SEQPACKET, mode 0600, peer credentials checked).
//! A packet is one type byte and its payload, at most [`MAX_PACKET`] bytes; numbers are
//! little-endian. A connection begins with [`CLIENT_HELLO`] and is answered [`MONITOR_HELLO`]; the
//! launch connection, a socketpair the keeper inherits, skips the hello.
//!
//! Terminal output and standard output share [`STDOUT`].
//!
//! # Versions
//!
//! A monitor lives as long as its container, so a client meets monitors of earlier and of later
//! builds. A client says the newest version that it speaks; the monitor answers the lower one of
//! that and its own, and both speak what was answered.
//!
//! | Version | Has |
//! |---|---|
//! | 1 | everything that does not name another version. Its monitors speak to clients of version 1 alone: they answer 1 and close, and the client connects again |
//! | 2 | [`SKIPPED`]; sessions that end with their client, and are kept on record in files (`SessionFile`) |
//! | 3 | a client names the session that it asks for: its id stands in the request |
//! | 4 | [`EXEC_FILE`]: a request that is longer than a packet |

/// The newest version of this protocol, the payload (u16) of the client's hello.
pub const VERSION: u16 = 4;
/// The version that every monitor and every client speaks.
pub const FIRST_VERSION: u16 = 1;
/// The first version whose monitors keep sessions on record and can end them with their client.
pub const SESSIONS_SINCE: u16 = 2;
/// The first version whose monitors take the id of a session from the client.
pub const SESSION_IDS_SINCE: u16 = 3;
/// The first version that has [`EXEC_FILE`].
pub const EXEC_FILES_SINCE: u16 = 4;
/// The first version that has [`SKIPPED`].
pub const SKIPPED_SINCE: u16 = 2;
/// The longest packet, type byte included.
pub const MAX_PACKET: usize = 32 * 1024 + 1;
/// The longest request in a file. execve(2) takes 6 MiB of arguments and environment at most, which
/// are up to six times as long in JSON (`\u001b`); the rest is for what else a request says.
pub const MAX_EXEC_FILE: u64 = 40 << 20;

/// Client: u16 version.
pub const CLIENT_HELLO: u8 = b'h';
/// Client: attach to the first process; payload is one byte of [`attach`] flags.
pub const ATTACH: u8 = b'a';
/// Client: bytes for standard input.
pub const STDIN: u8 = b'i';
/// Client: end of standard input.
pub const STDIN_EOF: u8 = b'e';
/// Client: u16 rows, u16 columns.
pub const RESIZE: u8 = b'w';
/// Client: one byte, a signal for the process this connection is bound to.
pub const SIGNAL: u8 = b's';
/// Client: start an exec session; the payload is a JSON `ExecRequest`. The connection is then
/// bound to that session.
pub const EXEC: u8 = b'x';
/// Client: as [`EXEC`], but the request is the content of a memory file that comes along
/// (SCM_RIGHTS), sealed against writing, growing and shrinking, of at most [`MAX_EXEC_FILE`] bytes.
/// No payload. From version 4 on.
pub const EXEC_FILE: u8 = b'f';

/// Monitor: u16 version.
pub const MONITOR_HELLO: u8 = b'H';
/// Monitor: the process runs; u32 host PID.
pub const STARTED: u8 = b'S';
/// Monitor: bytes of standard output, or of the terminal.
pub const STDOUT: u8 = b'o';
/// Monitor: bytes of standard error.
pub const STDERR: u8 = b'r';
/// Monitor: u64, so many bytes of output were left out here, since this client did not take them
/// in time while others did. From version 2 on.
pub const SKIPPED: u8 = b'k';
/// Monitor: the process ended; one byte how (0 code, 1 signal, 2 unknown), one byte value. After
/// the last output.
pub const EXITED: u8 = b'X';
/// Monitor: the request failed; the payload is a JSON [`Failure`].
pub const FAILED: u8 = b'E';

/// Flags of [`ATTACH`].
pub mod attach {
    /// Send standard input.
    pub const STDIN: u8 = 1;
    /// Receive output.
    pub const OUTPUT: u8 = 2;
    /// It is the client that began the process, and lost its monitor since. From version 2 on.
    pub const OWNER: u8 = 4;
}

use serde::{Deserialize, Serialize};

use crate::ErrorClass;
use crate::state::ExitOutcome;

/// Why a start or an exec failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub class: ErrorClass,
    /// One line: what failed, on which object, why, what to do next.
    pub message: String,
    /// The exit code of `run` and `exec`: 125 engine, 126 not executable, 127 not found.
    pub exit_code: u8,
}

/// Encodes the payload of [`EXITED`].
pub const fn encode_outcome(outcome: ExitOutcome) -> [u8; 2] {
    match outcome {
        ExitOutcome::Code(code) => [0, code],
        ExitOutcome::Signal(signal) => [1, signal],
        ExitOutcome::Unknown => [2, 0],
    }
}

/// Decodes the payload of [`EXITED`].
pub const fn decode_outcome(payload: &[u8]) -> ExitOutcome {
    match payload {
        [0, code, ..] => ExitOutcome::Code(*code),
        [1, signal, ..] => ExitOutcome::Signal(*signal),
        _ => ExitOutcome::Unknown,
    }
}

/// The version that two sides speak who know these; `None` where there is none.
pub fn agree(client: u16, monitor: u16) -> Option<u16> {
    let lower = client.min(monitor);
    (lower >= FIRST_VERSION).then_some(lower)
}

/// Encodes the payload of [`RESIZE`].
pub const fn encode_size(rows: u16, columns: u16) -> [u8; 4] {
    let [r0, r1] = rows.to_le_bytes();
    let [c0, c1] = columns.to_le_bytes();
    [r0, r1, c0, c1]
}

/// Decodes the payload of [`RESIZE`]: rows, columns.
pub const fn decode_size(payload: &[u8]) -> Option<(u16, u16)> {
    match payload {
        [r0, r1, c0, c1] => Some((
            u16::from_le_bytes([*r0, *r1]),
            u16::from_le_bytes([*c0, *c1]),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_version_is_spoken() {
        assert_eq!(agree(1, 2), Some(1));
        assert_eq!(agree(2, 1), Some(1));
        assert_eq!(agree(9, 2), Some(2));
        assert_eq!(agree(0, 2), None);
    }

    /// What is on the wire is forever: a monitor of any build must be understood.
    #[test]
    fn the_bytes_of_version_1_stay() {
        let kinds = [
            CLIENT_HELLO,
            ATTACH,
            STDIN,
            STDIN_EOF,
            RESIZE,
            SIGNAL,
            EXEC,
            MONITOR_HELLO,
            STARTED,
            STDOUT,
            STDERR,
            EXITED,
            FAILED,
        ];
        assert_eq!(&kinds, b"haiewsxHSorXE");
        assert_eq!((EXEC_FILE, SKIPPED), (b'f', b'k'), "of later versions");
        assert_eq!(MAX_PACKET, 32769);
        assert_eq!((attach::STDIN, attach::OUTPUT), (1, 2));
        assert_eq!(encode_size(24, 80), [24, 0, 80, 0]);
        assert_eq!(encode_outcome(ExitOutcome::Code(7)), [0, 7]);
        assert_eq!(encode_outcome(ExitOutcome::Signal(9)), [1, 9]);
    }
}

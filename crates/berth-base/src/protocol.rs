//! The packets between a monitor and its clients.
//!
//! The monitor listens on `monitor.sock` (SOCK_SEQPACKET, mode 0600, peer credentials checked).
//! A packet is one type byte and its payload, at most [`MAX_PACKET`] bytes; numbers are
//! little-endian. A connection begins with [`CLIENT_HELLO`] and is answered [`MONITOR_HELLO`]; the
//! launch connection, a socketpair the keeper inherits, skips the hello.
//!
//! Terminal output and standard output share [`STDOUT`].

/// The version of this protocol, the payload (u16) of both hellos.
pub const VERSION: u16 = 1;
/// The longest packet, type byte included.
pub const MAX_PACKET: usize = 32 * 1024 + 1;

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

/// Monitor: u16 version.
pub const MONITOR_HELLO: u8 = b'H';
/// Monitor: the process runs; u32 host PID.
pub const STARTED: u8 = b'S';
/// Monitor: bytes of standard output, or of the terminal.
pub const STDOUT: u8 = b'o';
/// Monitor: bytes of standard error.
pub const STDERR: u8 = b'r';
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

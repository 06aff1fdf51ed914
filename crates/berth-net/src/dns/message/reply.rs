//! What another server said.

use super::{HEAD, flag, number};

/// What became of a query that was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Not the answer to it: a late one, or one that somebody made up. The wait goes on.
    Foreign,
    /// The server could not, or would not: the next one is asked.
    Failed,
    /// A part of the answer; the whole by TCP. `empty`: not even one record.
    Truncated {
        /// Whether it has no records at all.
        empty: bool,
    },
    /// The answer, whatever it says.
    Answer,
}

const FORM_ERR: u16 = 1;
const SERV_FAIL: u16 = 2;
const NOT_IMP: u16 = 4;
const REFUSED: u16 = 5;

/// Judges a packet that came from the server that was asked, by the query's number and its
/// question: `question` is the packet from the head's end to the question's.
pub(crate) fn judge(packet: &[u8], id: u16, question: &[u8]) -> Heard {
    let heads = (number(packet, 0), number(packet, 2), number(packet, 4));
    let (Some(found), Some(flags), Some(questions)) = heads else {
        return Heard::Foreign;
    };
    let is_answer = flags & (flag::RESPONSE | flag::OPCODE) == flag::RESPONSE;
    if found != id || !is_answer || packet.len() < HEAD {
        return Heard::Foreign;
    }
    let code = flags & flag::CODE;
    if questions == 0 {
        // Servers that cannot read a query repeat nothing of it.
        return match code {
            FORM_ERR | SERV_FAIL | NOT_IMP | REFUSED => Heard::Failed,
            _ => Heard::Foreign,
        };
    }
    let repeated = packet.get(HEAD..HEAD + question.len());
    if questions != 1 || !repeated.is_some_and(|repeated| is_same(repeated, question)) {
        return Heard::Foreign;
    }
    match code {
        SERV_FAIL | REFUSED => Heard::Failed,
        _ if flags & flag::TRUNCATED != 0 => Heard::Truncated {
            empty: number(packet, 6) == Some(0),
        },
        _ => Heard::Answer,
    }
}

/// Compares questions: names without regard to case, type and class as they are.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let split = b.len().saturating_sub(4);
    match (a.split_at_checked(split), b.split_at_checked(split)) {
        (Some((a_name, a_rest)), Some((b_name, b_rest))) => {
            a_name.eq_ignore_ascii_case(b_name) && a_rest == b_rest
        }
        _ => false,
    }
}

//! A secret typed at the terminal, and not shown.

use std::io::{self, Read, Write};

use berth_base::ErrorClass;

use super::RawMode;
use crate::cli::failure::Failure;

/// What a typed byte does to the line.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    More,
    Done,
    Interrupted,
}

/// Asks on standard error and reads a line from standard input's terminal without echo. Ctrl-C
/// and Ctrl-\ give up; the terminal is as before in any case.
pub(crate) fn read_secret(question: &str) -> Result<String, Failure> {
    let mut stderr = io::stderr();
    let raw = RawMode::enter()?;
    // Where the question cannot be shown, the answer may come all the same.
    drop(write!(stderr, "{question}").and_then(|()| stderr.flush()));
    let read = read_line();
    drop(raw);
    drop(writeln!(stderr));
    let bytes = read?;
    String::from_utf8(bytes).map_err(|_| Failure::usage("the password is not UTF-8"))
}

fn read_line() -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().bytes() {
        let byte = byte.map_err(|error| {
            let text = format!("cannot read the terminal: {error}");
            Failure::new(ErrorClass::Unavailable, text)
        })?;
        match take(&mut line, byte) {
            Typed::More => {}
            Typed::Done => break,
            Typed::Interrupted => {
                return Err(Failure::new(ErrorClass::Unavailable, "interrupted"));
            }
        }
    }
    Ok(line)
}

fn take(line: &mut Vec<u8>, byte: u8) -> Typed {
    match byte {
        b'\r' | b'\n' | 0x04 => return Typed::Done,
        0x03 | 0x1c => return Typed::Interrupted,
        // Backspace takes a whole character: its continuation bytes first.
        0x08 | 0x7f => while line.pop().is_some_and(|b| b & 0xc0 == 0x80) {},
        0x15 => line.clear(),
        byte => line.push(byte),
    }
    Typed::More
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let mut line = Vec::new();
        for byte in "a\u{15}pa\u{e4}\u{7f}s".bytes() {
            assert_eq!(take(&mut line, byte), Typed::More);
        }
        assert_eq!(line, b"pas");
        assert_eq!(take(&mut line, b'\r'), Typed::Done);
        assert_eq!(take(&mut line, 3), Typed::Interrupted);
    }
}

//! A document as text that is safe on a terminal.

use std::borrow::Cow;
use std::io::{self, Write as _};

use berth_base::escape_untrusted;
use serde::Serialize;

/// How a document is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On one line.
    Compact,
    /// Indented by two.
    Indented,
}

/// A document as JSON; see [`write`].
pub fn to_text<T: Serialize>(document: &T, layout: Layout) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    write(document, layout, &mut bytes)?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Writes a document as JSON, without an end of line.
///
/// Characters that can steer a terminal or reorder text (names come from containers) are written
/// as `\uNNNN`, which a JSON reader turns back: nothing is lost.
pub fn write<T: Serialize>(
    document: &T,
    layout: Layout,
    output: impl io::Write,
) -> Result<(), serde_json::Error> {
    let mut tame = Tame {
        output,
        pending: Vec::with_capacity(PENDING),
    };
    match layout {
        Layout::Compact => serde_json::to_writer(&mut tame, document),
        Layout::Indented => serde_json::to_writer_pretty(&mut tame, document),
    }?;
    tame.flush().map_err(serde_json::Error::io)
}

/// Bytes that are looked at in one go.
const PENDING: usize = 16 * 1024;

/// Replaces hostile characters on their way out. They can stand inside strings only, where
/// serde_json has escaped those below U+0020; line breaks are the layout's own.
struct Tame<W> {
    output: W,
    /// Whole characters: serde_json cuts strings at characters that it escapes. Most pieces that it
    /// writes are of one byte, so that they are not looked at one by one.
    pending: Vec<u8>,
}

impl<W: io::Write> io::Write for Tame<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.pending.len() + bytes.len() > PENDING {
            self.flush()?;
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// Hands on what is pending, and does not flush what is behind.
    fn flush(&mut self) -> io::Result<()> {
        if self.pending.iter().all(|byte| *byte < 0x7f) {
            self.output.write_all(&self.pending)?;
        } else {
            let text = str::from_utf8(&self.pending).map_err(io::Error::other)?;
            self.output.write_all(escape_hostile(text).as_bytes())?;
        }
        self.pending.clear();
        Ok(())
    }
}

fn escape_hostile(text: &str) -> String {
    let hostile = |c: char| {
        (!c.is_ascii() || c == '\x7f')
            && matches!(escape_untrusted(c.encode_utf8(&mut [0; 4])), Cow::Owned(_))
    };
    let mut safe = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if !hostile(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            safe.push_str(&format!("\\u{unit:04x}"));
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_come_back_unchanged() {
        let long = "日".repeat(PENDING);
        let names = [
            long.as_str(),
            "\x1b[2J\u{9b}1m\x7f",
            "\u{202e}gpj.\u{2028}",
            "日本 \"q\" \\ <b>",
        ];
        for layout in [Layout::Compact, Layout::Indented] {
            let text = to_text(&names, layout).unwrap();
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
            assert!(!text.contains('\u{202e}') && !text.contains('\u{2028}'));
            let back: Vec<String> = serde_json::from_str(&text).unwrap();
            assert_eq!(back, names);
        }
    }
}

//! Escaping of text that a container controls.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes text that a container controls (comm, argv, labels) for a terminal.
///
/// Control characters (C0, DEL, C1), bidirectional overrides and line separators become
/// `\xNN` or `\u{N}`; everything else passes unchanged. The result never holds an escape
/// sequence, a line break or a character that reorders its neighbours.
pub fn escape_untrusted(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_hostile(c) {
            escaped.push(c);
            continue;
        }
        // Writing to a String cannot fail.
        match c {
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            c if (c as u32) < 0x100 => drop(write!(escaped, "\\x{:02x}", c as u32)),
            c => drop(write!(escaped, "\\u{{{:x}}}", c as u32)),
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character can steer a terminal or reorder the text around it.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(
            escape_untrusted("nginx: worker ü"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn escape_sequences_are_spelled_out() {
        assert_eq!(escape_untrusted("a\x1b[31mb\n"), "a\\x1b[31mb\\n");
        assert_eq!(escape_untrusted("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(escape_untrusted("\u{9b}2J"), "\\x9b2J");
    }
}

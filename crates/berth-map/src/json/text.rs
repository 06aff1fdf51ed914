//! A document as text that is safe on a terminal.

use std::borrow::Cow;

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

/// Writes a document as JSON.
///
/// Characters that can steer a terminal or reorder text (names come from containers) are written
/// as `\uNNNN`, which a JSON reader turns back: nothing is lost.
pub fn to_text<T: Serialize>(document: &T, layout: Layout) -> Result<String, serde_json::Error> {
    let text = match layout {
        Layout::Compact => serde_json::to_string(document),
        Layout::Indented => serde_json::to_string_pretty(document),
    }?;
    Ok(escape_hostile(text))
}

/// Replaces hostile characters. They can stand inside strings only, where serde_json has escaped
/// those below U+0020; line breaks are the layout's own.
fn escape_hostile(text: String) -> String {
    if text.is_ascii() && !text.contains('\x7f') {
        return text;
    }
    let hostile = |c: char| {
        (!c.is_ascii() || c == '\x7f')
            && matches!(escape_untrusted(c.encode_utf8(&mut [0; 4])), Cow::Owned(_))
    };
    if !text.chars().any(hostile) {
        return text;
    }
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
        let names = [
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

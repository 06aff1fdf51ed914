//! Text in XML and HTML.

use std::fmt::Write as _;

use berth_base::escape_untrusted;

/// Appends a text so that it is text to a reader of XML or HTML, in an element as in a quoted
/// attribute, and shows what could steer or reorder it.
///
/// Beyond control characters XML 1.0 forbids U+FFFE and U+FFFF (section 2.2).
pub fn push_text(out: &mut String, text: &str) {
    for c in escape_untrusted(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Writing to a String cannot fail.
            '\u{fffe}' | '\u{ffff}' => drop(write!(out, "\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_markup() {
        let mut out = String::new();
        push_text(&mut out, "</text><script>'\"&\x1b\u{202e}\u{ffff}\0");
        assert_eq!(
            out,
            "&lt;/text&gt;&lt;script&gt;&#39;&quot;&amp;\\x1b\\u{202e}\\u{ffff}\\x00"
        );
    }
}

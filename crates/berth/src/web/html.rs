//! Text as HTML.

use std::fmt::Write as _;

use berth_base::escape_untrusted;
use berth_map::svg::{Mood, Tint, Word};

/// Appends a text so that it is text in an element and in a quoted attribute, whatever it holds.
pub(super) fn push_text(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// The same for a text that may steer or reorder what is around it: such characters are shown.
pub(super) fn push_untrusted(out: &mut String, text: &str) {
    push_text(out, &escape_untrusted(text));
}

/// Writing to a String cannot fail.
pub(super) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

/// Words, each an element of its mood.
pub(super) fn push_words(out: &mut String, words: &[Word]) {
    for word in words {
        let mood = match word.mood {
            Mood::Plain => "plain",
            Mood::Faint => "faint",
            Mood::Alarm => "alarm",
            Mood::Count => "count",
        };
        put(out, format_args!("<span class=\"{mood}\">"));
        push_text(out, &word.text);
        out.push_str("</span>");
    }
}

/// The colour of a level, whatever boxes stand for: that of the PID lens.
pub(super) fn level_tint(level: usize) -> Tint {
    match level.checked_sub(1) {
        None => Tint::Host,
        Some(level) => Tint::Box(level % 6),
    }
}

/// A PID in the colour of its level.
pub(super) fn push_pid(out: &mut String, level: usize, pid: u32, class: &str) {
    let hue = tint(level_tint(level));
    put(out, format_args!("<b class=\"{hue}{class}\">{pid}</b>"));
}

/// The class of a tint: the words of the SVG picture.
pub(super) fn tint(tint: Tint) -> &'static str {
    match tint {
        Tint::Host => "h",
        Tint::Box(0) => "t0",
        Tint::Box(1) => "t1",
        Tint::Box(2) => "t2",
        Tint::Box(3) => "t3",
        Tint::Box(4) => "t4",
        Tint::Box(_) => "t5",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_markup() {
        let mut out = String::new();
        push_untrusted(&mut out, "</b><script>'\"&\x1b\u{202e}");
        assert_eq!(
            out,
            "&lt;/b&gt;&lt;script&gt;&#39;&quot;&amp;\\x1b\\u{202e}"
        );
    }
}

//! Text as HTML.

use std::fmt::Write as _;

use berth_map::svg::{Mood, Tint, Word, push_text};

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
    let hue = level_tint(level).as_str();
    put(out, format_args!("<b class=\"{hue}{class}\">{pid}</b>"));
}

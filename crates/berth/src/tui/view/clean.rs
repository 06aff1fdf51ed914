//! The last look at the cells: nothing that a terminal would draw otherwise than we think.

use berth_map::draw::Style;
use ratatui_core::buffer::Buffer;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The most characters of one cell: a base and two marks.
const MOST_MARKS: usize = 3;

/// Replaces what terminals disagree about, and what this one does not know.
pub(super) fn clean(buffer: &mut Buffer, characters: Style) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if symbol.len() <= 1 && !symbol.starts_with(char::is_control) {
            continue;
        }
        let first = symbol.chars().next().unwrap_or('?');
        let is_unknown = match characters {
            Style::Ascii => !symbol.is_ascii(),
            Style::Unicode => is_ambiguous(first) || first.width() != Some(symbol.width()),
        };
        if is_unknown || first.is_control() {
            cell.set_symbol("?");
        } else if symbol.len() > first.len_utf8() {
            let marks = symbol.chars().skip(1).filter(|c| is_mark(*c));
            let kept: String = std::iter::once(first)
                .chain(marks)
                .take(MOST_MARKS)
                .collect();
            cell.set_symbol(&kept);
        }
    }
}

/// Marks that every terminal puts above or below what is before: those of Latin, Greek and
/// Cyrillic. Others are left out; what they stand on stays.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Characters that are one wide or two, or join their neighbours, as the terminal likes: flags,
/// skin tones, variation selectors, tags, Hangul that is composed, private use.
fn is_ambiguous(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{1f1e6}'..='\u{1f1ff}'
        | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{10ffff}')
}

//! The last look at the cells: nothing that a terminal would draw otherwise than we think.

use berth_map::draw::Style;
use ratatui_core::buffer::Buffer;

/// The most characters of one cell: a base and a few marks.
const MOST_MARKS: usize = 3;

/// Replaces what terminals disagree about, and what this one does not know.
pub(super) fn clean(buffer: &mut Buffer, characters: Style) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if symbol.len() <= 1 && !symbol.starts_with(char::is_control) {
            continue;
        }
        let is_unknown = match characters {
            Style::Ascii => !symbol.is_ascii(),
            Style::Unicode => symbol.chars().any(is_ambiguous),
        };
        if is_unknown || symbol.chars().any(char::is_control) {
            cell.set_symbol("?");
        } else if symbol.chars().count() > MOST_MARKS {
            let kept: String = symbol.chars().take(MOST_MARKS).collect();
            cell.set_symbol(&kept);
        }
    }
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

//! The pane with details of the chosen line.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::brush::Brush;
use crate::tui::state::{LineKey, State};
use crate::tui::theme::Theme;
use crate::tui::words::{self, Fact, Weight};

/// Cells of the names.
const NAME: usize = 10;

/// Words of one line, and how they are meant.
type Words<'f> = Vec<(&'f str, Weight)>;

/// Paints it, with a line at its edge.
pub(super) fn paint(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let inner = paint_edge(state, theme, area, buffer);
    let facts = words::describe(state);
    let room = usize::from(inner.width).saturating_sub(NAME).max(1);
    let lines: Vec<(&str, Words)> = facts.iter().flat_map(|fact| wrap(fact, room)).collect();
    let most = lines.len().saturating_sub(usize::from(inner.height));
    let top = usize::from(state.details_top).min(most);
    let rows = inner.y..inner.y + inner.height;
    for (y, (name, words)) in rows.zip(lines.iter().skip(top)) {
        let row = Rect {
            y,
            height: 1,
            ..inner
        };
        let mut brush = Brush::new(buffer, row, theme);
        brush.text(&format!("{name:<NAME$}"), theme.faint());
        for (at, (text, weight)) in words.iter().enumerate() {
            // A blank at the end needs no room.
            let is_last = at + 1 == words.len();
            let text = if is_last { text.trim_end() } else { text };
            let style = match weight {
                Weight::Plain => Style::new(),
                Weight::Strong => theme.strong(),
                Weight::Faint => theme.faint(),
                Weight::Alarm => theme.alarm(),
            };
            brush.text(text, style);
        }
    }
}

/// The lines of a fact, broken at blanks where one is too short for it.
fn wrap(fact: &Fact, room: usize) -> Vec<(&str, Words<'_>)> {
    let mut lines: Vec<(&str, Words)> = vec![(fact.name, Vec::new())];
    let mut used = 0;
    for (text, weight) in &fact.words {
        for word in text.split_inclusive(' ') {
            let needed = word.trim_end().width();
            if used > 0 && used + needed > room {
                lines.push(("", Vec::new()));
                used = 0;
            }
            used += word.width();
            if let Some((_, words)) = lines.last_mut() {
                words.push((word, *weight));
            }
        }
    }
    lines
}

/// Draws the edge towards the tree; what is left. Beside the tree it is on the left, below it on
/// top.
fn paint_edge(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) -> Rect {
    let is_beside = area.x > 0;
    let title = match state.tree.chosen().map(|line| &line.key) {
        Some(LineKey::Top(..)) => " box ",
        _ => " details ",
    };
    if is_beside {
        for y in area.y..area.y + area.height {
            let cell = Rect {
                y,
                width: 1,
                height: 1,
                ..area
            };
            Brush::new(buffer, cell, theme).fill(theme.either("│", "|"), theme.frame());
        }
        return Rect {
            x: area.x + 2,
            width: area.width.saturating_sub(2),
            ..area
        };
    }
    let mut brush = Brush::new(buffer, area, theme);
    brush.text(theme.either("──", "--"), theme.frame());
    brush.text(title, theme.strong());
    brush.fill(theme.either("─", "-"), theme.frame());
    Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(1),
        height: area.height.saturating_sub(1),
    }
}

//! The pane with details of the chosen line.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::brush::Brush;
use crate::tui::state::{LineKey, State};
use crate::tui::theme::Theme;
use crate::tui::words::{self, Fact, Weight};

/// Paints it, with a line at its edge.
pub(super) fn paint(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let inner = paint_edge(state, theme, area, buffer);
    let facts = words::describe(state);
    let top = usize::from(state.details_top);
    let most = facts.len().saturating_sub(usize::from(inner.height));
    let rows = inner.y..inner.y + inner.height;
    for (y, fact) in rows.zip(facts.iter().skip(top.min(most))) {
        let row = Rect {
            y,
            height: 1,
            ..inner
        };
        paint_fact(fact, theme, row, buffer);
    }
}

fn paint_fact(fact: &Fact, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut brush = Brush::new(buffer, area, theme);
    brush.text(&format!("{:<9}", fact.name), theme.faint());
    for (text, weight) in &fact.words {
        let style = match weight {
            Weight::Plain => ratatui_core::style::Style::new(),
            Weight::Strong => theme.strong(),
            Weight::Faint => theme.faint(),
            Weight::Alarm => theme.alarm(),
        };
        brush.text(text, style);
    }
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

//! Paints the state into a grid of cells. Pure.
//!
//! Only what the window shows is painted, so a screen costs the same whatever the host runs. Text
//! of containers has been escaped where it was worded; [`clean`] makes sure of what a terminal
//! would draw with another width than ours.

mod bars;
mod brush;
mod clean;
mod details;
mod panels;
mod timeline;
mod tree;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::layout::LEAST;
use super::state::{Panel, State};
use super::theme::Theme;
use brush::Brush;
pub(crate) use panels::{help_lines, help_window};

/// Paints everything.
pub(crate) fn paint(state: &State, theme: Theme, buffer: &mut Buffer) {
    match state.layout {
        Some(layout) => {
            bars::paint_bar(state, theme, layout.bar, buffer);
            tree::paint_head(state, theme, layout.head, buffer);
            tree::paint(state, theme, layout.tree, buffer);
            if let Some(area) = layout.details {
                details::paint(state, theme, area, buffer);
            }
            if let Some(area) = layout.notes {
                bars::paint_notes(state, theme, area, buffer);
            }
            if let Some(area) = layout.timeline {
                timeline::paint(state, theme, area, buffer);
            }
            bars::paint_foot(state, theme, layout.foot, buffer);
            match &state.panel {
                Panel::None | Panel::Filter { .. } => {}
                Panel::Search {
                    matches, chosen, ..
                } => panels::paint_matches(matches, *chosen, theme, layout.tree, buffer),
                Panel::Help { top } => panels::paint_help(state, *top, theme, buffer.area, buffer),
            }
        }
        None => paint_too_small(theme, buffer.area, buffer),
    }
    clean::clean(buffer, theme.characters);
}

fn paint_too_small(theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (width, height) = LEAST;
    let lines = [
        "too small".to_owned(),
        format!("{}x{}, needs {width}x{height}", area.width, area.height),
    ];
    for (at, line) in (0..area.height).zip(&lines) {
        let row = Rect {
            y: area.y + at,
            height: 1,
            ..area
        };
        Brush::new(buffer, row, theme).text(line, theme.strong());
    }
}

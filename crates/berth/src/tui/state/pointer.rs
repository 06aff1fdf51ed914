//! What the mouse does.

use ratatui_core::layout::{Position, Rect};

use super::{Action, Clock, LineKey, Panel, State};
use crate::tui::input::Pointer;
use crate::tui::layout::timeline_columns;

impl State {
    pub(super) fn click(&mut self, pointer: Pointer) -> Action {
        let Some(layout) = self.layout else {
            return Action::Paint;
        };
        match self.panel {
            Panel::Help { .. } => {
                self.panel = Panel::None;
                return Action::Paint;
            }
            Panel::Search { .. } | Panel::Filter { .. } | Panel::None => {}
        }
        if is_in(layout.tree, pointer) {
            self.panel = Panel::None;
            let before = self.tree.chosen().map(|line| line.key.clone());
            if self
                .tree
                .choose_row(usize::from(pointer.row - layout.tree.y))
            {
                let now = self.tree.chosen().map(|line| line.key.clone());
                // A box folds at once, anything else at a second click.
                if before == now || matches!(now, Some(LineKey::Top(..))) {
                    self.tree.toggle();
                }
                self.details_top = 0;
            }
        }
        self.seek(pointer);
        Action::Paint
    }

    pub(super) fn drag(&mut self, pointer: Pointer) -> Action {
        self.seek(pointer);
        Action::Paint
    }

    /// Goes to the moment that a place of the timeline stands for.
    fn seek(&mut self, pointer: Pointer) {
        let Some(area) = self.layout.and_then(|layout| layout.timeline) else {
            return;
        };
        let columns = timeline_columns(area);
        if is_in(columns, pointer) {
            let column = pointer.column - columns.x;
            // The last column is now.
            match column + 1 == columns.width {
                true => self.travel(Clock::go_live),
                false => self.travel(|clock| clock.go_column(column, columns.width)),
            }
        }
    }

    pub(super) fn wheel(&mut self, pointer: Pointer, lines: i32) -> Action {
        let details = self.layout.and_then(|layout| layout.details);
        match &mut self.panel {
            Panel::Help { .. } => self.scroll_help(isize::try_from(lines).unwrap_or(0)),
            Panel::Search {
                chosen, matches, ..
            } => {
                let last = matches.all.len().saturating_sub(1);
                *chosen = add(*chosen, lines).min(last);
            }
            Panel::None | Panel::Filter { .. } => {
                if details.is_some_and(|area| is_in(area, pointer)) {
                    let top = add(usize::from(self.details_top), lines);
                    self.details_top = u16::try_from(top).unwrap_or(u16::MAX);
                } else {
                    self.tree.scroll(lines);
                }
            }
        }
        Action::Paint
    }
}

fn is_in(area: Rect, pointer: Pointer) -> bool {
    area.contains(Position::new(pointer.column, pointer.row))
}

fn add(number: usize, by: i32) -> usize {
    number.saturating_add_signed(isize::try_from(by).unwrap_or(0))
}

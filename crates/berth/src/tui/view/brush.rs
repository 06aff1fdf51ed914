//! Writes one line from left to right.

use berth_map::draw::Piece;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::tui::theme::Theme;

/// A line that is being written.
pub(super) struct Brush<'b> {
    buffer: &'b mut Buffer,
    theme: Theme,
    y: u16,
    /// The next cell, and the one after the last.
    x: u16,
    end: u16,
}

impl<'b> Brush<'b> {
    /// Begins at the left end of the first line of an area.
    pub(super) fn new(buffer: &'b mut Buffer, area: Rect, theme: Theme) -> Self {
        let area = area.intersection(buffer.area);
        Self {
            buffer,
            theme,
            y: area.y,
            x: area.x,
            end: if area.height == 0 {
                area.x
            } else {
                area.x + area.width
            },
        }
    }

    /// The column of the next cell.
    pub(super) fn place(&self) -> u16 {
        self.x
    }

    /// Cells that are left.
    pub(super) fn room(&self) -> usize {
        usize::from(self.end - self.x)
    }

    /// Writes a text, cut with a mark where there is no room for all of it.
    pub(super) fn text(&mut self, text: &str, style: Style) -> &mut Self {
        let room = self.room();
        if room == 0 {
            return self;
        }
        let needed = text.width();
        let (x, _) = if needed <= room {
            self.buffer.set_stringn(self.x, self.y, text, room, style)
        } else {
            let mark = self.theme.glyphs().cut;
            let fits = room.saturating_sub(mark.width());
            let (x, y) = self.buffer.set_stringn(self.x, self.y, text, fits, style);
            self.buffer.set_stringn(x, y, mark, room - fits, style);
            (self.end, y)
        };
        self.x = x.min(self.end);
        self
    }

    /// Writes pieces of the map's drawing.
    pub(super) fn pieces(&mut self, pieces: &[Piece]) -> &mut Self {
        for piece in pieces {
            let style = self.theme.ink(piece.ink);
            self.text(&piece.text, style);
        }
        self
    }

    /// Writes a text at the right end of what is left, where there is room for it.
    pub(super) fn right(&mut self, text: &str, style: Style) -> &mut Self {
        let width = u16::try_from(text.width()).unwrap_or(u16::MAX);
        if width <= self.end - self.x {
            let start = self.end - width;
            self.buffer
                .set_stringn(start, self.y, text, usize::from(width), style);
            self.end = start;
        }
        self
    }

    /// Repeats a character of one cell to the end.
    pub(super) fn fill(&mut self, symbol: &str, style: Style) {
        while self.x < self.end {
            self.buffer.set_stringn(self.x, self.y, symbol, 1, style);
            self.x += 1;
        }
    }

    /// Leaves cells out.
    pub(super) fn skip(&mut self, cells: usize) -> &mut Self {
        let cells = u16::try_from(cells).unwrap_or(u16::MAX);
        self.x = self.x.saturating_add(cells).min(self.end);
        self
    }

    /// Ends the line before a column.
    pub(super) fn until(&mut self, end: u16) -> &mut Self {
        self.end = self.end.min(end).max(self.x);
        self
    }

    /// Writes something that leaves so many cells for what follows.
    pub(super) fn leaving(&mut self, cells: u16, write: impl FnOnce(&mut Self)) -> &mut Self {
        let end = self.end;
        self.end = end.saturating_sub(cells).max(self.x);
        write(self);
        self.end = end;
        self
    }
}

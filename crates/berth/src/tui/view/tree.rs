//! Paints the tree: rails, words and columns of the map, and what changes on them.

use berth_map::draw::{GAP, Hue, Ink, Joint, RAIL, Rail, Shape, column_name};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Modifier, Style};

use super::brush::Brush;
use crate::tui::exits;
use crate::tui::state::{Line, LineKey, Mark, State, Tree};
use crate::tui::theme::Theme;

/// Cells left of the tree: what has changed, and what is folded.
const GUTTER: u16 = 2;
/// Cells that words have at least.
const LEAST_WORDS: u16 = 20;

/// Where the columns begin.
struct Columns {
    widths: Vec<u16>,
    start: u16,
}

impl Columns {
    fn new(tree: &Tree, area: Rect) -> Self {
        let width = |(level, pid): (usize, &u32)| {
            let cells = pid.to_string().len().max(column_name(level).len());
            u16::try_from(GAP + cells).unwrap_or(u16::MAX)
        };
        let mut widths: Vec<u16> = tree.largest.iter().enumerate().map(width).collect();
        let end = area.x + area.width;
        let room = area.width.saturating_sub(LEAST_WORDS);
        // The outermost levels are kept where there is no room for all.
        while widths.iter().sum::<u16>() > room && widths.pop().is_some() {}
        Self {
            start: end - widths.iter().sum::<u16>(),
            widths,
        }
    }

    fn paint(&self, area: Rect, buffer: &mut Buffer, theme: Theme, cells: &[(String, Style)]) {
        let mut x = self.start;
        for (width, (text, style)) in self.widths.iter().zip(cells) {
            let cell = Rect {
                x,
                width: *width,
                ..area
            };
            Brush::new(buffer, cell, theme).right(text, *style);
            x += width;
        }
    }
}

/// Paints the line above the tree: the host, and the names of the columns.
pub(super) fn paint_head(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let columns = Columns::new(&state.tree, area);
    Brush::new(buffer, area, theme)
        .skip(usize::from(GUTTER))
        .until(columns.start)
        .text(&state.tree.head, theme.strong());
    let names = (0..columns.widths.len()).map(|level| (column_name(level), theme.faint()));
    columns.paint(area, buffer, theme, &names.collect::<Vec<_>>());
}

/// Paints the lines of the window.
pub(super) fn paint(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let columns = Columns::new(&state.tree, area);
    let (cursor, count) = state.tree.position();
    let found = state.found.as_ref().map(|(matches, _)| matches);
    let rows = (area.y..area.y + area.height).zip(state.tree.window());
    for (y, (at, line)) in rows {
        let row = Rect {
            y,
            height: 1,
            ..area
        };
        let mark = state.marks.mark(line);
        let words = paint_line(line, mark, &columns, theme, row, buffer);
        let is_match = found.is_some_and(|matches| matches.all.iter().any(|m| line.shows(m.pid)));
        if is_match {
            let underlined = Style::new().add_modifier(Modifier::UNDERLINED);
            buffer.set_style(words, underlined);
        }
        if at == cursor {
            buffer.set_style(row, theme.cursor());
        }
    }
    if count == 0 {
        paint_nothing(state, theme, area, buffer);
    }
}

/// Says why there is no line.
fn paint_nothing(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let nothing = state.filter.as_ref().and_then(|f| f.nothing.as_deref());
    let text = match (nothing, state.world()) {
        (Some(why), _) => why,
        (None, None) => "nothing yet",
        (None, Some(_)) => "nothing to show",
    };
    Brush::new(buffer, area, theme)
        .skip(usize::from(GUTTER))
        .text(text, theme.faint());
}

/// Paints a line; the cells of its words.
fn paint_line(
    line: &Line,
    mark: Mark,
    columns: &Columns,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    paint_gutter(line, mark, theme, area, buffer);
    let words = match line.row.shape {
        Shape::Entry(joint) => paint_entry(line, joint, mark, columns, theme, area, buffer),
        Shape::Top(hue) | Shape::Bottom(hue) => paint_border(line, hue, theme, area, buffer),
        Shape::Note => {
            let mut brush = Brush::new(buffer, area, theme);
            brush.skip(usize::from(GUTTER)).pieces(&line.row.label);
            area
        }
    };
    // An end takes the PIDs with it.
    let rest = Rect {
        width: area.x + area.width - words.x,
        ..words
    };
    match mark {
        Mark::None => {}
        Mark::Fresh => buffer.set_style(words, theme.fresh()),
        Mark::Ended(_) => buffer.set_style(rest, theme.ended()),
        Mark::Fading(_) => buffer.set_style(rest, theme.fading()),
    }
    words
}

fn paint_entry(
    line: &Line,
    joint: Joint,
    mark: Mark,
    columns: &Columns,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let glyphs = theme.glyphs();
    let mut brush = Brush::new(buffer, area, theme);
    brush.skip(usize::from(GUTTER)).until(columns.start);
    paint_rails(&mut brush, &line.row.rails, theme);
    let branch = match joint {
        Joint::None => "",
        Joint::Middle => glyphs.middle,
        Joint::Last => glyphs.last,
    };
    brush.text(branch, theme.faint());
    let start = brush.place();
    brush.pieces(&line.row.label);
    if line.is_folded {
        let text = format!("  +{}", line.below);
        brush.text(&text, theme.faint());
    }
    if let Some(exit) = mark.exit() {
        brush.text("  ", Style::new());
        brush.text(&exits::describe(exit), theme.strong());
    }
    let words = Rect {
        x: start,
        width: brush.place() - start,
        ..area
    };
    let cells = line.row.pids.iter();
    let cells = cells.map(|(pid, ink)| (pid.to_string(), theme.ink(*ink)));
    columns.paint(area, buffer, theme, &cells.collect::<Vec<_>>());
    words
}

/// Paints a border of a box, with what stands in it.
fn paint_border(line: &Line, hue: Hue, theme: Theme, area: Rect, buffer: &mut Buffer) -> Rect {
    let glyphs = theme.glyphs();
    let border = theme.ink(Ink::Border(hue));
    let is_top = matches!(line.row.shape, Shape::Top(_));
    let mut brush = Brush::new(buffer, area, theme);
    brush.skip(usize::from(GUTTER));
    paint_rails(&mut brush, &line.row.rails, theme);
    let start = brush.place();
    brush.text(if is_top { glyphs.top } else { glyphs.bottom }, border);
    if !line.row.label.is_empty() {
        brush
            .text(if is_top { "" } else { " " }, border)
            .leaving(2, |brush| {
                brush.pieces(&line.row.label);
            })
            .text(" ", border);
    }
    brush.fill(glyphs.fill, border);
    Rect {
        x: start,
        width: area.x + area.width - start,
        ..area
    }
}

fn paint_gutter(line: &Line, mark: Mark, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (sign, style) = match mark {
        Mark::None => (" ", Style::new()),
        Mark::Fresh => ("+", theme.fresh()),
        Mark::Ended(_) | Mark::Fading(_) => ("-", theme.alarm()),
    };
    let is_box = matches!(line.key, LineKey::Top(..));
    let fold = match (line.is_folded, is_box) {
        (true, _) => theme.either("▸", ">"),
        (false, true) => theme.either("▾", "v"),
        (false, false) => " ",
    };
    Brush::new(buffer, area, theme)
        .text(sign, style)
        .text(fold, theme.faint());
}

/// What runs down the left. Of a tree deeper than the line is wide only the innermost show.
fn paint_rails(brush: &mut Brush, rails: &[Rail], theme: Theme) {
    let glyphs = theme.glyphs();
    let most = (brush.room() / 2 / RAIL).max(2);
    let hidden = rails.len().saturating_sub(most);
    if hidden > 0 {
        brush.text(glyphs.cut, theme.faint()).skip(RAIL - 1);
    }
    for rail in rails.iter().skip(hidden) {
        match rail {
            Rail::Line => brush.text(glyphs.line, theme.faint()),
            Rail::Blank => brush.skip(RAIL),
            Rail::Border(hue) => brush.text(glyphs.border, theme.ink(Ink::Border(*hue))),
        };
    }
}

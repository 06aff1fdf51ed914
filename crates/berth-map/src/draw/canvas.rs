//! Lines, borders and columns.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr as _;

use super::paint::{Brush, Ink};
use super::tree::Sheet;
use super::{MapOptions, Style};
use crate::picture::{Hue, Span, Title, cut};

/// What runs down the left of a line, one per depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rail {
    /// More siblings follow below.
    Line,
    /// None do.
    Blank,
    /// The border of a box.
    Border(Hue),
}

/// How an entry hangs on what is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// At the left edge of a box, without a branch.
    None,
    /// A branch; siblings follow.
    Middle,
    /// The last branch.
    Last,
}

/// The characters of a style. Rails and joints are [`RAIL`] cells wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// [`Rail::Line`].
    pub line: &'static str,
    /// [`Rail::Blank`].
    pub blank: &'static str,
    /// [`Rail::Border`].
    pub border: &'static str,
    /// [`Joint::Middle`].
    pub middle: &'static str,
    /// [`Joint::Last`].
    pub last: &'static str,
    /// Begins the upper border of a box.
    pub top: &'static str,
    /// Begins the lower border.
    pub bottom: &'static str,
    /// Fills a border.
    pub fill: &'static str,
    /// Stands for what is cut off.
    pub cut: &'static str,
}

impl Glyphs {
    /// Those of a style.
    pub const fn of(style: Style) -> &'static Self {
        match style {
            Style::Unicode => &UNICODE,
            Style::Ascii => &ASCII,
        }
    }
}

const UNICODE: Glyphs = Glyphs {
    line: "│  ",
    blank: "   ",
    border: "┃  ",
    middle: "├─ ",
    last: "└─ ",
    top: "┏━ ",
    bottom: "┗━",
    fill: "━",
    cut: "…",
};

const ASCII: Glyphs = Glyphs {
    line: "|  ",
    blank: "   ",
    border: "|  ",
    middle: "|- ",
    last: "`- ",
    top: "+= ",
    bottom: "+=",
    fill: "=",
    cut: "~",
};

/// Cells of one rail.
pub const RAIL: usize = 3;
/// Cells between columns.
pub const GAP: usize = 2;

/// A piece of a line, and its colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it says, escaped.
    pub text: Cow<'static, str>,
    /// What it is drawn with.
    pub ink: Ink,
}

/// Collects the lines of a drawing.
pub(super) struct Canvas {
    glyphs: &'static Glyphs,
    brush: Brush,
    /// Cells of the tree, left of the columns.
    tree: usize,
    /// Cells of each PID column, the gap before it included.
    columns: Vec<usize>,
    text: String,
}

impl Canvas {
    /// A canvas with a column for each level; `largest` is the largest PID at each.
    pub(super) fn new(options: &MapOptions, largest: &[u32]) -> Self {
        let columns: Vec<usize> = largest
            .iter()
            .enumerate()
            .map(|(level, pid)| GAP + pid.to_string().len().max(column_name(level).len()))
            .collect();
        let taken: usize = columns.iter().sum();
        Self {
            glyphs: Glyphs::of(options.style),
            brush: Brush::new(options.color),
            tree: options.width.max(40).saturating_sub(taken).max(24),
            columns,
            text: String::new(),
        }
    }

    /// The head line: a text and the names of the columns.
    pub(super) fn head(&mut self, label: &str) {
        let names = (0..self.columns.len()).map(column_name);
        let names = names.map(|name| (name, Ink::Faint)).collect();
        let label = Piece {
            text: Cow::Owned(label.to_owned()),
            ink: Ink::Strong,
        };
        self.line(Vec::new(), vec![label], names);
    }

    /// The drawing.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn width(&self) -> usize {
        self.tree + self.columns.iter().sum::<usize>()
    }

    /// The rails of one line. Of a tree deeper than the line is wide only the innermost show.
    fn rails(&self, rails: &[Rail]) -> Vec<Piece> {
        let most = (self.tree / 2 / RAIL).max(2);
        let hidden = rails.len().saturating_sub(most);
        let mut line = Vec::with_capacity(rails.len().min(most) + 4);
        if hidden > 0 {
            line.push(faint(self.glyphs.cut));
            line.push(plain("  "));
        }
        for rail in rails.iter().skip(hidden) {
            line.push(match rail {
                Rail::Line => faint(self.glyphs.line),
                Rail::Blank => plain(self.glyphs.blank),
                Rail::Border(hue) => border(self.glyphs.border, *hue),
            });
        }
        line
    }

    /// Cuts a row of pieces to a number of cells.
    fn cut(&self, pieces: Vec<Piece>, room: usize) -> Vec<Piece> {
        if width(&pieces) <= room {
            return pieces;
        }
        let mark = self.glyphs.cut;
        let mut left = room.saturating_sub(mark.width());
        let mut kept = Vec::new();
        for mut piece in pieces {
            let needed = piece.text.width();
            if needed > left {
                piece.text = Cow::Owned(cut(&piece.text, left, ""));
                kept.push(piece);
                break;
            }
            left -= needed;
            kept.push(piece);
        }
        kept.push(plain(mark));
        kept
    }

    /// Writes the left part, the label cut to what room there is, and the columns.
    fn line(&mut self, left: Vec<Piece>, label: Vec<Piece>, cells: Vec<(String, Ink)>) {
        let room = self.tree.saturating_sub(width(&left));
        let mut line = left;
        line.extend(self.cut(label, room));
        let mut missing = self.tree.saturating_sub(width(&line));
        for ((cell, ink), width) in cells.into_iter().zip(&self.columns) {
            let padding = missing + width.saturating_sub(cell.width());
            missing = 0;
            line.push(spaces(padding));
            line.push(Piece {
                text: Cow::Owned(cell),
                ink,
            });
        }
        self.write(line);
    }

    /// Writes a border line to the full width.
    fn fill(&mut self, mut line: Vec<Piece>, hue: Hue) {
        let missing = self.width().saturating_sub(width(&line));
        line.push(border(self.glyphs.fill.repeat(missing), hue));
        self.write(line);
    }

    fn write(&mut self, line: Vec<Piece>) {
        let end = line.iter().rposition(|p| !p.text.trim_end().is_empty());
        let kept = end.map_or(0, |at| at + 1);
        for (at, piece) in line.iter().take(kept).enumerate() {
            let text = if at + 1 == kept {
                piece.text.trim_end()
            } else {
                piece.text.as_ref()
            };
            self.brush.paint(&mut self.text, text, piece.ink);
        }
        self.text.push('\n');
    }
}

impl Sheet for Canvas {
    fn entry(
        &mut self,
        rails: &[Rail],
        joint: Joint,
        label: Vec<Span>,
        pids: &[u32],
        levels: impl Fn(usize) -> Ink,
    ) {
        let mut left = self.rails(rails);
        let branch = match joint {
            Joint::None => "",
            Joint::Middle => self.glyphs.middle,
            Joint::Last => self.glyphs.last,
        };
        left.push(faint(branch));
        let cells = pids.iter().enumerate();
        let cells = cells.map(|(level, pid)| (pid.to_string(), levels(level)));
        let cells = cells.collect();
        self.line(left, pieces(label), cells);
    }

    fn open_box(&mut self, rails: &[Rail], hue: Hue, title: Title) {
        let mut line = self.rails(rails);
        line.push(border(self.glyphs.top, hue));
        let room = self.width().saturating_sub(width(&line) + 2);
        line.extend(self.cut(title_pieces(hue, title), room));
        line.push(plain(" "));
        self.fill(line, hue);
    }

    fn close_box(&mut self, rails: &[Rail], hue: Hue, foot: Vec<Span>) {
        let mut line = self.rails(rails);
        line.push(border(self.glyphs.bottom, hue));
        if !foot.is_empty() {
            line.push(plain(" "));
            let room = self.width().saturating_sub(width(&line) + 2);
            line.extend(self.cut(pieces(foot), room));
            line.push(plain(" "));
        }
        self.fill(line, hue);
    }

    fn note(&mut self, text: &str) {
        let line = vec![faint(cut(text, self.width(), self.glyphs.cut))];
        self.write(line);
    }
}

fn width(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.text.width()).sum()
}

/// The words of a title, two cells apart.
pub(super) fn title_pieces(hue: Hue, title: Title) -> Vec<Piece> {
    let mut words = vec![Piece {
        text: Cow::Owned(title.name.text),
        ink: Ink::Box(hue),
    }];
    for span in title.origin.into_iter().chain(title.facts) {
        words.push(plain("  "));
        words.push(piece(span));
    }
    words
}

/// Words, two cells apart.
pub(super) fn pieces(spans: Vec<Span>) -> Vec<Piece> {
    let mut row = Vec::with_capacity(spans.len() * 2);
    for span in spans {
        if !row.is_empty() {
            row.push(plain("  "));
        }
        row.push(piece(span));
    }
    row
}

fn piece(span: Span) -> Piece {
    let ink = Ink::from(span.tone);
    Piece {
        text: Cow::Owned(span.text),
        ink,
    }
}

fn plain(text: impl Into<Cow<'static, str>>) -> Piece {
    Piece {
        text: text.into(),
        ink: Ink::Plain,
    }
}

fn faint(text: impl Into<Cow<'static, str>>) -> Piece {
    Piece {
        text: text.into(),
        ink: Ink::Faint,
    }
}

fn border(text: impl Into<Cow<'static, str>>, hue: Hue) -> Piece {
    Piece {
        text: text.into(),
        ink: Ink::Border(hue),
    }
}

/// Padding, which most lines have some of.
fn spaces(count: usize) -> Piece {
    const SOME: &str = "                                                                ";
    match SOME.get(..count) {
        Some(some) => plain(some),
        None => plain(" ".repeat(count)),
    }
}

/// The name of a level's column.
pub fn column_name(level: usize) -> String {
    match level {
        0 => "HOST".to_owned(),
        deeper => format!("L{deeper}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Tone;

    fn named(text: &str) -> Vec<Span> {
        vec![Span::new(Tone::Name, text)]
    }

    #[test]
    fn columns_stay_aligned_whatever_the_name() {
        let options = MapOptions {
            width: 50,
            ..MapOptions::default()
        };
        let mut canvas = Canvas::new(&options, &[31_995, 7]);
        canvas.head("host");
        for label in ["sh", "日本語プロセス", &"x".repeat(200), "e\u{301}"] {
            let (rails, pids) = ([Rail::Line], [31_995, 7]);
            canvas.entry(&rails, Joint::Last, named(label), &pids, |_| Ink::Plain);
        }
        let text = canvas.finish();
        for line in text.lines() {
            assert_eq!(line.width(), 50, "{line}");
        }
        assert!(
            text.lines()
                .all(|l| l.ends_with("L1") || l.ends_with("31995   7"))
        );
    }

    #[test]
    fn deep_trees_keep_room_for_names() {
        let options = MapOptions {
            width: 60,
            style: Style::Ascii,
            ..MapOptions::default()
        };
        let mut canvas = Canvas::new(&options, &[9]);
        let blank = [Rail::Blank; 5000];
        canvas.entry(&blank, Joint::Last, named("deep one"), &[9], |_| Ink::Plain);
        let title = Title {
            name: Span::new(Tone::Name, "box"),
            origin: Vec::new(),
            facts: Vec::new(),
        };
        canvas.open_box(&[Rail::Border(Hue(0)); 5000], Hue(1), title);
        for line in canvas.finish().lines() {
            assert_eq!(line.width(), 60);
            assert!(line.contains("deep one") || line.contains("box"));
        }
    }
}

//! Lines, borders and columns.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{MapOptions, Style};

/// What runs down the left of a line, one per depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rail {
    /// More siblings follow below.
    Line,
    /// None do.
    Blank,
    /// The border of a box.
    Border,
}

/// How an entry hangs on what is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// At the left edge of a box, without a branch.
    None,
    /// A branch; siblings follow.
    Middle,
    /// The last branch.
    Last,
}

/// The characters of a style.
struct Glyphs {
    line: &'static str,
    blank: &'static str,
    border: &'static str,
    middle: &'static str,
    last: &'static str,
    top: &'static str,
    bottom: &'static str,
    fill: &'static str,
    cut: &'static str,
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
const RAIL: usize = 3;
/// Cells between columns.
const GAP: usize = 2;

/// Collects the lines of a drawing.
pub(super) struct Canvas {
    glyphs: &'static Glyphs,
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
            glyphs: match options.style {
                Style::Unicode => &UNICODE,
                Style::Ascii => &ASCII,
            },
            tree: options.width.max(40).saturating_sub(taken).max(24),
            columns,
            text: String::new(),
        }
    }

    /// The head line: a text and the names of the columns.
    pub(super) fn head(&mut self, label: &str) {
        let names: Vec<String> = (0..self.columns.len()).map(column_name).collect();
        self.line(String::new(), label, &names);
    }

    /// One entry with its PIDs, outermost first.
    pub(super) fn entry(&mut self, rails: &[Rail], joint: Joint, label: &str, pids: &[u32]) {
        let mut left = self.rails(rails);
        left.push_str(match joint {
            Joint::None => "",
            Joint::Middle => self.glyphs.middle,
            Joint::Last => self.glyphs.last,
        });
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        self.line(left, label, &pids);
    }

    /// The upper border of a box.
    pub(super) fn open_box(&mut self, rails: &[Rail], title: &str) {
        let mut line = self.rails(rails) + self.glyphs.top;
        let width = self.width();
        let room = width.saturating_sub(line.width() + 2);
        line.push_str(&cut(title, room, self.glyphs.cut));
        line.push(' ');
        self.fill(line);
    }

    /// The lower border of a box.
    pub(super) fn close_box(&mut self, rails: &[Rail]) {
        let line = self.rails(rails) + self.glyphs.bottom;
        self.fill(line);
    }

    /// A line of text below the tree.
    pub(super) fn note(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The drawing.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn width(&self) -> usize {
        self.tree + self.columns.iter().sum::<usize>()
    }

    /// The rails of one line. Of a tree deeper than the line is wide only the innermost show.
    fn rails(&self, rails: &[Rail]) -> String {
        let most = (self.tree / 2 / RAIL).max(2);
        let hidden = rails.len().saturating_sub(most);
        let mut text = String::new();
        if hidden > 0 {
            text.push_str(self.glyphs.cut);
            text.push_str("  ");
        }
        for rail in rails.iter().skip(hidden) {
            text.push_str(match rail {
                Rail::Line => self.glyphs.line,
                Rail::Blank => self.glyphs.blank,
                Rail::Border => self.glyphs.border,
            });
        }
        text
    }

    /// Writes the left part, the label cut to what room there is, and the columns.
    fn line(&mut self, left: String, label: &str, cells: &[String]) {
        let room = self.tree.saturating_sub(left.width());
        let mut line = left + &cut(label, room, self.glyphs.cut);
        let padding = self.tree.saturating_sub(line.width());
        line.extend(std::iter::repeat_n(' ', padding));
        for (cell, width) in cells.iter().zip(&self.columns) {
            line.push_str(&format!("{cell:>width$}"));
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Writes a border line to the full width.
    fn fill(&mut self, mut line: String) {
        let missing = self.width().saturating_sub(line.width());
        line.extend(std::iter::repeat_n(self.glyphs.fill, missing));
        self.text.push_str(&line);
        self.text.push('\n');
    }
}

/// The name of a level's column.
fn column_name(level: usize) -> String {
    match level {
        0 => "HOST".to_owned(),
        deeper => format!("L{deeper}"),
    }
}

/// A text, cut to a number of terminal cells.
pub(super) fn cut(text: &str, room: usize, mark: &str) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let room = room.saturating_sub(mark.width());
    let mut used = 0;
    let mut kept = String::new();
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept + mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_aligned_whatever_the_name() {
        let options = MapOptions {
            width: 50,
            ..MapOptions::default()
        };
        let mut canvas = Canvas::new(&options, &[31_995, 7]);
        canvas.head("host");
        for label in ["sh", "日本語プロセス", &"x".repeat(200), "e\u{301}"] {
            canvas.entry(&[Rail::Line], Joint::Last, label, &[31_995, 7]);
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
        canvas.entry(&[Rail::Blank; 5000], Joint::Last, "deep one", &[9]);
        canvas.open_box(&[Rail::Border; 5000], "box");
        for line in canvas.finish().lines() {
            assert_eq!(line.width(), 60);
            assert!(line.contains("deep one") || line.contains("box"));
        }
    }
}

//! Tables as util-linux lays them out: cells one space apart, numbers to the right.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Which side of its column a cell is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One column: its heading and its side.
pub(crate) type Heading = (&'static str, Align);

/// How a table is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Cells one space apart without padding, white space in them escaped.
    pub(crate) raw: bool,
    /// Without the headings.
    pub(crate) bare: bool,
    /// Lines are cut at this width.
    pub(crate) width: Option<usize>,
}

/// Lays out rows, which have a cell for each heading. Cells hold no control characters.
pub(crate) fn lay_out(headings: &[Heading], rows: &[Vec<String>], layout: Layout) -> String {
    let names = headings
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let lines: Vec<&Vec<String>> = (!layout.bare)
        .then_some(&names)
        .into_iter()
        .chain(rows)
        .collect();
    if layout.raw {
        return lines.iter().map(|line| raw(line)).collect();
    }
    let widths: Vec<usize> = (0..headings.len())
        .map(|at| {
            let cells = lines.iter().filter_map(|line| line.get(at));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for ((cell, width), (_, align)) in line.iter().zip(&widths).zip(headings) {
            if !row.is_empty() {
                row.push(' ');
            }
            let gap = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => row.extend([cell.as_str(), &gap]),
                Align::Right => row.extend([gap.as_str(), cell]),
            }
        }
        text.push_str(cut(row.trim_end(), layout.width));
        text.push('\n');
    }
    text
}

/// A line of the raw form: white space in cells reads `\x20`.
fn raw(cells: &[String]) -> String {
    let escape = |cell: &String| {
        let mut text = String::with_capacity(cell.len());
        for c in cell.chars() {
            match c {
                ' ' => text.push_str("\\x20"),
                c => text.push(c),
            }
        }
        text
    };
    cells.iter().map(escape).collect::<Vec<_>>().join(" ") + "\n"
}

/// As much of a line as fits.
fn cut(line: &str, width: Option<usize>) -> &str {
    let Some(width) = width else { return line };
    let mut used = 0;
    for (at, c) in line.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            return line.get(..at).unwrap_or(line);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADINGS: [Heading; 3] = [
        ("NS", Align::Right),
        ("TYPE", Align::Left),
        ("COMMAND", Align::Left),
    ];

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![
            row(["12345", "pid", "sleep 20"]),
            row(["7", "cgroup", "日本"]),
        ]
    }

    #[test]
    fn numbers_stand_right_and_lines_do_not_trail() {
        let text = lay_out(&HEADINGS, &rows(), Layout::default());
        assert_eq!(
            text,
            "   NS TYPE   COMMAND\n12345 pid    sleep 20\n    7 cgroup 日本\n"
        );
    }

    #[test]
    fn raw_cells_hold_no_space() {
        let layout = Layout {
            raw: true,
            bare: true,
            ..Layout::default()
        };
        assert_eq!(
            lay_out(&HEADINGS, &rows(), layout),
            "12345 pid sleep\\x2020\n7 cgroup 日本\n"
        );
    }

    #[test]
    fn a_terminal_cuts() {
        let layout = Layout {
            width: Some(15),
            bare: true,
            ..Layout::default()
        };
        assert_eq!(
            lay_out(&HEADINGS, &rows(), layout),
            "12345 pid    sl\n    7 cgroup 日\n"
        );
    }
}

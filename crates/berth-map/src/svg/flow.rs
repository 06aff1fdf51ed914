//! Rows of a box in columns, as a newspaper sets lines.

use unicode_width::UnicodeWidthStr as _;

use super::picture::{Area, Mood, Word};
use super::rows::Row;

/// From one row to the next.
pub(super) const ROW: f64 = 22.0;
/// The height of a pill.
pub(super) const PILL: f64 = 18.0;
/// Before the first and after the last letter in a pill or a cell.
pub(super) const INSET: f64 = 8.0;
/// Between words of a pill.
pub(super) const WORD_GAP: f64 = 7.0;
/// A letter of 12 pixels in a monospaced face is 7.2 wide in all that readers have.
const LETTER: f64 = 7.25;
/// How far a child stands to the right of its parent.
const INDENT: f64 = 14.0;
/// From this depth on rows are indented no further: a chain of thousands must not be as wide.
const DEEPEST: usize = 10;

/// One line of a column.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// A row, by its place.
    Row(usize),
    /// The ancestor below which the column goes on: a row of an earlier column.
    Under(usize),
}

/// A column.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    /// From the top.
    pub(super) lines: Vec<Line>,
    /// Its width and height.
    pub(super) area: Area,
    /// The widths of the cells, by level.
    pub(super) cells: Vec<f64>,
}

/// A number of things as a number of pixels.
pub(super) fn px(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// How far a row stands to the right.
pub(super) fn indent(depth: usize) -> f64 {
    px(depth.min(DEEPEST)) * INDENT
}

/// The width of letters in a monospaced face.
pub(super) fn letters(text: &str) -> f64 {
    px(text.width()) * LETTER
}

/// The width of the words of a pill.
pub(super) fn label_width(words: &[Word]) -> f64 {
    let letters: f64 = words.iter().map(|word| letters(&word.text)).sum();
    letters + px(words.len().saturating_sub(1)) * WORD_GAP
}

/// What a column that goes on below a row says first.
pub(super) fn under(row: &Row) -> Word {
    let name = row.words.first().map_or("", |word| word.text.as_str());
    Word {
        text: format!("… {name}"),
        mood: Mood::Faint,
    }
}

/// Sets rows in a number of columns of about the same height. A column ends where a subtree does,
/// if there is such a place near.
pub(super) fn columns(rows: &[Row], count: usize) -> Vec<Column> {
    let height = rows.len().div_ceil(count.max(1)).max(1);
    let mut columns = Vec::new();
    let mut start = 0;
    while start < rows.len() {
        let end = find_break(rows, start, height);
        columns.push(set(rows, start, end));
        start = end;
    }
    columns
}

/// Where the column that begins at a row ends.
fn find_break(rows: &[Row], start: usize, height: usize) -> usize {
    let end = start.saturating_add(height);
    if end >= rows.len() {
        return rows.len();
    }
    let depth = |at: usize| rows.get(at).map_or(0, |row| row.depth);
    let near = height / 4;
    let earliest = end.saturating_sub(near).max(start + 1);
    let latest = end.saturating_add(near);
    // The shallowest row near the aim, of several the nearest.
    let candidates = earliest..=latest.min(rows.len() - 1);
    let best = candidates.min_by_key(|at| (depth(*at), at.abs_diff(end)));
    best.unwrap_or(end)
}

fn set(rows: &[Row], start: usize, end: usize) -> Column {
    let mut column = Column::default();
    let parent = rows.get(start).and_then(|row| row.parent);
    column.lines.extend(parent.map(Line::Under));
    column.lines.extend((start..end).map(Line::Row));
    let mut label: f64 = 0.0;
    let mut bare: f64 = 0.0;
    for line in &column.lines {
        match line {
            Line::Under(at) => {
                let row = rows.get(*at);
                let width = row.map_or(0.0, |r| indent(r.depth) + letters(&under(r).text));
                bare = bare.max(width);
            }
            Line::Row(at) => {
                let Some(row) = rows.get(*at) else { continue };
                let width = indent(row.depth) + label_width(&row.words) + 2.0 * INSET;
                if row.pids.is_empty() {
                    bare = bare.max(width);
                } else {
                    label = label.max(width);
                }
                if column.cells.len() < row.pids.len() {
                    column.cells.resize(row.pids.len(), 0.0);
                }
                for (cell, pid) in column.cells.iter_mut().zip(&row.pids) {
                    *cell = cell.max((letters(pid) + 1.5 * INSET).ceil());
                }
            }
        }
    }
    let cells: f64 = column.cells.iter().sum();
    column.area = Area {
        width: (label + cells).max(bare).ceil(),
        height: px(column.lines.len()) * ROW - (ROW - PILL),
    };
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(depths: &[usize]) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for depth in depths {
            let parent = rows.iter().rposition(|row| row.depth + 1 == *depth);
            rows.push(Row {
                depth: *depth,
                parent: parent.filter(|_| *depth > 0),
                pids: vec!["1".to_owned()],
                ..Row::default()
            });
        }
        rows
    }

    fn sizes(depths: &[usize], count: usize) -> Vec<usize> {
        let columns = columns(&rows(depths), count);
        columns.iter().map(|column| column.lines.len()).collect()
    }

    #[test]
    fn a_column_ends_where_a_subtree_does() {
        assert_eq!(sizes(&[0; 9], 3), [3, 3, 3]);
        // The row at place 9 begins a subtree, the one at 8 does not.
        assert_eq!(
            sizes(&[0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1], 2),
            [9, 7]
        );
    }

    #[test]
    fn a_column_within_a_subtree_says_what_it_is_below() {
        let columns = columns(&rows(&[0, 1, 1, 1, 1, 1, 1, 1]), 2);
        assert!(matches!(columns[1].lines.first(), Some(Line::Under(0))));
        let all: usize = columns.iter().map(|c| c.lines.len()).sum();
        assert_eq!(all, 9);
    }
}

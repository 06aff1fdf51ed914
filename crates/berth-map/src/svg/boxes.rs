//! Boxes: inner ones first, then the one around them as small and as well-proportioned as can be.

use std::collections::HashMap;

use super::flow::{
    Column, INSET, Line, PILL, ROW, columns, indent, label_width, letters, px, under,
};
use super::pack::Strip;
use super::picture::{Area, Cell, Link, Note, Panel, Picture, Pill, Rect, Tint, Word};
use super::rows::{Content, Row};

/// Between the border of a box and what is in it.
const PADDING: f64 = 12.0;
/// Between boxes, and between columns.
const GAP: f64 = 12.0;
/// From the upper border to the baseline of the title.
const TITLE: f64 = 22.0;
/// From one line of text to the next.
const LINE: f64 = 18.0;
/// Letters of titles and of notes against those of pills; proportional faces, so this is more than
/// most texts need.
const TITLE_LETTER: f64 = 1.2;
const NOTE_LETTER: f64 = 0.97;
/// Between words of a title or a note.
const NOTE_GAP: f64 = 10.0;
/// Width over height that pictures aim at.
const ASPECT: f64 = 1.5;
/// The width that a box may have for the sake of its texts.
const TEXT_WIDTH: f64 = 260.0;
/// How far the shadow of a crowd reaches out.
const SHADOW: f64 = 6.0;
/// Numbers of columns that are tried.
const COLUMNS: [usize; 11] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48];
/// Widths that are tried, over that of a well-proportioned box without gaps.
const WIDTHS: [f64; 5] = [0.7, 0.9, 1.1, 1.4, 1.8];
/// With more things than this in a box fewer shapes are tried: one more try costs much and gains
/// little.
const MANY: usize = 150;
/// The fewest rows that a further column is worth.
const LEAST_ROWS: usize = 8;

/// A box with a place for everything in it.
struct Block {
    content: Content,
    area: Area,
    columns: Vec<(f64, f64, Column)>,
    inner: Vec<(f64, f64, Block)>,
    facts: Vec<Vec<Word>>,
    foot: Vec<Vec<Word>>,
}

/// One way to fill a box.
struct Filling {
    columns: Vec<Column>,
    places: Vec<(f64, f64)>,
    area: Area,
    cost: f64,
}

/// Finds a place for the host and everything in it.
pub(super) fn arrange(root: Content) -> Picture {
    let block = build(root);
    let mut picture = Picture {
        size: Area {
            width: block.area.width + 2.0 * GAP,
            height: block.area.height + 2.0 * GAP,
        },
        title: block.content.tooltip.clone(),
        ..Picture::default()
    };
    emit(&block, GAP, GAP, &mut picture);
    picture
}

/// By recursion: boxes nest as deep as namespaces, at most 32.
fn build(mut content: Content) -> Block {
    let inner = std::mem::take(&mut content.inner);
    let inner: Vec<Block> = inner.into_iter().map(build).collect();
    let filling = fill(&content.rows, &inner);
    let width = filling.area.width.max(text_width(&content)).ceil();
    let facts = wrap(std::mem::take(&mut content.facts), width);
    let foot = std::mem::take(&mut content.foot).into_iter();
    let foot: Vec<Vec<Word>> = foot.flat_map(|words| wrap(words, width)).collect();
    let head = TITLE + px(facts.len()) * LINE + PADDING;
    let tail = px(foot.len()) * LINE;
    let shadow = if content.count > 1 { SHADOW } else { 0.0 };
    let area = Area {
        width: width + 2.0 * PADDING + shadow,
        height: head + filling.area.height + tail + PADDING + shadow,
    };
    let at = |place: &(f64, f64)| (place.0 + PADDING, place.1 + head);
    let count = filling.columns.len();
    let places = filling.places;
    let columns = filling.columns.into_iter().zip(&places);
    let boxes = inner.into_iter().zip(places.iter().skip(count));
    Block {
        columns: columns
            .map(|(column, place)| (at(place).0, at(place).1, column))
            .collect(),
        inner: boxes
            .map(|(block, place)| (at(place).0, at(place).1, block))
            .collect(),
        content,
        area,
        facts,
        foot,
    }
}

/// The width that a box needs for its title and for its longest word, and may have for its other
/// texts.
fn text_width(content: &Content) -> f64 {
    let texts = content.facts.iter().chain(content.foot.iter().flatten());
    let longest = texts
        .clone()
        .map(|word| note_width(std::slice::from_ref(word)));
    let longest = longest.fold(0.0, f64::max);
    let facts = note_width(&content.facts).min(TEXT_WIDTH);
    title_width(&content.title).max(longest).max(facts)
}

/// The first word of a title is larger.
fn title_width(words: &[Word]) -> f64 {
    let first = words.first().map_or(0.0, |word| letters(&word.text));
    first * (TITLE_LETTER - NOTE_LETTER) + note_width(words)
}

/// Tries several shapes and keeps the best.
fn fill(rows: &[Row], inner: &[Block]) -> Filling {
    let most = rows.len().div_ceil(LEAST_ROWS).max(1);
    let mut best: Option<Filling> = None;
    let widths: &[f64] = if inner.len() > MANY { &[1.1] } else { &WIDTHS };
    for count in COLUMNS.into_iter().filter(|count| *count <= most) {
        let columns = columns(rows, count);
        let areas: Vec<Area> = columns.iter().map(|column| column.area).collect();
        let areas: Vec<Area> = areas
            .into_iter()
            .chain(inner.iter().map(|block| block.area))
            .collect();
        let surface: f64 = areas
            .iter()
            .map(|a| (a.width + GAP) * (a.height + GAP))
            .sum();
        let beside: f64 = columns.iter().map(|column| column.area.width + GAP).sum();
        let widest = areas.iter().map(|a| a.width + GAP).fold(beside, f64::max);
        let mut tried = 0.0;
        for factor in widths {
            let width = ((surface * ASPECT).sqrt() * factor).max(widest);
            if width <= tried {
                continue;
            }
            tried = width;
            let (places, area) = pack(&areas, width);
            let cost = cost(area);
            if best.as_ref().is_none_or(|best| cost < best.cost) {
                best = Some(Filling {
                    columns: columns.clone(),
                    places,
                    area,
                    cost,
                });
            }
        }
    }
    best.unwrap_or_else(|| Filling {
        columns: Vec::new(),
        places: Vec::new(),
        area: Area::default(),
        cost: 0.0,
    })
}

/// Surface, and more of it the worse the proportions.
fn cost(area: Area) -> f64 {
    let aspect = area.width.max(1.0) / area.height.max(1.0);
    let off = (aspect / ASPECT).max(ASPECT / aspect);
    area.width * area.height * off.sqrt()
}

fn pack(areas: &[Area], width: f64) -> (Vec<(f64, f64)>, Area) {
    let mut strip = Strip::new(width);
    let mut whole = Area::default();
    let mut places = Vec::with_capacity(areas.len());
    for area in areas {
        let (x, y) = strip.place(Area {
            width: area.width + GAP,
            height: area.height + GAP,
        });
        whole.width = whole.width.max(x + area.width);
        whole.height = whole.height.max(y + area.height);
        places.push((x, y));
    }
    (places, whole)
}

fn note_width(words: &[Word]) -> f64 {
    let letters: f64 = words.iter().map(|word| letters(&word.text)).sum();
    letters * NOTE_LETTER + px(words.len().saturating_sub(1)) * NOTE_GAP
}

/// Breaks words into lines.
fn wrap(words: Vec<Word>, width: f64) -> Vec<Vec<Word>> {
    let mut lines: Vec<Vec<Word>> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line)
                if note_width(line) + NOTE_GAP + note_width(std::slice::from_ref(&word))
                    <= width =>
            {
                line.push(word);
            }
            _ => lines.push(vec![word]),
        }
    }
    lines
}

fn emit(block: &Block, x: f64, y: f64, picture: &mut Picture) {
    let content = &block.content;
    let is_crowd = content.count > 1;
    let shadow = if is_crowd { SHADOW } else { 0.0 };
    let rect = Rect {
        x,
        y,
        width: block.area.width - shadow,
        height: block.area.height - shadow,
    };
    let left = x + PADDING;
    let facts = block.facts.iter().enumerate().map(|(at, words)| Note {
        x: left,
        y: y + TITLE + px(at + 1) * LINE,
        words: words.clone(),
    });
    let bottom = y + rect.height - PADDING;
    let foot = block.foot.iter().rev().enumerate().map(|(at, words)| Note {
        x: left,
        y: bottom - px(at) * LINE,
        words: words.clone(),
    });
    picture.panels.push(Panel {
        rect,
        tint: content.tint,
        title: Note {
            x: left,
            y: y + TITLE,
            words: content.title.clone(),
        },
        notes: facts.chain(foot).collect(),
        is_crowd,
        tooltip: content.tooltip.clone(),
    });
    for (column_x, column_y, column) in &block.columns {
        emit_column(content, column, x + column_x, y + column_y, picture);
    }
    for (inner_x, inner_y, inner) in &block.inner {
        emit(inner, x + inner_x, y + inner_y, picture);
    }
}

fn emit_column(content: &Content, column: &Column, x: f64, y: f64, picture: &mut Picture) {
    let rows = &content.rows;
    let mut seen: HashMap<usize, (f64, f64)> = HashMap::new();
    for (at, line) in column.lines.iter().enumerate() {
        let top = y + px(at) * ROW;
        let (place, row) = match line {
            Line::Row(place) | Line::Under(place) => (*place, rows.get(*place)),
        };
        let Some(row) = row else { continue };
        let left = x + indent(row.depth);
        if let Some(parent) = row.parent
            && let Some((from_x, from_y)) = seen.get(&parent)
            && *from_x < left
        {
            picture.links.push(Link {
                from: (from_x + INSET, *from_y),
                to: (left, top + PILL / 2.0),
            });
        }
        seen.insert(place, (left, top + PILL));
        match line {
            Line::Under(_) => picture.notes.push(Note {
                x: left,
                y: top + PILL - 5.0,
                words: vec![under(row)],
            }),
            Line::Row(_) => picture
                .pills
                .push(pill(content, column, row, (x, left, top))),
        }
    }
}

/// A pill from its left edge to the end of its innermost PID; PIDs of one level stand below each
/// other.
fn pill(content: &Content, column: &Column, row: &Row, (x, left, top): (f64, f64, f64)) -> Pill {
    let all: f64 = column.cells.iter().sum();
    let mut cell_x = x + column.area.width - all;
    let mut cells = Vec::with_capacity(row.pids.len());
    for (level, (pid, width)) in row.pids.iter().zip(&column.cells).enumerate() {
        let tint = content.tints.get(level).copied();
        cells.push(Cell {
            x: cell_x,
            width: *width,
            text: pid.clone(),
            tint: tint.unwrap_or(Tint::Host),
        });
        cell_x += width;
    }
    let width = if cells.is_empty() {
        label_width(&row.words) + 2.0 * INSET
    } else {
        cell_x - left
    };
    Pill {
        rect: Rect {
            x: left,
            y: top,
            width,
            height: PILL,
        },
        words: row.words.clone(),
        cells,
        is_odd: row.is_odd,
        is_context: row.is_context,
        tooltip: row.tooltip.clone(),
    }
}

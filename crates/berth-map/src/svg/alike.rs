//! Rows and boxes that look alike but for what tells them apart, as one.
//!
//! [`crate::picture::Crowds`] has folded what is the same to the letter. Here are the shims of many
//! containers, which differ in the boxes below them, and containers of one image, which differ in
//! their names.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::picture::{Mood, Word};
use super::rows::{Content, Row, word};
use crate::picture::thousands;

/// From how many on siblings that look alike, save for the boxes below them, are one pill.
const LEAST_ALIKE: usize = 4;
/// From how many on boxes that look alike, save for their names, are one box: a picture with fewer
/// can be read box by box.
const LEAST_BOXES: usize = 24;

/// Folds siblings without rows below them that look alike: the shims of many containers, whose
/// boxes say which of them they are below.
pub(super) fn fold_rows(rows: Vec<Row>) -> Vec<Row> {
    let mut has_children = vec![false; rows.len()];
    for parent in rows.iter().filter_map(|row| row.parent) {
        if let Some(mark) = has_children.get_mut(parent) {
            *mark = true;
        }
    }
    let key = |row: &Row| (row.parent, row.is_context, texts(&row.words));
    let mut crowds: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        let counted = row.words.iter().any(|word| word.mood == Mood::Count);
        if !row.pids.is_empty() && !counted && has_children.get(at) == Some(&false) {
            crowds.entry(key(row)).or_default().push(at);
        }
    }
    let mut hidden = vec![false; rows.len()];
    let mut folded: HashMap<usize, (usize, Vec<String>)> = HashMap::new();
    for crowd in crowds.into_values().filter(|c| c.len() >= LEAST_ALIKE) {
        let (Some(first), Some(last)) = (crowd.first(), crowd.last()) else {
            continue;
        };
        let pids = rows.get(*last).map(|row| row.pids.clone());
        folded.insert(*first, (crowd.len(), pids.unwrap_or_default()));
        for at in crowd.iter().skip(1) {
            if let Some(mark) = hidden.get_mut(*at) {
                *mark = true;
            }
        }
    }
    keep(rows, &hidden, &folded)
}

/// The rows that stay, their parents numbered anew.
fn keep(
    rows: Vec<Row>,
    hidden: &[bool],
    folded: &HashMap<usize, (usize, Vec<String>)>,
) -> Vec<Row> {
    let mut places = vec![0; rows.len()];
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    for (at, mut row) in rows.into_iter().enumerate() {
        if hidden.get(at) == Some(&true) {
            continue;
        }
        if let Some((count, last)) = folded.get(&at) {
            row.count = *count;
            extend_pids(&mut row.pids, last);
            let count = format!("×{}", thousands(*count));
            row.tooltip.push_str(&format!(", {count}"));
            row.words.insert(1, word(Mood::Count, count));
        }
        row.parent = row.parent.and_then(|parent| places.get(parent).copied());
        if let Some(place) = places.get_mut(at) {
            *place = kept.len();
        }
        kept.push(row);
    }
    kept
}

/// Writes the PIDs of the first of a crowd as from these to those of the last.
pub(super) fn extend_pids(first: &mut [String], last: &[String]) {
    for (text, last) in first.iter_mut().zip(last) {
        text.push_str(&format!("…{last}"));
    }
}

fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.text.clone()).collect()
}

/// Folds boxes beside each other that look alike save for names, PIDs and addresses.
pub(super) fn fold_boxes(boxes: Vec<Content>) -> Vec<Content> {
    if boxes.len() < LEAST_BOXES {
        return boxes;
    }
    let mut crowds: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, content) in boxes.iter().enumerate() {
        let mut shape = String::new();
        describe(content, &mut shape);
        crowds.entry(shape).or_default().push(at);
    }
    let mut last_of: HashMap<usize, (usize, usize)> = HashMap::new();
    let mut is_hidden = vec![false; boxes.len()];
    for crowd in crowds.into_values().filter(|c| c.len() >= LEAST_BOXES) {
        let (Some(first), Some(last)) = (crowd.first(), crowd.last()) else {
            continue;
        };
        last_of.insert(*first, (*last, crowd.len()));
        for at in crowd.iter().skip(1) {
            if let Some(mark) = is_hidden.get_mut(*at) {
                *mark = true;
            }
        }
    }
    let mut folded: HashMap<usize, Content> = HashMap::new();
    for (first, (last, count)) in last_of {
        if let (Some(content), Some(last)) = (boxes.get(first), boxes.get(last)) {
            folded.insert(first, merge(content.clone(), last, count));
        }
    }
    let kept = boxes.into_iter().enumerate();
    let kept = kept.filter(|(at, _)| is_hidden.get(*at) == Some(&false));
    kept.map(|(at, content)| folded.remove(&at).unwrap_or(content))
        .collect()
}

/// Everything that boxes which look alike have in common.
fn describe(content: &Content, out: &mut String) {
    let facts = content.facts.iter().filter(|word| !is_place(word));
    let said = content.title.iter().skip(1).chain(facts);
    // Writing to a String cannot fail, and no control character is left in an escaped text.
    write!(out, "{:?}{}", content.tint, content.count).unwrap_or_default();
    for word in said {
        write!(out, "\n{}", word.text).unwrap_or_default();
    }
    for row in &content.rows {
        write!(out, "\n\r{}", row.depth).unwrap_or_default();
        for word in &row.words {
            write!(out, "\n{}", word.text).unwrap_or_default();
        }
    }
    for inner in &content.inner {
        out.push('\x01');
        describe(inner, out);
        out.push('\x02');
    }
}

/// Whether a word says below which process a box hangs.
fn is_place(word: &Word) -> bool {
    word.mood == Mood::Faint && word.text.starts_with("below ")
}

/// The first of a crowd, as all of it.
fn merge(mut first: Content, last: &Content, count: usize) -> Content {
    if let (Some(name), Some(other)) = (first.title.first_mut(), last.title.first())
        && name.text != other.text
    {
        name.text = format!("{} … {}", name.text, other.text);
    }
    let times = format!("×{}", thousands(count));
    first.tooltip.push_str(&format!(", {times}"));
    first.title.insert(1, word(Mood::Count, times));
    first.count = first.count.saturating_mul(count);
    strip(&mut first, last);
    first
}

/// PIDs as from the first to the last; without what is only the first one's.
fn strip(first: &mut Content, last: &Content) {
    first.facts.retain(|word| !is_place(word));
    first.foot.clear();
    for (row, other) in first.rows.iter_mut().zip(&last.rows) {
        extend_pids(&mut row.pids, &other.pids);
    }
    for (inner, other) in first.inner.iter_mut().zip(&last.inner) {
        strip(inner, other);
    }
}

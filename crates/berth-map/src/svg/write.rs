//! The picture as SVG 1.1 with the `prefers-color-scheme` of today's readers.

use std::fmt::Write as _;

use super::escape::push_text;
use super::flow::{INSET, PILL};
use super::picture::{Cell, Link, Mood, Note, Panel, Picture, Pill, Word};
use super::style::SHEET;

/// The radius of a box's corners, and of a pill's.
const ROUND: f64 = 10.0;
const ROUND_PILL: f64 = PILL / 2.0;
/// From the top of a pill to the baseline of its letters.
const BASELINE: f64 = 13.0;

/// Writes a picture as a whole document.
pub(super) fn document(picture: &Picture) -> String {
    let mut out = String::with_capacity(8192 + picture.pills.len() * 700);
    let (width, height) = (picture.size.width, picture.size.height);
    put(
        &mut out,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"berth-map\" role=\"img\" \
             aria-labelledby=\"berth-map-title berth-map-desc\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title id=\"berth-map-title\">"
        ),
    );
    push_text(&mut out, &picture.title);
    out.push_str("</title>\n<desc id=\"berth-map-desc\">");
    push_text(&mut out, &describe(picture));
    out.push_str("</desc>\n<style>\n");
    out.push_str(SHEET);
    out.push_str("</style>\n<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n");
    for panel in &picture.panels {
        push_panel(&mut out, panel);
    }
    push_links(&mut out, &picture.links);
    for note in &picture.notes {
        push_note(&mut out, note, "faint");
    }
    for pill in &picture.pills {
        push_pill(&mut out, pill);
    }
    out.push_str("</svg>\n");
    out
}

/// Writing to a String cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

fn describe(picture: &Picture) -> String {
    format!(
        "Namespaces as nested boxes, the host outermost ({} boxes). Each process is a pill: its \
         name, its PID on the host, then its PID at each level below ({} pills).",
        picture.panels.len(),
        picture.pills.len()
    )
}

fn push_panel(out: &mut String, panel: &Panel) {
    out.push_str("<g><title>");
    push_text(out, &panel.tooltip);
    out.push_str("</title>");
    let shifts: &[f64] = if panel.is_crowd {
        &[6.0, 3.0, 0.0]
    } else {
        &[0.0]
    };
    for shift in shifts {
        let rect = panel.rect;
        put(
            out,
            format_args!(
                "<rect class=\"box {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{ROUND}\"/>",
                panel.tint.as_str(),
                rect.x + shift,
                rect.y + shift,
                rect.width,
                rect.height
            ),
        );
    }
    put(
        out,
        format_args!(
            "<text class=\"title\" x=\"{}\" y=\"{}\">",
            panel.title.x, panel.title.y
        ),
    );
    push_words(out, &panel.title.words, 10, "sub ");
    out.push_str("</text>");
    for note in &panel.notes {
        push_note(out, note, "note");
    }
    out.push_str("</g>\n");
}

fn push_note(out: &mut String, note: &Note, class: &str) {
    put(
        out,
        format_args!("<text class=\"{class}\" x=\"{}\" y=\"{}\">", note.x, note.y),
    );
    push_words(out, &note.words, 10, "");
    out.push_str("</text>");
}

/// Words in a row, `gap` pixels apart; all but the first have a class more.
fn push_words(out: &mut String, words: &[Word], gap: u32, rest: &str) {
    for (at, word) in words.iter().enumerate() {
        let mood = match word.mood {
            Mood::Plain => "",
            Mood::Faint => "faint",
            Mood::Alarm => "alarm",
            Mood::Count => "count",
        };
        if at == 0 && mood.is_empty() {
            push_text(out, &word.text);
            continue;
        }
        let (gap, rest) = if at == 0 { (0, "") } else { (gap, rest) };
        let class = format!("{rest}{mood}");
        put(
            out,
            format_args!("<tspan dx=\"{gap}\" class=\"{}\">", class.trim_end()),
        );
        push_text(out, &word.text);
        out.push_str("</tspan>");
    }
}

/// All lines in one path.
fn push_links(out: &mut String, links: &[Link]) {
    if links.is_empty() {
        return;
    }
    out.push_str("<path class=\"link\" d=\"");
    for Link { from, to } in links {
        put(
            out,
            format_args!("M{} {}V{}H{}", from.0, from.1, to.1, to.0),
        );
    }
    out.push_str("\"/>\n");
}

fn push_pill(out: &mut String, pill: &Pill) {
    let class = match (pill.is_odd, pill.is_context) {
        (_, true) => " class=\"context\"",
        (true, false) => " class=\"odd\"",
        (false, false) => "",
    };
    put(out, format_args!("<g{class}><title>"));
    push_text(out, &pill.tooltip);
    let rect = pill.rect;
    put(
        out,
        format_args!(
            "</title><rect class=\"pill\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" \
             rx=\"{ROUND_PILL}\"/>",
            rect.x, rect.y, rect.width, rect.height
        ),
    );
    for (at, cell) in pill.cells.iter().enumerate() {
        push_cell(out, cell, rect.y, at + 1 == pill.cells.len());
    }
    if !pill.cells.is_empty() {
        out.push_str("<path class=\"link\" d=\"");
        for cell in &pill.cells {
            put(out, format_args!("M{} {}v{PILL}", cell.x, rect.y));
        }
        out.push_str("\"/>");
    }
    put(
        out,
        format_args!(
            "<text x=\"{}\" y=\"{}\">",
            rect.x + INSET,
            rect.y + BASELINE
        ),
    );
    push_words(out, &pill.words, 7, "");
    out.push_str("</text></g>\n");
}

/// A cell; the last one has the round end of its pill.
fn push_cell(out: &mut String, cell: &Cell, y: f64, is_last: bool) {
    let Cell { x, width, .. } = *cell;
    let class = cell.tint.as_str();
    if is_last {
        let straight = width - ROUND_PILL;
        put(
            out,
            format_args!(
                "<path class=\"cell {class}\" d=\"M{x} {y}h{straight}a{ROUND_PILL} {ROUND_PILL} 0 \
                 0 1 0 {PILL}h-{straight}z\"/>"
            ),
        );
    } else {
        put(
            out,
            format_args!(
                "<rect class=\"cell {class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" \
                 height=\"{PILL}\"/>"
            ),
        );
    }
    let (end, baseline) = (x + width - INSET * 0.75, y + BASELINE);
    put(
        out,
        format_args!("<text class=\"pid\" x=\"{end}\" y=\"{baseline}\">"),
    );
    push_text(out, &cell.text);
    out.push_str("</text>");
}

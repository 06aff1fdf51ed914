//! Cells as the bytes that paint them (ECMA-48). Pure.

use std::fmt::Write as _;

use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::style::{Color, Modifier};

/// Between these a terminal that knows them (mode 2026) shows nothing half painted.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// Resets colours and clears the screen.
const CLEAR: &str = "\x1b[0m\x1b[2J";

/// The modifiers that are used, with their codes.
const MODIFIERS: [(Modifier, &str); 4] = [
    (Modifier::BOLD, ";1"),
    (Modifier::DIM, ";2"),
    (Modifier::UNDERLINED, ";4"),
    (Modifier::REVERSED, ";7"),
];

/// Paints everything.
pub(super) fn whole(next: &Buffer) -> Vec<u8> {
    let before = Buffer::empty(next.area);
    paint(CLEAR, &before, next)
}

/// Paints the cells that have changed; nothing where none has.
pub(super) fn difference(shown: &Buffer, next: &Buffer) -> Vec<u8> {
    paint("", shown, next)
}

fn paint(first: &str, shown: &Buffer, next: &Buffer) -> Vec<u8> {
    let changed = shown.diff(next);
    if changed.is_empty() && first.is_empty() {
        return Vec::new();
    }
    let mut text = String::with_capacity(changed.len() * 2 + 64);
    text.push_str(BEGIN);
    text.push_str(first);
    let mut pen: Option<(Color, Color, Modifier)> = None;
    let mut place = None;
    for (x, y, cell) in changed {
        if place != Some((x, y)) {
            write(&mut text, format_args!("\x1b[{};{}H", y + 1, x + 1));
        }
        let wanted = (cell.fg, cell.bg, cell.modifier);
        if pen != Some(wanted) {
            set_pen(&mut text, cell);
            pen = Some(wanted);
        }
        text.push_str(cell.symbol());
        // After text whose width terminals may see otherwise, the place is told anew.
        place = is_sure(cell.symbol()).then_some((x + 1, y));
    }
    text.push_str("\x1b[0m");
    text.push_str(END);
    text.into_bytes()
}

/// Whether every terminal agrees that a text is one cell wide: ASCII, lines and blocks.
fn is_sure(symbol: &str) -> bool {
    symbol.is_ascii()
        || symbol
            .chars()
            .all(|c| ('\u{2500}'..='\u{259f}').contains(&c))
}

/// Select Graphic Rendition, from nothing.
fn set_pen(text: &mut String, cell: &Cell) {
    text.push_str("\x1b[0");
    for (modifier, code) in MODIFIERS {
        if cell.modifier.contains(modifier) {
            text.push_str(code);
        }
    }
    if let Color::Indexed(place) = cell.fg {
        write(text, format_args!(";38;5;{place}"));
    }
    if let Color::Indexed(place) = cell.bg {
        write(text, format_args!(";48;5;{place}"));
    }
    text.push('m');
}

fn write(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    text.write_fmt(what).ok();
}

//! Names that are chosen to do harm.

use std::num::NonZero;

use berth_map::model::Engine;
use proptest::prelude::*;

use super::View;
use super::fake::{Fake, process};
use crate::tui::ansi;
use crate::tui::input::Key;

const NAMES: [&str; 12] = [
    "\x1b[2J\x1b[31m",
    "a\nb\rc\td",
    "\u{9b}31m",
    "日本語プロセス",
    "e\u{301}\u{301}\u{301}\u{301}\u{301}",
    "\u{202e}gpj.exe",
    "🇩🇪👩\u{200d}👩\u{200d}👧👍🏽",
    "\u{1100}\u{1161}\u{11a8}",
    "x\u{fe0f}y\u{fe0e}",
    "\u{feff}\u{200b}\u{2066}",
    "",
    "┏━ forged ━━━━━━━━━━━━━━",
];

fn host(names: &[&str]) -> Fake {
    let mut fake = Fake::empty();
    for (number, name) in (100..).zip(names) {
        fake.container(name, Engine::Docker, number, u64::from(number) * 100, name);
    }
    for (number, name) in (5000..).zip(names) {
        fake.processes.push(process(&[number], 1, name));
    }
    fake
}

/// The bytes of a screen read back by a terminal, and the cells as they were meant.
fn check(view: &View) {
    let buffer = view.buffer();
    let bytes = ansi::whole(&buffer);
    let text = String::from_utf8(bytes.clone()).unwrap();
    for (at, c) in text.char_indices() {
        let is_ours = c == '\x1b' && text[at + 1..].starts_with('[');
        assert!(!c.is_control() || is_ours, "{c:?}");
    }
    let area = buffer.area;
    let mut terminal = vt100::Parser::new(size(area.height), size(area.width), 0);
    terminal.process(&bytes);
    for y in 0..area.height {
        for x in 0..area.width {
            let seen = terminal.screen().cell(y, x).unwrap();
            let meant = &buffer[(x, y)];
            if seen.is_wide_continuation() {
                continue;
            }
            let seen = match seen.contents() {
                "" => " ",
                text => text,
            };
            assert_eq!(seen, meant.symbol(), "at {x},{y}");
        }
    }
}

fn size(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

#[test]
fn no_name_reaches_the_terminal_raw_or_moves_a_column() {
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut view = View::of(&mut host(&NAMES), width, height);
        check(&view);
        for keys in ["d", "v", "/e", "i", "a"] {
            view.keys(keys);
            check(&view);
            view.press(Key::Escape);
        }
        for _ in 0..60 {
            view.press(Key::Down);
            check(&view);
        }
        view.keys("c");
        check(&view);
    }
}

#[test]
fn columns_are_where_they_are_without_such_names() {
    let view = View::of(&mut host(&NAMES), 80, 70);
    let text = view.text();
    let column = |part: &str| -> Vec<usize> {
        use unicode_width::UnicodeWidthStr as _;
        let lines = text.lines().filter(|line| line.contains(part));
        lines.map(|line| line.width()).collect()
    };
    // PIDs are at the right edge of their column.
    let widths = column(" 50");
    assert_eq!(widths.len(), NAMES.len(), "{text}");
    assert!(widths.iter().all(|w| *w == widths[0]), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_name_is_drawn_as_meant(names in proptest::collection::vec("\\PC{0,16}|[\\x00-\\xff]{0,16}", 1..6)) {
        // The terminal of this test swallows the replacement character.
        let names: Vec<String> = names.iter().map(|name| name.replace('\u{fffd}', "?")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut view = View::of(&mut host(&names), 80, 24);
        check(&view);
        view.keys("d");
        check(&view);
    }
}

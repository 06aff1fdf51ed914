//! Progress on a terminal: a line for each item under way, redrawn in place on standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use berth_base::escape_untrusted;
use berth_image::{Progress, Stage};
use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthChar;

use super::failure::Console;
use crate::view::size;

/// How often the lines are drawn.
const PAUSE: Duration = Duration::from_millis(100);
/// The most lines that are drawn at once.
const LINES_MAX: usize = 12;
/// Cells of a bar.
const BAR_CELLS: u64 = 24;

/// Shows progress where standard error is a terminal; notes are shown everywhere.
pub(super) struct Bars {
    console: Console,
    state: Option<Mutex<State>>,
}

#[derive(Default)]
struct State {
    items: Vec<Item>,
    lines: usize,
    drawn: Option<Instant>,
}

struct Item {
    name: String,
    stage: Stage,
    done: u64,
    total: Option<u64>,
}

impl Bars {
    /// Begins; `quiet` shows notes alone.
    pub(super) fn new(console: Console, quiet: bool) -> Self {
        let shows = !quiet && io::stderr().is_terminal();
        Self {
            console,
            state: shows.then(Mutex::default),
        }
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        if let Some(state) = &self.state {
            let mut state = state.lock().unwrap_or_else(|e| e.into_inner());
            change(&mut state);
        }
    }
}

impl Progress for Bars {
    fn begin(&self, item: &str, stage: Stage, done: u64, total: Option<u64>) {
        self.with(|state| {
            state.items.retain(|known| known.name != item);
            state.items.push(Item {
                name: item.to_owned(),
                stage,
                done,
                total,
            });
            state.draw();
        });
    }

    fn advance(&self, item: &str, bytes: u64) {
        self.with(|state| {
            if let Some(known) = state.items.iter_mut().find(|known| known.name == item) {
                known.done += bytes;
            }
            state.draw();
        });
    }

    fn end(&self, item: &str, word: &str) {
        self.with(|state| {
            state.items.retain(|known| known.name != item);
            state.say(&format!("{}: {word}", escape_untrusted(item)));
        });
    }

    fn note(&self, text: &str) {
        self.with(State::clear);
        self.console.warn(text);
    }
}

/// A failure is reported below what was drawn, not into it.
impl Drop for Bars {
    fn drop(&mut self) {
        self.with(State::clear);
    }
}

impl State {
    /// Draws the items, unless that was done a moment ago.
    fn draw(&mut self) {
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE) {
            return;
        }
        let mut text = self.erase();
        self.lines = self.items.len().min(LINES_MAX);
        let columns = columns();
        for item in self.items.iter().take(LINES_MAX) {
            text.push_str(&cut(&item.line(), columns));
            text.push('\n');
        }
        self.drawn = Some(Instant::now());
        write(&text);
    }

    /// Writes a line that stays.
    fn say(&mut self, line: &str) {
        let text = format!("{}{}\n", self.erase(), cut(line, columns()));
        (self.lines, self.drawn) = (0, None);
        write(&text);
    }

    fn clear(&mut self) {
        let text = self.erase();
        (self.lines, self.drawn) = (0, None);
        write(&text);
    }

    /// Back to where the lines began, and everything below away (ECMA-48 CPL and ED).
    fn erase(&self) -> String {
        match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}F\x1b[J"),
        }
    }
}

impl Item {
    fn line(&self) -> String {
        let verb = match self.stage {
            Stage::Waiting => "waiting for another process",
            Stage::Downloading => "downloading",
            Stage::Uploading => "uploading",
            Stage::Copying => "copying",
            Stage::Unpacking => "unpacking",
            Stage::Packing => "packing",
            Stage::Comparing => "comparing",
        };
        let name = escape_untrusted(&self.name);
        let done = size::decimal(self.done);
        match self.total.filter(|total| *total > 0) {
            None if self.done == 0 => format!("{name}: {verb}"),
            None => format!("{name}: {verb} {done}"),
            Some(total) => {
                let filled = (self.done.min(total) * BAR_CELLS / total).min(BAR_CELLS);
                let cells = |count: u64, cell: &str| cell.repeat(count.try_into().unwrap_or(0));
                let bar = cells(filled, "=") + &cells(BAR_CELLS - filled, " ");
                let total = size::decimal(total);
                format!("{name}: {verb} [{bar}] {done} of {total}")
            }
        }
    }
}

fn columns() -> usize {
    let size = tcgetwinsize(io::stderr());
    match size.map_or(0, |size| usize::from(size.ws_col)) {
        0 => 80,
        columns => columns,
    }
}

/// As much of a line as fits, so that it stays one.
fn cut(line: &str, columns: usize) -> String {
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    line.chars().take_while(fits).collect()
}

/// A terminal that does not take it cannot be told of that either.
fn write(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let item = |done, total| Item {
            name: "0123456789ab".to_owned(),
            stage: Stage::Copying,
            done,
            total,
        };
        insta::assert_snapshot!(item(500_000, Some(1_000_000)).line(), @"0123456789ab: copying [============            ] 500kB of 1MB");
        insta::assert_snapshot!(item(5, None).line(), @"0123456789ab: copying 5B");
        assert_eq!(cut("abcdef", 4), "abc");
        assert_eq!(cut("\u{754c}\u{754c}", 4), "\u{754c}");
        let hostile = Item {
            name: "\x1b[2J".to_owned(),
            ..item(0, Some(0))
        };
        assert!(!hostile.line().contains('\x1b'));
    }
}

//! The view over hosts that exist nowhere: what keys do, and what the screen shows.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod cost;
mod fake;
mod hostile;
mod keys;
mod picture;
mod screens;
mod time;

use std::time::Duration;

use berth_base::NamespaceKind;
use berth_map::draw::{Inodes, KernelThreads, Style, Threads};
use berth_map::live::Update;
use ratatui_core::buffer::Buffer;

use super::input::{Input, Key, Pointer};
use super::state::{Action, Settings, State};
use super::theme::Theme;
use super::view;

/// A view, its screen and its clock.
struct View {
    state: State,
    theme: Theme,
    ms: u64,
}

fn settings() -> Settings {
    Settings {
        lens: NamespaceKind::Pid,
        scope: None,
        kernel_threads: KernelThreads::Folded,
        threads: Threads::Strays,
        inodes: Inodes::Hidden,
        is_recording: false,
    }
}

impl View {
    fn new(width: u16, height: u16) -> Self {
        let mut state = State::new(settings());
        state.resize(width, height);
        Self {
            state,
            theme: Theme {
                color: false,
                characters: Style::Unicode,
            },
            ms: 0,
        }
    }

    /// A view of a host, long after its processes began.
    fn of(fake: &mut fake::Fake, width: u16, height: u16) -> Self {
        let mut view = Self::new(width, height);
        view.hear(fake.frame(0));
        view
    }

    /// An update comes, and is shown.
    fn hear(&mut self, update: Update) {
        self.state.update(update);
        self.wait(200);
    }

    /// Time passes.
    fn wait(&mut self, ms: u64) {
        self.ms += ms;
        self.state.tick(Duration::from_millis(self.ms));
    }

    fn press(&mut self, key: Key) -> Action {
        self.state.input(Input::Key(key))
    }

    /// Types characters.
    fn keys(&mut self, text: &str) {
        for c in text.chars() {
            self.press(Key::Char(c));
        }
    }

    fn click(&mut self, column: u16, row: u16) {
        self.state.input(Input::Click(Pointer { column, row }));
    }

    fn buffer(&self) -> Buffer {
        let mut buffer = Buffer::empty(self.state.screen());
        view::paint(&self.state, self.theme, &mut buffer);
        buffer
    }

    /// The screen as text, without the blanks at the ends of lines.
    fn text(&self) -> String {
        let buffer = self.buffer();
        let width = usize::from(buffer.area.width);
        let lines = buffer.content.chunks(width).map(|cells| {
            let mut line = String::new();
            let mut skip = 0;
            for cell in cells {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                line.push_str(cell.symbol());
                skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            }
            line.trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The line of the screen that holds a text.
    fn line(&self, part: &str) -> Option<String> {
        let text = self.text();
        let found = text.lines().find(|line| line.contains(part));
        found.map(str::to_owned)
    }

    /// The row of that line.
    fn row(&self, part: &str) -> u16 {
        let text = self.text();
        let found = text.lines().position(|line| line.contains(part));
        u16::try_from(found.unwrap_or_else(|| panic!("no {part:?} in\n{text}"))).unwrap()
    }

    /// The name that the chosen line shows.
    fn chosen(&self) -> String {
        let line = self.state.tree.chosen().unwrap();
        line.row.label[0].text.clone().into_owned()
    }
}

//! `berth map --watch`: the terminal UI over a live feed.

use std::io::{self, IsTerminal as _};

use berth_map::draw::{MapOptions, Style};

use super::super::failure::Failure;
use super::super::pid::sources;
use super::super::{Context, Outcome};
use super::live::report;
use super::{Map, speaks_unicode, wants_color};
use crate::tui::{self, End, Settings, Signals, Source, Theme};

impl Map {
    /// Shows the map until the user leaves.
    pub(super) fn watch(&self, context: &mut Context) -> Outcome {
        check_terminal()?;
        // Before the feed's thread, which would take signals otherwise.
        let signals = Signals::take()?;
        let feed = self.feed(context)?;
        let host = match self.replay {
            Some(_) => None,
            None => Some(sources(context)?),
        };
        let source = Source {
            recording: self.recording(&feed)?,
            feed,
            host,
        };
        let theme = theme(self.ascii, self.no_color);
        let (end, recording) = tui::run(self.settings(), theme, signals, source)?;
        if let Some(recording) = recording {
            report(context, recording)?;
        }
        Ok(match end {
            End::Left => 0,
            End::Signal(number) => 128 + number,
        })
    }

    fn settings(&self) -> Settings {
        let MapOptions {
            lens,
            kernel_threads,
            threads,
            inodes,
            ..
        } = self.options(Default::default(), true);
        Settings {
            lens,
            scope: self.scope.clone(),
            kernel_threads,
            threads,
            inodes,
            is_recording: self.replay.is_some(),
        }
    }
}

/// What the terminal can show.
fn theme(ascii: bool, no_color: bool) -> Theme {
    let variable = |name: &str| std::env::var(name).ok();
    Theme {
        color: !no_color && wants_color(variable),
        characters: match ascii || !speaks_unicode(variable) {
            true => Style::Ascii,
            false => Style::Unicode,
        },
    }
}

/// Refuses what is no terminal, at either end.
fn check_terminal() -> Result<(), Failure> {
    let missing = match (io::stdin().is_terminal(), io::stdout().is_terminal()) {
        (true, true) => return Ok(()),
        (false, _) => "standard input",
        (true, false) => "standard output",
    };
    let mut failure = Failure::usage(format!("--watch needs a terminal, and {missing} is none"));
    failure.hint = Some(
        "\"berth map\" draws the map once, \"berth map --json\" writes it for programs".to_owned(),
    );
    Err(failure)
}

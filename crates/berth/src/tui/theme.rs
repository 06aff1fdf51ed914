//! Colours and characters, with and without what a terminal may lack.

use berth_map::draw::{Glyphs, Ink, Style as Characters};
use ratatui_core::style::{Color, Modifier, Style};

/// How the screen is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Whether the terminal shows colours.
    pub(crate) color: bool,
    /// Which characters it shows.
    pub(crate) characters: Characters,
}

/// Places in the palette of 256, of middling lightness like the map's own.
const GREEN: u8 = 34;
const RED: u8 = 160;
const BLUE: u8 = 32;
const YELLOW: u8 = 172;

impl Theme {
    /// The characters of lines and borders.
    pub(super) fn glyphs(self) -> &'static Glyphs {
        Glyphs::of(self.characters)
    }

    /// The style of an ink of the map.
    pub(super) fn ink(self, ink: Ink) -> Style {
        let mut style = match ink.color() {
            Some(color) if self.color => Style::new().fg(Color::Indexed(color)),
            _ => Style::new(),
        };
        if ink.is_bold() {
            style = style.add_modifier(Modifier::BOLD);
        }
        if ink == Ink::Faint && !self.color {
            style = style.add_modifier(Modifier::DIM);
        }
        style
    }

    fn tinted(self, color: u8) -> Style {
        if self.color {
            Style::new().fg(Color::Indexed(color))
        } else {
            Style::new()
        }
    }

    /// Less weighty.
    pub(super) fn faint(self) -> Style {
        self.ink(Ink::Faint)
    }

    /// To be noticed.
    pub(super) fn alarm(self) -> Style {
        self.ink(Ink::Alarm)
    }

    /// Headings.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What has just begun.
    pub(super) fn fresh(self) -> Style {
        self.tinted(GREEN).add_modifier(Modifier::BOLD)
    }

    /// What has just ended.
    pub(super) fn ended(self) -> Style {
        self.tinted(RED)
    }

    /// What ended a moment ago.
    pub(super) fn fading(self) -> Style {
        self.faint().add_modifier(Modifier::DIM)
    }

    /// Time that is not now.
    pub(super) fn past(self) -> Style {
        self.tinted(YELLOW).add_modifier(Modifier::BOLD)
    }

    /// The first and the last line.
    pub(super) fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The choice in a row of choices, on a bar.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// The line that keys act on.
    pub(super) fn cursor(self) -> Style {
        // One colour all along: reversed ones would be a row of blocks.
        Style::new()
            .fg(Color::Reset)
            .remove_modifier(Modifier::DIM)
            .add_modifier(Modifier::REVERSED)
    }

    /// Lines around panes.
    pub(super) fn frame(self) -> Style {
        self.tinted(BLUE)
    }

    /// Columns of the timeline: starts.
    pub(super) fn starts(self) -> Style {
        self.tinted(GREEN)
    }

    /// Columns of the timeline: exits.
    pub(super) fn exits(self) -> Style {
        self.tinted(RED)
    }

    /// One of two characters, as the terminal knows them.
    pub(super) fn either(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self.characters {
            Characters::Unicode => unicode,
            Characters::Ascii => ascii,
        }
    }
}

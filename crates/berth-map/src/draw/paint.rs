//! Colours of a terminal (ECMA-48 SGR, with the palette of 256 that all of today's have).

use super::Color;
use crate::picture::{Hue, Tone};

/// What a piece of text is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As the terminal is set.
    Plain,
    /// Bold.
    Strong,
    /// Grey.
    Faint,
    /// To be noticed.
    Alarm,
    /// The border of a box, and PIDs that it counts.
    Border(Hue),
    /// The name of a box.
    Box(Hue),
}

impl Ink {
    /// Its place in the palette of 256 colours; `None` for the terminal's own.
    pub fn color(self) -> Option<u8> {
        match self {
            Self::Plain | Self::Strong => None,
            Self::Faint => Some(FAINT),
            Self::Alarm => Some(ALARM),
            Self::Border(hue) | Self::Box(hue) => HUES.get(hue.0 % HUES.len()).copied(),
        }
    }

    /// Whether it is bold.
    pub fn is_bold(self) -> bool {
        matches!(self, Self::Strong | Self::Alarm | Self::Box(_))
    }
}

impl From<Tone> for Ink {
    fn from(tone: Tone) -> Self {
        match tone {
            Tone::Name | Tone::Plain => Self::Plain,
            Tone::Faint => Self::Faint,
            Tone::Alarm => Self::Alarm,
        }
    }
}

/// Places in the palette of 256 for the hues of boxes: blue, green, purple, orange, teal, pink.
/// All of middling lightness, so that black and white both show them.
const HUES: [u8; Hue::COUNT] = [32, 29, 134, 166, 30, 162];
/// Red, and grey, likewise.
const ALARM: u8 = 160;
const FAINT: u8 = 243;

/// Puts text in colour, or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brush {
    color: Color,
}

impl Brush {
    /// A brush that colours when told to.
    pub(super) fn new(color: Color) -> Self {
        Self { color }
    }

    /// Appends text in its colour.
    pub(super) fn paint(self, out: &mut String, text: &str, ink: Ink) {
        let code = match (ink.color(), ink.is_bold()) {
            _ if self.color == Color::Never || text.trim().is_empty() => None,
            (None, false) => None,
            (None, true) => Some("1".to_owned()),
            (Some(color), false) => Some(format!("38;5;{color}")),
            (Some(color), true) => Some(format!("1;38;5;{color}")),
        };
        match code {
            None => out.push_str(text),
            Some(code) => {
                out.push_str("\x1b[");
                out.push_str(&code);
                out.push('m');
                out.push_str(text);
                out.push_str("\x1b[0m");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colour cube and the grey ramp of the palette of 256, as xterm has them.
    fn rgb(code: u8) -> [f64; 3] {
        if code >= 232 {
            return [f64::from(code - 232) * 10.0 + 8.0; 3];
        }
        let level = |n: u8| {
            if n == 0 {
                0.0
            } else {
                f64::from(n) * 40.0 + 55.0
            }
        };
        let n = code - 16;
        [level(n / 36), level(n / 6 % 6), level(n % 6)]
    }

    /// Relative luminance (WCAG 2.1).
    fn luminance(code: u8) -> f64 {
        let linear = |c: f64| {
            let c = c / 255.0;
            if c <= 0.039_28 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        let [r, g, b] = rgb(code).map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    #[test]
    fn every_colour_can_be_read_on_black_and_on_white() {
        for code in HUES.into_iter().chain([ALARM, FAINT]) {
            let l = luminance(code);
            // WCAG's least contrast for bold and large text is 3.
            assert!((1.0 + 0.05) / (l + 0.05) >= 3.0, "{code} on white");
            assert!((l + 0.05) / 0.05 >= 3.0, "{code} on black");
        }
    }

    #[test]
    fn without_colour_there_is_no_escape() {
        let mut text = String::new();
        for ink in [Ink::Strong, Ink::Alarm, Ink::Box(Hue(3)), Ink::Faint] {
            Brush::new(Color::Never).paint(&mut text, "x", ink);
        }
        assert_eq!(text, "xxxx");
        Brush::new(Color::Always).paint(&mut text, "y", Ink::Alarm);
        assert!(text.ends_with("\x1b[1;38;5;160my\x1b[0m"));
    }
}

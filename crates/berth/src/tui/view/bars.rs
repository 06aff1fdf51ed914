//! The lines above and below the tree.

use std::time::Duration;

use berth_map::draw::Order;
use berth_map::live::EventSource;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use super::brush::Brush;
use super::timeline::short;
use crate::tui::state::{LENSES, Panel, Played, State};
use crate::tui::theme::Theme;

/// Keys, as the last line names them: the most needed first.
const HINTS: [(&str, &str); 10] = [
    ("/", "search"),
    ("tab", "lens"),
    ("d", "details"),
    ("enter", "fold"),
    ("f", "filter"),
    ("e", "engine"),
    ("c", "container"),
    ("s", "sort"),
    ("?", "help"),
    ("q", "quit"),
];

/// Those of a recording.
const PLAY_HINTS: [(&str, &str); 3] = [("p", "pause"), ("< >", "speed"), ("{ }", "jump")];

/// Paints the first line: lenses, filter, order, time.
pub(super) fn paint_bar(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, theme.bar());
    let plain = Style::new();
    let mut brush = Brush::new(buffer, area, theme);
    let (time, style) = time(state, theme);
    brush
        .right(" ", plain)
        .right(&time, style)
        .right(" ", plain);
    if let Some(recorded) = state.recorded.as_ref().filter(|r| r.failure.is_none()) {
        let text = format!("REC {} KiB ", recorded.bytes.div_ceil(1024));
        brush.right(&text, theme.strong());
    }
    for lens in LENSES {
        let is_chosen = lens == state.lens;
        let name = lens.as_str();
        let (text, style) = match is_chosen {
            true => (format!("[{name}]"), theme.chosen()),
            false => (format!(" {name} "), plain),
        };
        brush.text(&text, style);
    }
    if !LENSES.contains(&state.lens) {
        let text = format!("[{}]", state.lens.as_str());
        brush.text(&text, theme.chosen());
    }
    if let Some(filter) = &state.filter {
        brush
            .text("  filter ", plain)
            .text(&filter.text, theme.chosen());
    }
    let order = match state.order {
        Order::Pid => None,
        Order::Start => Some("youngest first"),
        Order::Name => Some("by name"),
        Order::Processes => Some("largest first"),
        Order::Container => Some("by container"),
    };
    if let Some(order) = order {
        brush.text("  ", plain).text(order, theme.chosen());
    }
}

/// What moment is shown.
fn time(state: &State, theme: Theme) -> (String, Style) {
    if let Some(ago) = state.clock.ago() {
        let wall = state.wall(Duration::ZERO).unwrap_or_default();
        // The time of day alone: it is minutes ago.
        let time = wall.get(11..19).unwrap_or_default();
        return (
            format!("PAST {time} -{}", short(ago.as_secs())),
            theme.chosen(),
        );
    }
    let text = match (&state.ended, state.played) {
        (Some(_), _) => "END".to_owned(),
        (None, Some(played)) => describe_play(played),
        (None, None) => "LIVE".to_owned(),
    };
    (text, theme.strong())
}

/// `REPLAY 2m10s of 14m00s x2`.
fn describe_play(played: Played) -> String {
    let (start, end) = played.span;
    let done = short(start.until(played.position).as_secs());
    let all = short(start.until(end).as_secs());
    let word = if played.is_paused { "PAUSED" } else { "REPLAY" };
    let mut text = format!("{word} {done} of {all}");
    if (played.speed - 1.0).abs() > 0.001 {
        text.push_str(&format!(" x{}", played.speed));
    }
    text
}

/// Paints what does not work.
pub(super) fn paint_notes(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let troubles = state.troubles();
    let mut brush = Brush::new(buffer, area, theme);
    if troubles.len() > 1 {
        let more = format!(" {} more: ?", troubles.len() - 1);
        brush.right(&more, theme.alarm());
    }
    if let Some(first) = troubles.first() {
        brush.text("! ", theme.alarm()).text(first, theme.alarm());
    }
}

/// Paints the last line: a prompt, a notice, or the keys.
pub(super) fn paint_foot(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut brush = Brush::new(buffer, area, theme);
    match &state.panel {
        Panel::Search { text, matches, .. } => {
            if !matches.text.is_empty() {
                brush.right(&matches.sentence(), theme.strong());
                brush.right("  ", Style::new());
            }
            prompt(&mut brush, "/", text, theme);
        }
        Panel::Filter { text, error } => {
            if let Some(error) = error {
                brush.right(error, theme.alarm()).right("  ", Style::new());
            }
            prompt(&mut brush, "filter: ", text, theme);
        }
        Panel::None | Panel::Help { .. } => match state.notice() {
            Some(notice) => drop(brush.text(notice, theme.strong())),
            None => paint_hints(state, theme, &mut brush),
        },
    }
}

fn prompt(brush: &mut Brush, name: &str, text: &str, theme: Theme) {
    brush.text(name, theme.strong()).text(text, Style::new());
    brush.text(theme.either("▏", "_"), theme.strong());
}

fn paint_hints(state: &State, theme: Theme, brush: &mut Brush) {
    let (at, count) = state.tree.position();
    let source = state.health().map(|health| match health.events {
        EventSource::Bpf => "events by bpf",
        EventSource::Connector => "events by connector",
        EventSource::Snapshots => "events by snapshots",
    });
    let place = format!("{}/{count}", (at + 1).min(count));
    brush.right(&place, theme.faint());
    if let Some(source) = source {
        brush.right("  ", Style::new()).right(source, theme.faint());
    }
    if let Some((matches, chosen)) = &state.found {
        let text = format!(
            "{}: {}/{}  n next  N previous  ",
            matches.sentence(),
            chosen + 1,
            matches.all.len()
        );
        brush.text(&text, theme.strong());
    }
    let of_recording = match state.played {
        Some(_) => &PLAY_HINTS[..],
        None => &[],
    };
    for (key, what) in of_recording.iter().chain(&HINTS) {
        if brush.room() < key.len() + what.len() + 3 {
            break;
        }
        brush
            .text(key, theme.strong())
            .text(" ", Style::new())
            .text(what, theme.faint())
            .text("  ", Style::new());
    }
}

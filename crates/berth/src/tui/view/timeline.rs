//! Paints starts and exits over time, and which moment is shown.

use berth_map::live::Density;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use super::brush::Brush;
use crate::tui::layout::timeline_columns;
use crate::tui::state::{State, Timeline};
use crate::tui::theme::Theme;

/// Bars of rising height.
const UNICODE: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII: [&str; 9] = [" ", ".", ":", "-", "=", "+", "*", "%", "#"];

/// Paints it into two lines or three: starts, exits where there is room for them apart, and time.
pub(super) fn paint(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let columns = timeline_columns(area);
    let timeline = state.clock.timeline(columns.width);
    let starts = |d: &Density| d.started;
    let exits = |d: &Density| d.ended;
    let both = |d: &Density| d.started.saturating_add(d.ended);
    let lines: &[Measure] = if area.height > 2 {
        &[
            ("starts", &starts, Theme::starts),
            ("exits", &exits, Theme::exits),
        ]
    } else {
        &[("events", &both, Theme::starts)]
    };
    for (y, measure) in (area.y..).zip(lines) {
        let row = Rect {
            y,
            height: 1,
            ..area
        };
        paint_bars(&timeline, measure, theme, row, buffer);
    }
    let axis = Rect {
        y: area.y + area.height - 1,
        height: 1,
        ..area
    };
    paint_axis(state, &timeline, theme, axis, buffer);
    if state.clock.ago().is_some() {
        let cursor = Rect {
            x: columns.x + u16::try_from(timeline.cursor).unwrap_or(0),
            y: area.y,
            width: 1,
            height: area.height - 1,
        };
        buffer.set_style(cursor, theme.cursor());
    }
}

/// A name, what is counted, and its style.
type Measure<'a> = (&'a str, &'a dyn Fn(&Density) -> u32, fn(Theme) -> Style);

fn paint_bars(
    timeline: &Timeline,
    (name, count, style): &Measure,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let columns = timeline_columns(area);
    let counts: Vec<u32> = timeline.columns.iter().map(count).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    Brush::new(buffer, area, theme)
        .text(name, theme.faint())
        .until(columns.x)
        .right(&format!("{} ", rate(timeline, most)), theme.faint());
    let bars = match theme.characters {
        berth_map::draw::Style::Unicode => UNICODE,
        berth_map::draw::Style::Ascii => ASCII,
    };
    let mut brush = Brush::new(buffer, columns, theme);
    for count in counts {
        let height = match (count, most) {
            (0, _) | (_, 0) => 0,
            // Something is never nothing.
            (count, most) => (u64::from(count) * 8).div_ceil(u64::from(most)),
        };
        let bar = usize::try_from(height).ok().and_then(|h| bars.get(h));
        brush.text(bar.unwrap_or(&" "), style(theme));
    }
}

/// The largest column as so many a second.
fn rate(timeline: &Timeline, most: u32) -> String {
    let count = u32::try_from(timeline.columns.len()).unwrap_or(u32::MAX);
    let seconds = timeline.from.until(timeline.to).as_secs_f64() / f64::from(count.max(1));
    let rate = f64::from(most) / seconds.max(0.001);
    match most {
        0 => "0".to_owned(),
        _ if rate < 9.95 => format!("{rate:.1}/s"),
        _ => format!("{rate:.0}/s"),
    }
}

/// How far back the left end is, and where we are.
fn paint_axis(state: &State, timeline: &Timeline, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let columns = timeline_columns(area);
    let minutes = timeline.span.as_secs() / 60;
    let line = theme.either("─", "-");
    Brush::new(buffer, columns, theme)
        .right("now", theme.faint())
        .text(&format!("-{minutes} min "), theme.faint())
        .fill(line, theme.faint());
    let Some(ago) = state.clock.ago() else { return };
    let text = format!(" -{} ", short(ago.as_secs()));
    let width = u16::try_from(text.len())
        .unwrap_or(columns.width)
        .min(columns.width);
    let middle = columns.x + u16::try_from(timeline.cursor).unwrap_or(0);
    let x = middle
        .saturating_sub(width / 2)
        .clamp(columns.x, columns.x + columns.width - width);
    let label = Rect {
        x,
        width,
        ..columns
    };
    Brush::new(buffer, label, theme).text(&text, theme.past());
}

/// `3m12s`.
pub(super) fn short(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

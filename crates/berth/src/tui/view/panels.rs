//! What lies over the tree: matches of a search, and the keys.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::brush::Brush;
use crate::tui::state::{Match, Matches, State};
use crate::tui::theme::Theme;

/// All keys.
const HELP: &[(&str, &str)] = &[
    ("", "MOVE"),
    ("up down  j k", "one line"),
    ("pgup pgdn", "one window"),
    ("g G", "first, last line"),
    ("enter space", "fold or unfold what stands below"),
    ("z", "fold all boxes; unfold everything"),
    ("", "FIND"),
    (
        "/",
        "search: a PID at any level, web:29, or a part of a name",
    ),
    ("n N", "next, previous match"),
    (
        "f",
        "filter: docker, web, web:7, 31995, net:4026532300; empty for all",
    ),
    ("e", "next engine"),
    ("c", "the container of the chosen line; again for all"),
    ("s", "sort: by PID, youngest, name, size, container"),
    ("", "LOOK"),
    (
        "tab shift-tab",
        "boxes by pid, net, mnt, user, cgroup namespace",
    ),
    ("d", "details"),
    ("J K", "scroll the details"),
    ("v", "command lines, which may hold secrets"),
    ("a", "kernel threads, one by one"),
    ("i", "numbers of namespaces"),
    ("", "TIME"),
    ("left right", "back, forth by one column of the timeline"),
    ("[ ]", "previous, next start or exit"),
    ("home end", "ten minutes back; now. Of a recording its ends"),
    ("p < >", "of a recording: stand still, slower, faster"),
    ("{ }", "of a recording: a minute back, forth"),
    ("", "MARKS"),
    ("+  -", "has just begun; has just ended, and how"),
    ("HOST!", "shared with the host"),
    ("=web", "shared with container web"),
    ("<= from", "born outside, by exec or nsenter"),
    ("", "MOUSE"),
    (
        "click",
        "choose; fold a box; go to a moment of the timeline",
    ),
    ("wheel", "scroll"),
    ("", "LEAVE"),
    ("q esc ctrl-c", "leave"),
    ("ctrl-z  ctrl-l", "stop, as a shell does; paint anew"),
];

/// Cells of the keys.
const KEYS: usize = 15;

/// Cells of the pane, with its frame.
const PANE: u16 = 80;

/// Everything that help says: what does not work, the keys, what watching costs. Each line with its
/// key: `!` for a trouble, a blank for other text, nothing for a headline.
fn help(state: &State) -> Vec<(&'static str, String)> {
    let troubles = state.troubles();
    let troubles = troubles.iter().map(String::as_str).collect();
    let mut lines = listed(state, "WHAT DOES NOT WORK", "!", troubles);
    lines.extend(HELP.iter().map(|(key, what)| (*key, (*what).to_owned())));
    lines.extend(listed(state, "WHAT WATCHING COSTS", " ", state.costs()));
    lines
}

/// A headline and texts, broken at blanks.
fn listed(
    state: &State,
    title: &str,
    mark: &'static str,
    texts: Vec<&str>,
) -> Vec<(&'static str, String)> {
    let room = usize::from(state.screen().width.min(PANE)).saturating_sub(5);
    let mut lines = Vec::new();
    for text in texts {
        let broken = wrap(text, room).into_iter().enumerate();
        lines.extend(broken.map(|(at, line)| (if at == 0 { mark } else { " " }, line)));
    }
    if !lines.is_empty() {
        lines.insert(0, ("", title.to_owned()));
    }
    lines
}

/// A text in lines of so many cells, broken at blanks.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How many lines that takes.
pub(crate) fn help_lines(state: &State) -> usize {
    help(state).len()
}

/// How many of them a screen shows.
pub(crate) fn help_window(screen: Rect) -> usize {
    usize::from(screen.height.saturating_sub(2))
}

/// Paints all that, from a line on.
pub(super) fn paint_help(state: &State, top: usize, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let lines = help(state);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let inner = open(area, PANE, height, "keys", theme, buffer);
    let rows = (inner.y..inner.y + inner.height).zip(lines.iter().skip(top));
    for (y, (key, what)) in rows {
        let row = Rect {
            y,
            height: 1,
            ..inner
        };
        let mut brush = Brush::new(buffer, row, theme);
        match *key {
            "" => brush.text(what, theme.faint()),
            "!" => brush.text(" ! ", theme.alarm()).text(what, Style::new()),
            " " => brush.text("   ", Style::new()).text(what, Style::new()),
            key => {
                let key = format!(" {key:<KEYS$} ");
                brush.text(&key, theme.strong()).text(what, Style::new())
            }
        };
    }
}

/// Paints what a search found, at the lower end of the tree.
pub(super) fn paint_matches(
    matches: &Matches,
    chosen: usize,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    if matches.text.is_empty() {
        return;
    }
    let rows = u16::try_from(matches.all.len().max(1) + 2).unwrap_or(u16::MAX);
    let height = rows.min((area.height * 2 / 3).max(4)).min(area.height);
    let lower = Rect {
        y: area.y + area.height - height,
        height,
        ..area
    };
    let inner = open(
        lower,
        lower.width,
        height,
        &matches.sentence(),
        theme,
        buffer,
    );
    let window = usize::from(inner.height);
    let top = (chosen + 1).saturating_sub(window);
    let rows = matches.all.iter().enumerate().skip(top);
    for (y, (at, found)) in (inner.y..inner.y + inner.height).zip(rows) {
        let row = Rect {
            y,
            height: 1,
            ..inner
        };
        paint_match(found, theme, row, buffer);
        if at == chosen {
            buffer.set_style(row, theme.cursor());
        }
    }
}

/// `web:29  nginx worker` and its PIDs, as the columns have them.
fn paint_match(found: &Match, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let pids: Vec<String> = found.pids.iter().map(u32::to_string).collect();
    let inner = found.pids.last().copied().unwrap_or(found.pid.get());
    let place = match found.pids.len() {
        1 if found.place == "host" => format!("host:{inner}"),
        _ => format!("{}:{inner}", found.place),
    };
    Brush::new(buffer, area, theme)
        .right(&pids.join(theme.either(" → ", " > ")), theme.strong())
        .right("  ", Style::new())
        .text(" ", Style::new())
        .text(&found.name, theme.strong())
        .text("  ", Style::new())
        .text(&place, Style::new());
}

/// Opens a framed pane in the middle of an area; what is inside of it.
fn open(
    area: Rect,
    width: u16,
    height: u16,
    title: &str,
    theme: Theme,
    buffer: &mut Buffer,
) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let pane = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    for y in pane.y..pane.y + pane.height {
        let row = Rect {
            y,
            height: 1,
            ..pane
        };
        let mut brush = Brush::new(buffer, row, theme);
        brush.fill(" ", Style::reset());
        let mut brush = Brush::new(buffer, row, theme);
        let style = theme.frame();
        if y == pane.y {
            brush
                .text(theme.either("┌ ", "+ "), style)
                .text(title, theme.strong());
            brush
                .right(theme.either("┐", "+"), style)
                .text(" ", style)
                .fill(theme.either("─", "-"), style);
        } else if y + 1 == pane.y + pane.height {
            brush
                .right(theme.either("┘", "+"), style)
                .text(theme.either("└", "+"), style)
                .fill(theme.either("─", "-"), style);
        } else {
            brush.right(theme.either("│", "|"), style);
            brush.text(theme.either("│", "|"), style);
        }
    }
    Rect {
        x: pane.x + 1,
        y: pane.y + 1,
        width: pane.width.saturating_sub(2),
        height: pane.height.saturating_sub(2),
    }
}

//! What a person sees and does.

use crate::Named;
use crate::terminal::{Start, Terminal};

#[test]
fn a_process_is_searched_found_and_described() {
    let named = Named::start("bt-wanted");
    let pid = named.child.id().to_string();
    let mut terminal = Terminal::watch(&Start {
        columns: 200,
        rows: 50,
        ..Start::default()
    });
    terminal.press("/bt-wan");
    terminal.wait_for("bt-wan names one process");
    terminal.press("\r");
    terminal.wait_for(&format!("{pid:<8}on the host"));
    // What only the procfs tells comes a moment later.
    terminal.wait_for("caps");
    terminal.wait_for("mounts");
    assert!(!terminal.text().contains("sleep 600"));
    terminal.press("v");
    terminal.wait_for("sleep 600");
    terminal.press(&format!("/{pid}"));
    terminal.wait_for(&format!("{pid} is "));
    terminal.press("\x1b");
    terminal.wait_until("the end of the prompt", |t| {
        !t.text().contains("is one process")
    });
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn births_and_ends_show_and_can_be_gone_back_to() {
    let mut terminal = Terminal::watch(&Start::default());
    let mut named = Named::start("bt-fleeting");
    terminal.press("/bt-fleeting");
    terminal.wait_for("bt-fleeting names one process");
    terminal.press("\r");
    terminal.wait_until("the mark of a birth, or its absence", |t| {
        t.text()
            .lines()
            .any(|l| l.contains("bt-fleeting") && l.contains('─'))
    });
    named.child.kill().unwrap();
    named.child.wait().unwrap();
    terminal.wait_until("the mark of an end", |t| {
        let text = t.text();
        let mut lines = text.lines();
        lines.any(|l| l.starts_with('-') && l.contains("bt-fleeting"))
    });
    let is_told =
        terminal.text().contains("events by snapshots") || { terminal.text().contains("SIGKILL") };
    assert!(is_told, "{}", terminal.text());
    terminal.wait_until("it to be gone", |t| {
        !t.text()
            .lines()
            .any(|l| l.contains("bt-fleeting") && l.contains('─'))
    });
    // Back to when it was there.
    terminal.press("\x1b[H");
    terminal.wait_for("PAST");
    terminal.press("\x1b\x1b[F");
    terminal.wait_for("LIVE");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn tab_turns_the_lens_and_back() {
    let mut terminal = Terminal::watch(&Start::default());
    for lens in ["[net]", "[mnt]", "[user]", "[cgroup]", "[pid]"] {
        terminal.press("\t");
        terminal.wait_for(lens);
    }
    terminal.press("\x1b[Z");
    terminal.wait_for("[cgroup]");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn every_size_is_drawn() {
    let mut terminal = Terminal::watch(&Start::default());
    for (rows, columns, part) in [
        (24, 80, "proc"),
        (50, 200, "spaces    "),
        (8, 40, "proc"),
        (5, 30, "too small"),
        (1, 1, ""),
        (60, 120, "proc"),
    ] {
        terminal.resize(rows, columns);
        terminal.wait_for(part);
    }
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.check_left();
}

#[test]
fn the_mouse_chooses_and_scrolls() {
    // More lines than the window has, whatever else the host runs.
    let _crowd: Vec<Named> = (0..8).map(|_| Named::start("bt-crowd")).collect();
    let mut terminal = Terminal::watch(&Start {
        rows: 10,
        ..Start::default()
    });
    let first = terminal.text().lines().nth(2).unwrap().to_owned();
    terminal.press("\x1b[<0;10;5M\x1b[<0;10;5m");
    terminal.wait_until("a choice in the fourth line", |t| {
        t.screen().cell(4, 10).unwrap().inverse()
    });
    terminal.press("\x1b[<65;10;5M");
    terminal.wait_until("another first line", |t| {
        t.text().lines().nth(2).is_some_and(|line| line != first)
    });
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn a_poor_terminal_gets_no_colour_and_no_line_characters() {
    for (key, value) in [("TERM", "dumb"), ("NO_COLOR", "1")] {
        let mut terminal = Terminal::watch(&Start {
            environment: &[(key, value), ("LANG", "C")],
            ..Start::default()
        });
        terminal.press("d");
        terminal.wait_for("details");
        let screen = terminal.screen();
        let cells = (0..30).flat_map(|y| (0..100).map(move |x| (y, x)));
        for (y, x) in cells {
            let cell = screen.cell(y, x).unwrap();
            assert!(cell.contents().is_ascii(), "{:?}", cell.contents());
            assert_eq!(cell.fgcolor(), vt100::Color::Default);
            assert_eq!(cell.bgcolor(), vt100::Color::Default);
        }
        terminal.press("q");
        assert_eq!(terminal.end(), 0);
    }
}

#[test]
fn a_hostile_name_stays_a_name() {
    let name = "\u{1b}[31mx\u{1b}[2J";
    let _named = Named::start(name);
    let mut terminal = Terminal::watch(&Start::default());
    terminal.press("/[31mx");
    terminal.wait_for("\\x1b[31mx\\x1b[2J");
    terminal.wait_for("proc");
    terminal.press("\x03");
    assert_eq!(terminal.end(), 0);
}

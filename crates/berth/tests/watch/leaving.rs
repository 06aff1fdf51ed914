//! The terminal is given back, whatever happens.

use std::time::Duration;

use rustix::process::Signal;

use crate::terminal::{Start, Terminal, berth};

#[test]
fn keys_that_leave_give_the_terminal_back() {
    for keys in ["q", "\x1b", "\x03"] {
        let mut terminal = Terminal::watch(&Start::default());
        assert!(terminal.is_taken());
        let mouse = terminal.screen().mouse_protocol_mode();
        assert_eq!(mouse, vt100::MouseProtocolMode::ButtonMotion);
        terminal.press(keys);
        assert_eq!(terminal.end(), 0, "{keys:?}");
        terminal.check_left();
    }
}

#[test]
fn signals_that_end_it_give_the_terminal_back() {
    for (signal, code) in [
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::INT, 130),
        (Signal::QUIT, 131),
    ] {
        let mut terminal = Terminal::watch(&Start::default());
        terminal.signal(signal);
        assert_eq!(terminal.end(), code);
        terminal.check_left();
    }
}

#[test]
fn a_stop_lends_the_terminal_and_a_resize_meanwhile_is_seen() {
    for is_key in [true, false] {
        let mut terminal = Terminal::watch(&Start::default());
        match is_key {
            true => terminal.press("\x1a"),
            false => terminal.signal(Signal::TSTP),
        }
        terminal.wait_until("stop", |t| t.state() == 'T');
        terminal.check_left();
        terminal.resize(20, 70);
        terminal.signal(Signal::CONT);
        terminal.wait_until("its return", |t| t.is_taken() && t.text().contains("proc"));
        terminal.wait_until("the new size", |t| t.text().lines().count() <= 20);
        terminal.press("q");
        assert_eq!(terminal.end(), 0);
        terminal.check_left();
    }
}

#[test]
fn a_stop_that_nobody_announced_is_survived() {
    let mut terminal = Terminal::watch(&Start::default());
    terminal.signal(Signal::STOP);
    terminal.wait_until("stop", |t| t.state() == 'T');
    terminal.signal(Signal::CONT);
    terminal.press("?");
    terminal.wait_for("MOVE");
    terminal.press("qq");
    assert_eq!(terminal.end(), 0);
    terminal.check_left();
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let terminal = Terminal::watch(&Start::default());
    let mut child = terminal.hang_up();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if std::time::Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it goes on without a terminal");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(!status.success());
}

#[test]
fn without_a_terminal_it_says_what_there_is_instead() {
    let folder = tempfile::tempdir().unwrap();
    let output = berth(folder.path())
        .args(["map", "--watch"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stdout.is_empty());
    for part in ["--watch needs a terminal", "\"berth map\"", "--json"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_is_misspelled_is_said_before_the_screen_is_taken() {
    let mut terminal = Terminal::start(&Start {
        arguments: &["map", "--watch", "nosuchcontainer"],
        ..Start::default()
    });
    assert_eq!(terminal.end(), 1);
    assert!(
        terminal.text().contains("nosuchcontainer"),
        "{}",
        terminal.text()
    );
    terminal.check_left();
}

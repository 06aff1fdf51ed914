//! Recording what happens, and looking at it later.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Named;
use crate::terminal::{Start, Terminal, berth};

/// Waits until a file has grown beyond a size.
fn wait_for_bytes(file: &std::path::Path, least: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(file).map_or(0, |m| m.len()) <= least {
        assert!(Instant::now() < deadline, "nothing is recorded");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_was_recorded_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("incident");
    let mut named = Named::start("bt-recorded");
    let recorder = berth(folder.path())
        .args(["map", "--record", "incident"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_bytes(&file, 200);
    named.child.kill().unwrap();
    named.child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    kill_process(Pid::from_child(&recorder), Signal::INT).unwrap();
    let output = recorder.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("Ctrl-C ends it") && text.contains("recorded "),
        "{text}"
    );

    let path = file.to_str().unwrap();
    let arguments = ["map", "--watch", "--replay", path];
    let mut terminal = Terminal::watch(&Start {
        arguments: &arguments,
        ..Start::default()
    });
    // The process is gone from the host, and there in the recording, at whose beginning we stop.
    terminal.press("p");
    terminal.wait_for("PAUSED");
    terminal.press("\x1b[H");
    terminal.press("/bt-recorded");
    terminal.wait_for("bt-recorded names one process");
    terminal.press("\r");
    terminal.press("d");
    terminal.wait_for("details");
    terminal.press("p\x1b[F");
    terminal.wait_for("END");
    terminal.press("\x1b");
    std::thread::sleep(Duration::from_millis(300));
    terminal.press("\x1b[H");
    terminal.wait_for("REPLAY");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.check_left();
}

#[test]
fn a_view_can_record_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("incident");
    let path = file.to_str().unwrap();
    let mut terminal = Terminal::watch(&Start {
        arguments: &["map", "--watch", "--record", path],
        ..Start::default()
    });
    terminal.wait_for("REC ");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
    terminal.check_left();
    terminal.wait_for("recorded ");
    assert!(std::fs::metadata(&file).unwrap().len() > 100);
    // It is not written over.
    let output = berth(folder.path())
        .args(["map", "--record", path])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("there is such a file"), "{text}");
}

#[test]
fn what_is_no_recording_is_refused() {
    for (text, word) in [
        (None, "cannot read"),
        (Some("hello, world\n"), "not a recording"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let path = file.to_str().unwrap();
        let mut terminal = Terminal::start(&Start {
            arguments: &["map", "--replay", path],
            columns: 200,
            ..Start::default()
        });
        assert_eq!(terminal.end(), 1);
        assert!(terminal.text().contains(word), "{}", terminal.text());
        terminal.check_left();
    }
}

#[test]
fn a_recording_that_is_cut_off_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("incident");
    let recorder = berth(folder.path())
        .args(["map", "--record", "incident"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_bytes(&file, 200);
    // Something happens, so that there is more than the first frame.
    for _ in 0..5 {
        Command::new("true").status().unwrap();
        std::thread::sleep(Duration::from_millis(400));
    }
    kill_process(Pid::from_child(&recorder), Signal::INT).unwrap();
    recorder.wait_with_output().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 20]).unwrap();
    let path = file.to_str().unwrap();
    let mut terminal = Terminal::watch(&Start {
        arguments: &["map", "--replay", path],
        ..Start::default()
    });
    terminal.press("\x1b[F");
    terminal.wait_for("END");
    terminal.wait_for("it ends here");
    terminal.press("q");
    assert_eq!(terminal.end(), 0);
}

//! `berth logs`.

use std::io::{BufRead, BufReader};

use crate::support::{Berth, eventually, exit_code};

#[test]
fn both_streams_tails_and_times() {
    let berth = Berth::new();
    // A line has the time at which it was read: each is there before the next is written.
    let read = format!("{}:/read", berth.path("").display());
    let script = "for i in 1 2 3; do echo line $i; until [ -e /read/$i ]; do sleep 0.01; done; done; \
                  echo bad >&2; printf end";
    berth.ok(&[
        "run", "-d", "--name", "a", "-v", &read, "host", "sh", "-c", script,
    ]);
    for line in ["1", "2", "3"] {
        eventually("the line", || berth.ok(&["logs", "a"]).ends_with(line));
        std::fs::write(berth.path(line), "").unwrap();
    }
    berth.ok(&["wait", "a"]);
    let done = berth.run(&["logs", "a"]);
    assert_eq!(
        (done.out.as_str(), done.err.as_str()),
        ("line 1\nline 2\nline 3\nend", "bad\n")
    );
    let tail = berth.run(&["logs", "-n", "2", "a"]);
    assert_eq!((tail.out.as_str(), tail.err.as_str()), ("end", "bad\n"));
    assert_eq!(berth.run(&["logs", "--tail", "0", "a"]).out, "");
    let times = berth.run(&["logs", "-t", "a"]).out;
    let first = times.lines().next().unwrap();
    let (time, text) = first.split_once(' ').unwrap();
    assert_eq!(text, "line 1");
    assert!(time.ends_with('Z') && time.len() == 30, "{time}");
    let second = times.lines().nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(berth.run(&["logs", "--until", time, "a"]).out, "line 1\n");
    assert!(
        berth
            .run(&["logs", "--since", second, "a"])
            .out
            .starts_with("line 2\n")
    );
    assert_eq!(berth.run(&["logs", "--since", "0s", "a"]).out, "");
}

#[test]
fn following_ends_with_the_container() {
    let berth = Berth::new();
    let script = "echo one; sleep 0.5; echo two; sleep 0.3; echo three";
    berth.background("a", script);
    let mut child = berth.spawn(&["logs", "-f", "a"]);
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines: Vec<String> = out.lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["one", "two", "three"]);
    assert_eq!(exit_code(&mut child), 0);
}

#[test]
fn following_ends_with_its_reader() {
    let berth = Berth::new();
    berth.background("a", "echo one; sleep 1000");
    let mut child = berth.spawn(&["logs", "-f", "a"]);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    drop(out);
    assert_eq!(exit_code(&mut child), 0);
}

#[test]
fn a_container_that_never_ran_has_no_log() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "a", "host", "true"]);
    assert_eq!(berth.ok(&["logs", "a"]), "");
    assert_eq!(berth.ok(&["logs", "-f", "a"]), "");
}

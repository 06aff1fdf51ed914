//! `berth logs`.

use std::io::{BufRead, BufReader};

use crate::support::{Berth, exit_code};

#[test]
fn both_streams_tails_and_times() {
    let berth = Berth::new();
    let script = "for i in 1 2 3; do echo line $i; sleep 0.05; done; echo bad >&2; printf end";
    berth.background("a", script);
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

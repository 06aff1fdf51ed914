//! Commands and environments that are longer than a packet of the monitor's socket.

use std::fmt::Write as _;

use crate::support::{Berth, eventually};
use crate::world::{monitor_of, sessions};

/// A file for `--env-file` with 30 variables of 100,000 characters.
fn environment(berth: &Berth) -> String {
    let mut text = String::new();
    for number in 0..30 {
        writeln!(text, "V{number}={}", "y".repeat(100_000)).unwrap();
    }
    let path = berth.path("environment");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The stack of a process bounds what it may be given: a quarter of it.
const STACK: [&str; 2] = ["--ulimit", "stack=67108864"];

#[test]
fn a_container_with_a_long_environment_takes_sessions() {
    let berth = Berth::new();
    let file = environment(&berth);
    let begin = ["run", "-d", "--name", "a", "--env-file", &file];
    berth.ok(&[&begin[..], &STACK, &["host", "sleep", "1000"]].concat());
    assert_eq!(
        berth.ok(&["exec", "a", "sh", "-c", "echo ${#V29}"]),
        "100000"
    );
    // One that is listed, with what was asked for.
    berth.ok(&["exec", "-d", "a", "sleep", "1000"]);
    assert_eq!(sessions(&berth, "a").len(), 1);
    let listed = berth.ok(&["exec", "ls", "--format", "{{.Command}}", "a"]);
    assert_eq!(listed, "\"sleep 1000\"");
}

#[test]
fn a_session_takes_a_long_environment_and_a_long_command() {
    let berth = Berth::new();
    let file = environment(&berth);
    let begin = ["run", "-d", "--name", "a"];
    berth.ok(&[&begin[..], &STACK, &["host", "sleep", "1000"]].concat());
    let monitor = monitor_of(&berth, "a");
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{monitor}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        line.unwrap()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .unwrap()
    };
    berth.ok(&["exec", "a", "true"]);
    let before = memory();
    let with_file = ["exec", "--env-file", &file, "a", "sh", "-c", "echo ${#V0}"];
    assert_eq!(berth.ok(&with_file), "100000");
    // The monitor lives long: what it read is not kept.
    eventually("the monitor to give the memory back", || {
        memory() < before + 1024
    });
    let words = vec!["0123456789"; 20_000];
    let said = berth.ok(&[&["exec", "a", "echo"][..], &words].concat());
    assert_eq!(said.len(), 20_000 * 11 - 1);
    // With a terminal, and in JSON many times as long as it is.
    let bells = "\u{7}".repeat(100_000);
    let length = ["exec", "-t", "a", "sh", "-c", "echo ${#1}", "sh", &bells];
    assert_eq!(berth.ok(&length), "100000");
}

/// What the kernel does not take is said with its limits, by `run` and by `exec`.
#[test]
fn what_is_too_long_for_linux_is_named() {
    let berth = Berth::new();
    let file = environment(&berth);
    let one = berth.path("one");
    std::fs::write(&one, format!("LONG={}\n", "y".repeat(200_000))).unwrap();
    let one = one.to_str().unwrap();
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--ulimit",
        "stack=8388608",
        "host",
        "sleep",
        "1000",
    ]);
    let done = berth.run(&["exec", "--env-file", one, "a", "true"]);
    insta::assert_snapshot!(done.err, @r#"berth: cannot run "true": argument list too long; the variable LONG has 200006 bytes, and Linux takes 131072 in one"#);
    assert_eq!(done.code, 126);
    let done = berth.run(&["exec", "--env-file", &file, "a", "true"]);
    assert!(
        done.err.contains(
            "Linux takes a quarter of the limit of the stack (--ulimit stack), at most 6 MiB"
        ),
        "{}",
        done.err
    );
    let done = berth.run(&["run", "--rm", "--env-file", one, "host", "true"]);
    assert!(
        done.err.contains("the variable LONG has 200006 bytes"),
        "{}",
        done.err
    );
}

/// It was "ended without a word".
#[test]
fn a_program_with_a_long_name_is_answered() {
    let berth = Berth::new();
    berth.background("a", "sleep 1000");
    let name = "x".repeat(10_000);
    for before in [&["exec", "a"][..], &["run", "--rm", "host"]] {
        let done = berth.run(&[before, &[&name]].concat());
        assert_eq!(done.code, 126, "{}", done.err);
        let said = format!("cannot run \"{}...\": file name too long", "x".repeat(200));
        assert!(done.err.contains(&said), "{}", done.err);
    }
}

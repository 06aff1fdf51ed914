//! `berth events` that stays: what it shows as it happens, and how it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};

use crate::cli::{Berth, exit_code, signal};
use crate::support::all;

/// A follower that is known to listen.
struct Follower {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Follower {
    /// Makes an event and waits until it is shown, again and again: a follower that was late for one
    /// is there for the next.
    fn start(berth: &Berth, arguments: &[&str]) -> Self {
        let format = ["events", "--format", "{{.Action}} {{.Actor.ID}}"];
        let mut child = berth.spawn(&[&format[..], arguments].concat());
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        berth.ok(&["volume", "create", "first"]);
        // With --since it begins before that.
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "create first\n");
        Self { child, lines }
    }

    fn until(&mut self, last: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "{seen:?}");
            seen.push(line.trim_end().to_owned());
            if seen.last().is_some_and(|line| line == last) {
                return seen;
            }
        }
    }
}

#[test]
fn events_are_shown_as_they_happen() {
    let berth = Berth::new();
    let mut follower = Follower::start(&berth, &["--since", "1h"]);
    let id = berth.ok(&["create", "host", "true"]);
    berth.ok(&["start", &id]);
    berth.ok(&["rm", "-f", &id]);
    let destroyed = format!("destroy {id}");
    let seen = follower.until(&destroyed);
    let words: Vec<&str> = seen
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(words.first(), Some(&"create"));
    assert!(
        words.contains(&"start") && words.contains(&"die"),
        "{words:?}"
    );
    signal(&follower.child, rustix::process::Signal::INT);
    assert_eq!(exit_code(&mut follower.child), -2);
}

/// The journal is moved out of the way every few events, under a follower that sees each once.
#[test]
fn a_rotation_is_not_seen() {
    let berth = Berth::new();
    let config = berth.path("config/berth");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(
        config.join("config.toml"),
        "[events]\nmax-size = \"64k\"\nmax-files = 100\n",
    )
    .unwrap();
    let home = berth.path("config");
    let run = |arguments: &[&str]| {
        let mut command = berth.command(arguments);
        let done = command.env("XDG_CONFIG_HOME", &home).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    };
    let mut follower = Follower::start(&berth, &["--since", "1h"]);
    let label = format!("long={}", "x".repeat(25_000));
    let mut expected = Vec::new();
    for _ in 0..12 {
        let id = run(&["create", "--label", &label, "host", "true"]);
        run(&["rm", &id]);
        expected.extend([format!("create {id}"), format!("destroy {id}")]);
    }
    assert!(berth.path("root/events/journal.jsonl.3").exists());
    assert_eq!(follower.until(expected.last().unwrap()), expected);
    assert_eq!(all(&berth).len(), 25);
    follower.child.kill().unwrap();
    follower.child.wait().unwrap();
}

#[test]
fn it_ends_when_its_time_is_over_or_its_reader_leaves() {
    let berth = Berth::new();
    berth.ok(&["volume", "create", "first"]);
    // A moment ahead.
    let done = berth.run(&["events", "--until", "-50ms", "--format", "{{.Action}}"]);
    assert_eq!((done.code, done.out.as_str()), (0, "create\n"));
    let mut follower = Follower::start(&berth, &["--since", "1h"]);
    drop(follower.lines);
    // Whether it notices now or with the next event: it is no error.
    assert_eq!(exit_code(&mut follower.child), 0);
}

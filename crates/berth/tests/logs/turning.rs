//! Files that are turned while they are written and read.

use std::io::Read as _;

use crate::support::{Berth, eventually, exit_code};

const LINES: usize = 200_000;

fn wanted(lines: usize) -> String {
    (1..=lines).map(|number| format!("{number}\n")).collect()
}

fn folder(berth: &Berth) -> std::path::PathBuf {
    berth.path("root/containers").join(&berth.ids()[0])
}

/// A few MiB through files of 512 KiB that are compressed meanwhile, followed from the first line to
/// the last, read at the end, and read in part: every line once, whole and in its order.
#[test]
fn no_line_is_lost_or_torn() {
    let berth = Berth::new();
    let script = format!("seq 1 {LINES}");
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--log-opt",
        "max-size=512k",
        "--log-opt",
        "max-file=100",
        "--log-opt",
        "compress=true",
        "host",
        "sh",
        "-c",
        &script,
    ]);
    let mut follower = berth.spawn(&["logs", "-f", "a"]);
    let mut followed = String::new();
    let mut out = follower.stdout.take().unwrap();
    out.read_to_string(&mut followed).unwrap();
    assert_eq!(exit_code(&mut follower), 0);
    let wanted = wanted(LINES);
    assert!(
        followed == wanted,
        "{} of {} bytes",
        followed.len(),
        wanted.len()
    );
    assert!(berth.run(&["logs", "a"]).out == wanted);
    let tail = berth.run(&["logs", "-n", "150000", "a"]).out;
    assert!(wanted.ends_with(&tail) && tail.lines().count() == 150_000);
    let times = berth.run(&["logs", "-t", "a"]).out;
    let middle = times
        .lines()
        .nth(LINES / 2)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let since = berth.run(&["logs", "--since", middle, "a"]).out;
    let until = berth.run(&["logs", "--until", middle, "a"]).out;
    // Records of one moment are in both.
    assert!(wanted.ends_with(&since) && wanted.starts_with(&until));
    assert!(since.len() + until.len() >= wanted.len());
    eventually("the compression of turned files", || {
        folder(&berth).join("log.json.2.gz").exists()
    });
    assert!(berth.run(&["logs", "a"]).out == wanted);
}

#[test]
fn there_are_three_files_of_ten_mebibytes_unless_told() {
    let berth = Berth::new();
    let script = "head -c 40000000 /dev/zero | tr '\\0' x | fold -w 1000";
    berth.ok(&["run", "-d", "--name", "a", "host", "sh", "-c", script]);
    berth.ok(&["wait", "a"]);
    let folder = folder(&berth);
    for name in ["log.json", "log.json.1", "log.json.2"] {
        let length = folder.join(name).metadata().unwrap().len();
        assert!((1..=10 << 20).contains(&length), "{name}: {length}");
    }
    assert!(!folder.join("log.json.3").exists());
    assert_eq!(berth.run(&["logs", "-n", "2", "a"]).out.len(), 1001 + 1000);
}

#[test]
fn local_is_turned_and_compressed() {
    let berth = Berth::new();
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--log-driver",
        "local",
        "--log-opt",
        "max-size=100k",
        "--log-opt",
        "max-file=50",
        "host",
        "seq",
        "1",
        "50000",
    ]);
    berth.ok(&["wait", "a"]);
    let wanted = wanted(50_000);
    assert!(berth.run(&["logs", "a"]).out == wanted);
    eventually("the compression of turned files", || {
        folder(&berth).join("log.local.3.gz").exists()
    });
    assert!(berth.run(&["logs", "a"]).out == wanted);
    let tail = berth.run(&["logs", "-n", "45000", "a"]).out;
    assert!(wanted.ends_with(&tail) && tail.lines().count() == 45_000);
}

/// More than a pipe and all waiting files hold, while nobody reads: what is missing is said, and no
/// line is torn or out of order.
#[test]
fn a_follower_who_is_too_slow_says_what_is_missing() {
    let berth = Berth::new();
    let source = format!("{}:/asked", berth.path("").display());
    let lines = 80_000;
    let script = format!(
        "echo 0; until [ -e /asked/go ]; do sleep 0.05; done; seq 1 {lines}; touch /asked/done"
    );
    let max = ["--log-opt", "max-size=100k", "--log-opt", "max-file=3"];
    let start = ["run", "-d", "--name", "a", "-v", &source];
    berth.ok(&[&start[..], &max, &["host", "sh", "-c", &script]].concat());
    let mut follower = berth.spawn(&["logs", "-f", "a"]);
    // One who came later could not know what it missed.
    let mut first = [0; 2];
    let out = follower.stdout.as_mut().unwrap();
    out.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"0\n");
    std::fs::write(berth.path("go"), "").unwrap();
    eventually("the last line", || berth.path("done").exists());
    let (mut followed, mut said) = (String::new(), String::new());
    let out = follower.stdout.as_mut().unwrap();
    out.read_to_string(&mut followed).unwrap();
    let err = follower.stderr.as_mut().unwrap();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(exit_code(&mut follower), 0);
    let numbers: Vec<usize> = followed.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.last() == Some(&lines));
    assert!(numbers.len() < lines);
    let opening = "berth: the log of container a was turned faster than it was read: ";
    let all_begin = said.lines().all(|line| line.starts_with(opening));
    assert!(all_begin && !said.is_empty(), "{said}");
}

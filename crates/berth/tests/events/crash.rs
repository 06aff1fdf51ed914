//! No end is missed and none told twice, whoever dies on the way.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cli::{Berth, eventually, is_alive};
use crate::support::about;

/// The pid of a container's keeper, and of its monitor.
fn caretakers(berth: &Berth, id: &str) -> Vec<u32> {
    let run = berth.path(&format!("state/containers/{id}/run.json"));
    let run: Value = serde_json::from_slice(&std::fs::read(run).unwrap()).unwrap();
    let keeper = run["keeper"].as_u64().unwrap();
    let children = format!("/proc/{keeper}/task/{keeper}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let monitor = children.split_whitespace().map(|pid| pid.parse().unwrap());
    std::iter::once(u32::try_from(keeper).unwrap())
        .chain(monitor)
        .collect()
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

fn deaths(berth: &Berth, id: &str) -> usize {
    let events = about(berth, id);
    events
        .iter()
        .filter(|event| *event == "container die")
        .count()
}

fn start(berth: &Berth, name: &str) -> (String, u32) {
    let id = berth.ok(&["run", "-d", "--name", name, "host", "sleep", "1000"]);
    let pid = berth.ok(&["inspect", "--format", "{{.State.Pid}}", name]);
    (id, pid.parse().unwrap())
}

#[test]
fn an_end_that_nobody_saw_is_told_by_who_finds_it() {
    for how in [
        &["wait", "web"][..],
        &["system", "restore"],
        &["start", "web"],
    ] {
        let berth = Berth::new();
        let (id, pid) = start(&berth, "web");
        let caretakers = caretakers(&berth, &id);
        assert_eq!(caretakers.len(), 2, "{caretakers:?}");
        caretakers.iter().for_each(|pid| kill(*pid));
        eventually("their end", || !caretakers.iter().any(|pid| is_alive(*pid)));
        kill(pid);
        eventually("its end", || !is_alive(pid));
        assert_eq!(deaths(&berth, &id), 0);
        berth.run(how);
        assert_eq!(deaths(&berth, &id), 1, "{how:?}");
        berth.ok(&["system", "restore"]);
        berth.ok(&["rm", "-f", "web"]);
        let expected = if how[0] == "start" { 2 } else { 1 };
        assert_eq!(deaths(&berth, &id), expected, "{how:?}");
    }
}

/// The monitor wrote the event and died before the record: whoever settles the container then does
/// not tell it again.
#[test]
fn an_end_that_is_told_is_not_told_again() {
    let berth = Berth::new();
    let (id, pid) = start(&berth, "web");
    kill(pid);
    berth.ok(&["wait", "web"]);
    assert_eq!(deaths(&berth, &id), 1);
    let folder = berth.path(&format!("root/containers/{id}"));
    std::fs::remove_file(folder.join("exits/1.json")).unwrap();
    rewrite_status(&folder);
    berth.ok(&["system", "restore"]);
    assert!(folder.join("exits/1.json").exists());
    assert_eq!(deaths(&berth, &id), 1);
}

/// As it stood while the container ran.
fn rewrite_status(folder: &Path) {
    let path = folder.join("status.json");
    let mut status: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    status["status"] = "running".into();
    std::fs::write(&path, status.to_string()).unwrap();
}

/// A keeper that takes over from its monitor tells the end as the monitor would have.
#[test]
fn a_keeper_in_its_monitors_place_tells_the_end() {
    let berth = Berth::new();
    let (id, pid) = start(&berth, "web");
    kill(caretakers(&berth, &id)[1]);
    eventually("a monitor", || {
        berth.run(&["exec", "web", "true"]).code == 0
    });
    kill(pid);
    berth.ok(&["wait", "web"]);
    assert_eq!(deaths(&berth, &id), 1);
}

/// Lines that a crash or a full disk tore are skipped, what stands behind them is not.
#[test]
fn torn_lines_hide_nothing() {
    let berth = Berth::new();
    berth.ok(&["volume", "create", "one"]);
    let path = berth.path("root/events/journal.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    let whole = bytes.clone();
    bytes.extend_from_slice(&whole[..whole.len() / 2]);
    std::fs::write(&path, &bytes).unwrap();
    berth.ok(&["volume", "create", "two"]);
    let seen = berth.ok(&["events", "--until", "0s", "--format", "{{.Actor.ID}}"]);
    assert_eq!(seen, "one\ntwo");
}

/// Whoever moves the journal out of the way dies in the middle of it, before or after each of its
/// renames: no event is lost, none is told twice, and the next writer goes on.
#[test]
fn a_crash_in_a_rotation_loses_nothing() {
    for fault in [
        "kill-before events.rotate 1",
        "kill-before events.rotate 2",
        "kill-after events.rotate 2",
        "kill-before events.rotate 3",
        "kill-after events.rotate 3",
    ] {
        let berth = Berth::new();
        let config = berth.path("config/berth");
        std::fs::create_dir_all(&config).unwrap();
        let text = "[events]\nmax-size = \"64k\"\nmax-files = 4\n";
        std::fs::write(config.join("config.toml"), text).unwrap();
        let label = format!("long={}", "x".repeat(30_000));
        let make = |fault: Option<&str>| {
            let arguments = ["create", "--label", &label, "host", "true"];
            let mut command = berth.command(&arguments);
            command.env("XDG_CONFIG_HOME", berth.path("config"));
            command.envs(fault.map(|fault| ("BERTH_FAULT", fault)));
            command.output().unwrap().status
        };
        // Three events fill a file; each third writer moves it.
        let mut killed = 0;
        for number in 0..9 {
            let is_due = number == 5;
            let status = make(is_due.then_some(fault));
            killed += usize::from(!status.success());
        }
        assert_eq!(killed, 1, "{fault}");
        let events = berth.ok(&["events", "--until", "0s", "--format", "{{.Actor.ID}}"]);
        let seen: Vec<&str> = events.lines().collect();
        let mut unique = seen.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!((seen.len(), unique.len()), (9, 9), "{fault}");
        // A gap in the numbers is all that may be left of it.
        assert!(
            berth.path("root/events/journal.jsonl.1").exists(),
            "{fault}"
        );
    }
}

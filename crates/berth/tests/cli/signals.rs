//! What signals to a foreground `run` do.

use std::io::{BufRead, BufReader};
use std::process::Child;

use rustix::process::Signal;

use crate::support::{Berth, eventually, exit_code, signal};

/// Starts a foreground container and waits for its first line.
fn foreground(
    berth: &Berth,
    flags: &[&str],
    script: &str,
) -> (Child, BufReader<std::process::ChildStdout>) {
    let arguments = [&["run"], flags, &["host", "bash", "-c", script]].concat();
    let mut child = berth.spawn(&arguments);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, out)
}

/// Whether a signal was sent to a process that it has not taken yet; not so of one that has ended.
fn waits(child: &Child, signal: Signal) -> bool {
    let status = format!("/proc/{}/status", child.id());
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let mut lines = status.lines();
    let pending = lines.find_map(|line| line.strip_prefix("ShdPnd:\t"));
    let pending = pending.map_or(0, |mask| u64::from_str_radix(mask, 16).unwrap());
    pending & (1 << (signal.as_raw() - 1)) != 0
}

const TRAPS: &str = "trap 'echo got int; exit 42' INT; trap 'echo got hup; exit 43' HUP; \
                     trap 'echo got usr1' USR1; echo ready; while :; do sleep 0.05; done";

#[test]
fn signals_reach_the_container() {
    let berth = Berth::new();
    let (mut child, mut out) = foreground(&berth, &["--rm"], TRAPS);
    signal(&child, Signal::USR1);
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "got usr1\n");
    signal(&child, Signal::INT);
    assert_eq!(exit_code(&mut child), 42);
    assert!(berth.ids().is_empty());

    let (mut child, _out) = foreground(&berth, &["--rm"], TRAPS);
    signal(&child, Signal::HUP);
    assert_eq!(exit_code(&mut child), 43);
}

#[test]
fn three_interrupts_leave_a_deaf_container() {
    let berth = Berth::new();
    let script = "trap '' INT TERM; echo ready; sleep 1000";
    let (mut child, _out) = foreground(&berth, &["--name", "a"], script);
    for _ in 0..3 {
        signal(&child, Signal::INT);
        // Of two that wait the kernel keeps one.
        eventually("it to be taken", || !waits(&child, Signal::INT));
    }
    assert_eq!(exit_code(&mut child), 1);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
}

#[test]
fn without_the_proxy_a_signal_ends_the_client_alone() {
    let berth = Berth::new();
    let (mut child, _out) = foreground(&berth, &["--name", "a", "--sig-proxy=false"], TRAPS);
    signal(&child, Signal::INT);
    assert_eq!(exit_code(&mut child), 130);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
}

#[test]
fn a_killed_client_leaves_the_container_and_rm_is_still_done() {
    let berth = Berth::new();
    let (mut child, out) = foreground(&berth, &["--rm", "--name", "a"], TRAPS);
    child.kill().unwrap();
    exit_code(&mut child);
    drop(out);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
    berth.ok(&["kill", "-s", "INT", "a"]);
    eventually("a to be removed", || berth.ids().is_empty());
}

#[test]
fn a_killed_monitor_costs_neither_output_nor_exit_code() {
    let berth = Berth::new();
    let (mut child, mut out) = foreground(&berth, &["--name", "a"], TRAPS);
    let keeper = berth.ok(&["inspect", "-f", "{{.Berth.Live.KeeperPid}}", "a"]);
    let children = format!("/proc/{keeper}/task/{keeper}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let init = berth.ok(&["pid", "a"]);
    let monitor = children
        .split_whitespace()
        .find(|pid| *pid != init)
        .unwrap();
    let pid = rustix::process::Pid::from_raw(monitor.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(&child, Signal::USR1);
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "got usr1\n");
    signal(&child, Signal::INT);
    assert_eq!(exit_code(&mut child), 42);
    assert_eq!(berth.ok(&["wait", "a"]), "42");
}

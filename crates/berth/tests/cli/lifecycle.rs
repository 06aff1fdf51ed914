//! create, start, stop, kill, wait, rm.

use std::time::{Duration, Instant};

use crate::support::{Berth, eventually, is_alive};

#[test]
fn from_created_to_gone() {
    let berth = Berth::new();
    let id = berth.ok(&["create", "--name", "a", "host", "sleep", "1000"]);
    assert_eq!(berth.ok(&["ps", "-q"]), "");
    assert_eq!(berth.ok(&["ps", "-aq"]), id[..12]);
    assert_eq!(berth.ok(&["start", "a"]), "a");
    let pid: u32 = berth
        .ok(&["inspect", "-f", "{{.State.Pid}}", "a"])
        .parse()
        .unwrap();
    assert!(is_alive(pid));
    let refused = berth.run(&["rm", "a"]);
    assert_eq!(refused.code, 1);
    assert_eq!(berth.ok(&["stop", "--stop-fast", &id[..5]]), id[..5]);
    assert!(!is_alive(pid));
    assert_eq!(berth.ok(&["stop", "a"]), "a", "a second stop is nothing");
    assert_eq!(
        berth.ok(&[
            "inspect",
            "-f",
            "{{.State.ExitCode}} {{.State.Status}}",
            "a"
        ]),
        "137 exited"
    );
    assert_eq!(berth.ok(&["rm", "a"]), "a");
    assert!(berth.ids().is_empty());
}

#[test]
fn several_at_once_and_one_that_fails() {
    let berth = Berth::new();
    for name in ["a", "b"] {
        berth.ok(&["run", "-d", "--name", name, "host", "sleep", "1000"]);
    }
    let done = berth.run(&["kill", "a", "nosuch", "b"]);
    assert_eq!((done.code, done.out.as_str()), (1, "a\nb\n"));
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    assert_eq!(berth.ok(&["wait", "a", "b"]), "137\n137");
    let done = berth.run(&["rm", "nosuch", "a", "b"]);
    assert_eq!((done.code, done.out.as_str()), (1, "a\nb\n"));
}

#[test]
fn stop_says_that_a_process_is_deaf() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let begin = Instant::now();
    let done = berth.run(&["stop", "-t", "1", "a"]);
    assert_eq!((done.code, done.out.as_str()), (0, "a\n"));
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert!(done.err.contains("may ignore SIGTERM"), "{}", done.err);
    // Who gives it no time hears nothing of it.
    berth.ok(&["start", "a"]);
    let done = berth.run(&["stop", "-t", "0", "a"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}

#[test]
fn wait_ends_when_the_container_does() {
    let berth = Berth::new();
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "host",
        "sh",
        "-c",
        "sleep 0.5; exit 6",
    ]);
    assert_eq!(berth.ok(&["wait", "a"]), "6");
    eventually("its status", || {
        berth.ok(&["inspect", "-f", "{{.State.Status}}", "a"]) == "exited"
    });
}

#[test]
fn a_joined_user_namespace_is_the_same_and_its_files_are_its_own() {
    let berth = Berth::new();
    berth.ok(&[
        "run", "-d", "--name", "a", "--userns", "private", "host", "sleep", "1000",
    ]);
    let script = "readlink /proc/self/ns/user; cat /proc/self/uid_map; touch /etc/new /root/new; \
                  stat -c %u:%g / /etc /etc/new /root/new /usr/bin/env; wc -c < /etc/shadow";
    let first = berth.ok(&["exec", "a", "sh", "-c", script]);
    let joined = berth.ok(&[
        "run",
        "--rm",
        "--userns",
        "container:a",
        "host",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(joined, first);
    assert!(joined.ends_with("0:0\n0:0\n0:0\n0:0\n0:0\n0"), "{joined}");
    let all = [
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--cgroupns",
        "--timens",
        "--userns",
    ];
    let flags = all.iter().flat_map(|flag| [*flag, "container:a"]);
    let mut arguments = vec!["run", "--rm"];
    arguments.extend(flags);
    let links = "for n in pid net ipc uts cgroup time user; do readlink /proc/self/ns/$n; done";
    arguments.extend(["host", "sh", "-c", links]);
    assert_eq!(
        berth.ok(&arguments),
        berth.ok(&["exec", "a", "sh", "-c", links])
    );
}

#[test]
fn what_runs_is_started_already() {
    let berth = Berth::new();
    let script = "read line; echo got $line; exit 7";
    berth.ok(&["run", "-d", "-i", "--name", "a", "host", "sh", "-c", script]);
    let pid = ["inspect", "-f", "{{.State.Pid}}", "a"];
    let before = berth.ok(&pid);
    assert_eq!(berth.ok(&["start", "a"]), "a");
    assert_eq!(berth.ok(&pid), before);
    let done = berth.run_with(&["start", "-ai", "a"], b"this\n");
    assert_eq!(
        (done.code, done.out.as_str()),
        (7, "got this\n"),
        "{done:?}"
    );
}

//! A monitor that was stopped: what needs none goes on, what does says so, and an end is an end.

use rustix::process::Signal;

use crate::support::{Berth, eventually, finish, is_alive};
use crate::world::{
    marker, monitor_address, monitor_of, send, sessions, stat, stop, volatile_dir, wait_in_poll,
    with_argument,
};

fn stopped(berth: &Berth, script: &str) -> u32 {
    berth.background("a", script);
    let monitor = monitor_of(berth, "a");
    stop(monitor);
    monitor
}

#[test]
fn what_needs_no_monitor_goes_on() {
    let berth = Berth::new();
    let sleep = marker(1);
    berth.background("a", "echo said; sleep 1000");
    eventually("its line", || berth.ok(&["logs", "a"]) == "said");
    berth.ok(&["exec", "-d", "a", "sleep", &sleep]);
    let monitor = monitor_of(&berth, "a");
    stop(monitor);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
    assert_eq!(
        berth.ok(&["inspect", "-f", "{{.State.Status}}", "a"]),
        "running"
    );
    assert_eq!(berth.ok(&["logs", "a"]), "said");
    assert!(berth.ok(&["top", "a"]).contains("sleep 1000"));
    berth.ok(&["rename", "a", "b"]);
    let id = sessions(&berth, "b").remove(0);
    berth.ok(&["exec", "kill", &id]);
    assert_eq!(with_argument(&sleep), [0; 0]);
    assert_eq!(stat(monitor).0, 'T', "nobody let it go on");
}

#[test]
fn what_needs_it_says_that_it_is_stopped() {
    let berth = Berth::new();
    let monitor = stopped(&berth, "sleep 1000");
    let expected = stopped_words(monitor);
    let exec = berth.run(&["exec", "a", "true"]);
    assert_eq!((exec.code, exec.err.as_str()), (125, expected.as_str()));
    let attach = berth.run(&["attach", "a"]);
    assert_eq!((attach.code, attach.err.as_str()), (1, expected.as_str()));
    send(monitor, Signal::CONT);
    assert_eq!(berth.ok(&["exec", "a", "echo", "again"]), "again");
}

/// As many connections as wait for a monitor are no obstacle to what does not need its answer.
#[test]
fn a_queue_that_is_full_blocks_nobody() {
    let berth = Berth::new();
    let monitor = stopped(&berth, "sleep 1000");
    let folder = std::fs::File::open(volatile_dir(&berth, "a")).unwrap();
    let address = monitor_address(&folder);
    let mut waiting = Vec::new();
    loop {
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        if rustix::net::connect(&socket, &address).is_err() {
            break;
        }
        waiting.push(socket);
    }
    let done = berth.run(&["exec", "a", "true"]);
    assert_eq!(done.code, 125);
    assert!(done.err.contains("it is stopped"), "{}", done.err);
    berth.ok(&["rm", "-f", "a"]);
    eventually("its monitor to be gone", || !is_alive(monitor));
}

/// Who ends a container lets its monitor go on: only that can reap, and it knows the exit code.
#[test]
fn an_end_is_an_end_with_its_exit_code() {
    for (verb, code) in [
        (&["stop", "-t", "60", "a"][..], "5"),
        (&["kill", "a"], "137"),
        (&["stop", "-t", "0", "a"], "137"),
    ] {
        let berth = Berth::new();
        let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        berth.ok(&["run", "-d", "--name", "a", "host", "bash", "-c", script]);
        eventually("its trap", || berth.ok(&["logs", "a"]) == "ready");
        // Its zombie would keep the PID namespace from ending.
        berth.ok(&["exec", "-d", "a", "sleep", "1000"]);
        stop(monitor_of(&berth, "a"));
        let mut done = berth.run(verb);
        // -t 0 is a race between its trap and SIGKILL.
        if verb.contains(&"0") {
            done.err.clear();
        }
        assert_eq!(done.code, 0, "{done:?}");
        let exit = berth.ok(&["inspect", "-f", "{{.State.ExitCode}}", "a"]);
        assert!(exit == code || verb.contains(&"0"), "{verb:?} {exit}");
        berth.ok(&["start", "a"]);
    }
}

#[test]
fn with_its_keeper_stopped_too() {
    let berth = Berth::new();
    let monitor = stopped(&berth, "sleep 1000");
    let keeper = berth.ok(&["inspect", "-f", "{{.Berth.Live.KeeperPid}}", "a"]);
    let keeper: u32 = keeper.parse().unwrap();
    stop(keeper);
    berth.ok(&["rm", "-f", "a"]);
    assert!(berth.ids().is_empty());
    eventually("both to be gone", || {
        [keeper, monitor].iter().all(|pid| !is_alive(*pid))
    });
}

fn stopped_words(monitor: u32) -> String {
    format!(
        "berth: the monitor of container a, process {monitor}, does not answer: it is stopped; let it go on with \"kill -CONT {monitor}\", or end the container with \"berth stop a\"\n"
    )
}

/// Clients that are attached when it is stopped: each says so, and ends.
#[test]
fn who_is_attached_is_told() {
    let berth = Berth::new();
    let line = [
        "run",
        "-i",
        "--name",
        "a",
        "host",
        "sh",
        "-c",
        "echo up; exec sleep 1000",
    ];
    let run = berth.spawn(&line);
    eventually("its line", || berth.run(&["logs", "a"]).out == "up\n");
    let attach = berth.spawn(&["attach", "--no-stdin", "a"]);
    let exec = berth.spawn(&["exec", "a", "sleep", "1000"]);
    eventually("the session", || sessions(&berth, "a").len() == 1);
    wait_in_poll(&attach);
    let monitor = monitor_of(&berth, "a");
    stop(monitor);
    for (client, code) in [(run, 125), (attach, 1), (exec, 125)] {
        let done = finish(client);
        assert_eq!((done.code, done.err), (code, stopped_words(monitor)));
    }
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
    send(monitor, Signal::CONT);
    assert_eq!(berth.ok(&["exec", "a", "echo", "again"]), "again");
}

/// What waits for the end of a container gets it, though nobody but its monitor can reap it.
#[test]
fn who_waits_for_the_end_gets_it() {
    for (words, out, code) in [
        (&["wait", "a"][..], "7\n", 0),
        (&["logs", "-f", "a"], "up\n", 0),
        (&["attach", "--no-stdin", "a"], "", 7),
    ] {
        let berth = Berth::new();
        let end = berth.path("end");
        let source = format!("{}:/asked", berth.path("").display());
        let script = "echo up; until [ -e /asked/end ]; do sleep 0.05; done; exit 7";
        let run = [
            "run", "-d", "--name", "a", "-v", &source, "host", "sh", "-c", script,
        ];
        berth.ok(&run);
        eventually("its line", || berth.ok(&["logs", "a"]) == "up");
        let client = berth.spawn(words);
        if words[0] == "attach" {
            wait_in_poll(&client);
        }
        let init = berth.ok(&["inspect", "-f", "{{.State.Pid}}", "a"]);
        stop(monitor_of(&berth, "a"));
        std::fs::write(&end, "").unwrap();
        let init: u32 = init.parse().unwrap();
        // A zombie, or reaped already by a monitor that its waiter let go on.
        eventually("its end", || !is_alive(init));
        let done = finish(client);
        assert_eq!((done.out.as_str(), done.code), (out, code), "{words:?}");
        assert_eq!(berth.ok(&["wait", "a"]), "7");
    }
}

#[test]
fn figures_and_removal_need_none() {
    let berth = Berth::new();
    let monitor = stopped(&berth, "sleep 1000");
    let stats = [
        "stats",
        "--no-stream",
        "--format",
        "{{.Name}} {{.PIDs}}",
        "a",
    ];
    assert!(berth.ok(&stats).starts_with("a "));
    assert_eq!(berth.run(&["start", "a"]).code, 0);
    let update = berth.run(&["update", "--restart", "always", "a"]);
    assert_eq!(update.code, 0, "{update:?}");
    berth.ok(&["rm", "-f", "a"]);
    eventually("its monitor to be gone", || !is_alive(monitor));
}

#[test]
fn an_end_that_is_not_on_record_yet_is_no_success() {
    let berth = Berth::new();
    let monitor = stopped(&berth, "exec sleep 1000");
    let init = berth.ok(&["inspect", "-f", "{{.State.Pid}}", "a"]);
    send(init.parse().unwrap(), Signal::KILL);
    let asked = [
        "inspect",
        "-f",
        "{{.State.Status}} {{.State.ExitCode}}",
        "a",
    ];
    // Nobody can say how it ended as long as the monitor is stopped.
    eventually("its end", || berth.ok(&asked) == "exited 255");
    // Who asks a little too early hears it all the same.
    let early = berth.spawn(&asked);
    send(monitor, Signal::CONT);
    let early = finish(early);
    assert_eq!(early.out.trim(), "exited 137", "{early:?}");
    berth.ok(&["rm", "a"]);
}

//! Exit codes: one table, for each command that ends as the container's process does.

use crate::support::{Berth, eventually, exit_code, finish};
use crate::world::wait_in_poll;

/// What a process does, and how it is seen to have ended.
const ENDS: [(&[&str], i32); 8] = [
    (&["true"], 0),
    (&["false"], 1),
    (&["sh", "-c", "exit 2"], 2),
    (&["sh", "-c", "exit 125"], 125),
    (&["sh", "-c", "exit 255"], 255),
    // 128 and the number of the signal: SIGINT, SIGKILL, SIGTERM.
    (&["sh", "-c", "exec sh -c 'kill -INT $$'"], 130),
    (&["sh", "-c", "exec sh -c 'kill -KILL $$'"], 137),
    (&["sh", "-c", "exec sh -c 'kill -TERM $$'"], 143),
];

#[test]
fn of_a_run_that_is_started_again_and_waited_for() {
    let berth = Berth::new();
    for (at, (words, code)) in ENDS.iter().enumerate() {
        let name = format!("c{at}");
        // PID 1 is deaf to signals without handlers: with an init the process is another.
        let flags = ["run", "--init", "--name", &name, "host"];
        let run = berth.run(&[&flags[..], words].concat());
        assert_eq!(run.code, *code, "run: {words:?}: {run:?}");
        let shown = berth.ok(&["inspect", "-f", "{{.State.ExitCode}}", &name]);
        assert_eq!(shown, code.to_string(), "inspect: {words:?}");
        let start = berth.run(&["start", "-a", &name]);
        assert_eq!(start.code, *code, "start -a: {words:?}: {start:?}");
        let wait = berth.run(&["wait", &name]);
        assert_eq!((wait.code, wait.out), (0, format!("{code}\n")), "{words:?}");
        assert_eq!(berth.run(&["start", &name]).code, 0, "start: {words:?}");
    }
}

#[test]
fn of_sessions() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    for (words, code) in ENDS {
        let done = berth.run(&[&["exec", "a"], words].concat());
        assert_eq!(done.code, code, "{words:?}: {done:?}");
        let done = berth.run(&[&["exec", "-t", "a"], words].concat());
        assert_eq!(done.code, code, "with a terminal: {words:?}: {done:?}");
    }
}

#[test]
fn of_who_is_attached_and_who_waits() {
    let berth = Berth::new();
    for (at, (words, code)) in ENDS.iter().enumerate() {
        let name = format!("c{at}");
        let script = "read go; exec \"$@\"";
        let flags = ["run", "-di", "--init", "--name", &name, "host"];
        berth.ok(&[&flags[..], &["sh", "-c", script, "sh"], words].concat());
        let mut waits = berth.spawn(&["wait", &name]);
        drop(waits.stdin.take());
        let looks = berth.spawn(&["attach", "--no-stdin", &name]);
        wait_in_poll(&looks);
        let attached = berth.run_with(&["attach", &name], b"go\n");
        assert_eq!(attached.code, *code, "attach: {words:?}: {attached:?}");
        assert_eq!(finish(looks).code, *code, "attach: {words:?}");
        let waited = finish(waits);
        assert_eq!(
            (waited.code, waited.out),
            (0, format!("{code}\n")),
            "wait: {words:?}"
        );
    }
}

#[test]
fn of_what_does_not_begin() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    for (line, code) in [
        ("run --rm host no-such-program", 127),
        ("run --rm host /no/such/program", 127),
        ("run --rm host /etc/passwd", 126),
        ("run --rm host /etc", 126),
        ("run --rm --no-such-flag host true", 125),
        ("run --rm --network container:none host true", 125),
        ("run -d host no-such-program", 127),
        ("exec a no-such-program", 127),
        ("exec a /etc/passwd", 126),
        ("exec -d a no-such-program", 127),
        ("exec --no-such-flag a true", 125),
        ("exec none true", 125),
        ("start none", 1),
        ("start -a none", 1),
        ("attach none", 1),
        ("wait none", 1),
        ("wait --no-such-flag a", 125),
        ("stop none", 1),
        ("kill none", 1),
        ("rm none", 1),
        ("logs none", 1),
        ("inspect none", 1),
        ("no-such-command", 125),
    ] {
        let done = berth.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, code, "{line}: {done:?}");
        assert!(!done.err.is_empty(), "{line}: it says why");
    }
}

/// Whoever ends it from outside: the number of the signal, also after `stop`.
#[test]
fn of_what_others_end() {
    let berth = Berth::new();
    let script = "trap 'exit 7' USR1; while :; do sleep 0.05; done";
    for (line, code) in [
        ("kill c", 137),
        ("kill -s INT c", 130),
        ("kill -s TERM c", 143),
        ("kill -s USR1 c", 7),
        ("stop c", 143),
        ("stop -s INT c", 130),
        ("rm -f c", 137),
    ] {
        let flags = ["run", "--init", "--name", "c", "host", "sh", "-c"];
        let mut client = berth.spawn(&[&flags[..], &[script]].concat());
        drop(client.stdin.take());
        eventually("it to run", || {
            let shown = berth.run(&["exec", "c", "pgrep", "-x", "sleep"]);
            shown.code == 0
        });
        berth.ok(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(exit_code(&mut client), code, "{line}");
        berth.run(&["rm", "-f", "c"]);
    }
}

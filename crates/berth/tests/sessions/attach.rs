//! `attach`, `run -a`, `start -a`: which streams, which exit codes, which keys.

use crate::support::{Berth, Terminal, eventually, exit_code, finish};
use crate::world::{lines, wait_in_poll};

#[test]
fn the_output_and_the_exit_code_of_a_running_container() {
    let berth = Berth::new();
    let script = "read line; echo got $line; echo bad >&2; exit 42";
    berth.ok(&["run", "-di", "--name", "a", "host", "sh", "-c", script]);
    let done = berth.run_with(&["attach", "a"], b"hello\n");
    assert_eq!(
        (done.code, done.out.as_str(), done.err.as_str()),
        (42, "got hello\n", "bad\n")
    );
}

#[test]
fn only_a_running_container_can_be_joined() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "idle", "host", "true"]);
    let done = berth.run(&["attach", "idle"]);
    assert_eq!(done.code, 1);
    insta::assert_snapshot!(done.err, @r#"berth: cannot attach to container idle: it is created; start it with "berth start idle", or both at once with start -a"#);
    berth.ok(&["start", "-a", "idle"]);
    let done = berth.run(&["attach", "idle"]);
    assert_eq!(done.code, 1);
    assert!(done.err.contains("it is exited"), "{}", done.err);
    assert_eq!(berth.run(&["attach", "nosuch"]).code, 1);
}

#[test]
fn without_stdin_the_input_stays_whose_it_is() {
    let berth = Berth::new();
    let script = "read line; echo got $line";
    berth.ok(&["run", "-di", "--name", "a", "host", "sh", "-c", script]);
    let mut watcher = berth.spawn(&["attach", "--no-stdin", "a"]);
    drop(watcher.stdin.take());
    wait_in_poll(&watcher);
    // The end of the input of a detached container's client is not the end of its own.
    let done = berth.run_with(&["attach", "a"], b"one\n");
    assert_eq!((done.code, done.out.as_str()), (0, "got one\n"));
    assert_eq!(finish(watcher).out, "got one\n");
}

#[test]
fn signals_go_to_the_container_unless_told_otherwise() {
    let berth = Berth::new();
    let script = "trap 'echo got usr1' USR1; while :; do echo tick; sleep 0.05; done";
    berth.ok(&["run", "-d", "--name", "a", "host", "bash", "-c", script]);
    let mut proxy = berth.spawn(&["attach", "a"]);
    let mut alone = berth.spawn(&["attach", "--sig-proxy=false", "a"]);
    let mut seen = lines(&mut proxy);
    assert_eq!(seen.next().unwrap(), "tick");
    let mut of_alone = lines(&mut alone);
    assert_eq!(of_alone.next().unwrap(), "tick");
    crate::support::signal(&proxy, rustix::process::Signal::USR1);
    assert!(seen.any(|line| line == "got usr1"));
    crate::support::signal(&alone, rustix::process::Signal::INT);
    assert_eq!(exit_code(&mut alone), 130);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
    berth.ok(&["kill", "a"]);
    seen.for_each(drop);
    assert_eq!(exit_code(&mut proxy), 137);
}

/// Two terminals on one: both see everything, both may type, and leaving ends neither.
#[test]
fn several_terminals_share_one() {
    let berth = Berth::new();
    let shell = "PS1='$ ' exec bash --norc --noediting";
    berth.ok(&["run", "-dit", "--name", "a", "host", "sh", "-c", shell]);
    let mut one = Terminal::start(&berth, &["attach", "a"]);
    let mut two = Terminal::start(&berth, &["attach", "--detach-keys", "ctrl-x", "a"]);
    one.press("\r");
    one.expect("$ ");
    two.press("\r");
    two.expect("$ ");
    one.press("echo from-$((40+2))\r");
    one.expect("from-42\r\n");
    two.expect("from-42\r\n");
    two.press("echo and-$((1+1))\r");
    one.expect("and-2\r\n");
    two.expect("and-2\r\n");
    two.press("\x18");
    two.rest();
    assert_eq!(exit_code(&mut two.child), 0);
    one.press("exit 9\r");
    one.rest();
    assert_eq!(exit_code(&mut one.child), 9);
}

/// The size of the terminal that joins is that of the container's from then on, and a program is
/// told even where it had that size before.
#[test]
fn who_joins_brings_its_size() {
    let berth = Berth::new();
    // Bash forgets a signal that comes while its handler runs, so that does next to nothing.
    let script = "trap w=1 WINCH; while :; do sleep 0.05; [ -z \"$w\" ] || { w=; echo winch $(stty size); }; done";
    berth.ok(&["run", "-dit", "--name", "a", "host", "bash", "-c", script]);
    let mut terminal = Terminal::start(&berth, &["attach", "a"]);
    terminal.expect("winch 30 90");
    terminal.press("\x10\x11");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 0);
    let mut again = Terminal::start(&berth, &["attach", "a"]);
    again.expect("winch 30 90");
    again.resize(31, 91);
    again.expect("winch 31 91");
}

#[test]
fn a_run_shows_the_streams_that_it_was_told_to() {
    let berth = Berth::new();
    let script = ["host", "sh", "-c", "echo out; echo err >&2; exit 3"];
    for (flags, out, err) in [
        (&["-a", "stdout"][..], "out\n", ""),
        (&["-a", "STDERR"], "", "err\n"),
        (&["-a", "stdout", "-a", "stderr"], "out\n", "err\n"),
        (&["--attach=stdin", "--attach=stdout"], "out\n", ""),
    ] {
        let done = berth.run(&[&["run", "--rm"], flags, &script].concat());
        assert_eq!(
            (done.out.as_str(), done.err.as_str()),
            (out, err),
            "{flags:?}"
        );
        assert_eq!(done.code, 3);
    }
}

/// With standard input alone the client feeds the container, prints its id, and goes.
#[test]
fn a_run_with_its_input_alone_feeds_it_and_leaves() {
    let berth = Berth::new();
    let script = "cat; sleep 1000";
    let flags = [
        "run", "-i", "-a", "stdin", "--name", "a", "host", "sh", "-c",
    ];
    let done = berth.run_with(&[&flags[..], &[script]].concat(), b"fed\n");
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.out.trim_end(), berth.ids()[0]);
    eventually("what it was fed with", || berth.ok(&["logs", "a"]) == "fed");
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
}

#[test]
fn streams_that_cannot_be_are_refused() {
    let berth = Berth::new();
    let done = berth.run(&["run", "-d", "-a", "stdout", "host", "true"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err, @"berth: -a and -d exclude each other: -d attaches to nothing; leave one out");
    let done = berth.run(&["run", "-a", "stdlog", "host", "true"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err, @r#"berth: invalid value "stdlog" for --attach: give stdin, stdout or stderr"#);
    assert!(berth.ids().is_empty());
}

#[test]
fn inspect_says_what_is_attached_as_docker_does() {
    let berth = Berth::new();
    let shown = "{{.Config.AttachStdin}} {{.Config.AttachStdout}} {{.Config.AttachStderr}}";
    for (flags, expected) in [
        (&["create"][..], "false true true"),
        (&["create", "-i"], "true true true"),
        (&["create", "-a", "stderr"], "false false true"),
        (&["run", "-d", "-i"], "false false false"),
    ] {
        let id = berth.ok(&[flags, &["host", "true"]].concat());
        assert_eq!(
            berth.ok(&["inspect", "-f", shown, &id]),
            expected,
            "{flags:?}"
        );
    }
}

/// Input that nobody reads must not hold up a signal.
#[test]
fn a_signal_passes_input_that_waits() {
    let berth = Berth::new();
    let script = "trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let mut command = berth.command(&["run", "--rm", "-i", "host", "bash", "-c", script]);
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let out = std::process::Stdio::piped();
    let mut child = command.stdin(zeros).stdout(out).spawn().unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let (mut count, pid) = (None, child.id());
    eventually("the client to wait with its input", || {
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        let now = io.lines().next().map(str::to_owned);
        std::mem::replace(&mut count, now.clone()) == now
    });
    crate::support::signal(&child, rustix::process::Signal::INT);
    assert_eq!(exit_code(&mut child), 9);
}

/// Three at once, two of them at terminals: each sees all, each may leave, and the last one hears the
/// exit code.
#[test]
fn three_share_one_and_leave_one_after_the_other() {
    let berth = Berth::new();
    let shell = "PS1='$ ' exec bash --norc --noediting";
    let run = [
        "run", "--rm", "-it", "--name", "a", "host", "sh", "-c", shell,
    ];
    let mut owner = Terminal::start(&berth, &run);
    owner.expect("$ ");
    let mut second = Terminal::start(&berth, &["attach", "a"]);
    let mut looks_on = berth.spawn(&["attach", "--no-stdin", "a"]);
    wait_in_poll(&looks_on);
    let mut seen = lines(&mut looks_on);
    second.press("\r");
    second.expect("$ ");
    owner.press("echo one-$((1+1))\r");
    owner.expect("one-2\r\n");
    second.expect("one-2\r\n");
    assert!(seen.any(|line| line.trim_end().ends_with("one-2")));
    // The owner leaves by the keys: --rm waits for the end all the same.
    owner.press("\x10\x11");
    owner.rest();
    assert_eq!(exit_code(&mut owner.child), 0);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
    second.press("echo two-$((1+1))\r");
    second.expect("two-2\r\n");
    assert!(seen.any(|line| line.trim_end().ends_with("two-2")));
    second.press("exit 4\r");
    second.rest();
    assert_eq!(exit_code(&mut second.child), 4);
    seen.for_each(drop);
    assert_eq!(exit_code(&mut looks_on), 4);
    eventually("its removal", || berth.ids().is_empty());
}

/// The end of the input is passed on, and what comes after it still arrives.
#[test]
fn the_end_of_the_input_is_not_the_end_of_the_output() {
    let berth = Berth::new();
    let script = "cat; echo after the end; exit 3";
    let done = berth.run_with(&["run", "--rm", "-i", "host", "sh", "-c", script], b"x\n");
    assert_eq!((done.code, done.out.as_str()), (3, "x\nafter the end\n"));
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let done = berth.run_with(&["exec", "-i", "a", "sh", "-c", script], b"x\n");
    assert_eq!((done.code, done.out.as_str()), (3, "x\nafter the end\n"));
    // Nothing at all is an end, too.
    let mut child = berth.spawn(&["exec", "-i", "a", "sh", "-c", script]);
    drop(child.stdin.take());
    let done = finish(child);
    assert_eq!((done.code, done.out.as_str()), (3, "after the end\n"));
}

#[test]
fn the_terminal_of_a_session_follows_its_clients_size() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    // The shell asks again and again: of two signals in a row it may have heard one.
    let script = "while :; do now=$(stty size); [ \"$now\" = \"$was\" ] || echo size $now; \
                  was=$now; sleep 0.05; done";
    let exec = ["exec", "-it", "a", "sh", "-c", script];
    let mut terminal = Terminal::start(&berth, &exec);
    terminal.expect("size 30 90");
    for (rows, columns) in [(50, 120), (24, 80)] {
        terminal.resize(rows, columns);
        terminal.expect(&format!("size {rows} {columns}"));
    }
    terminal.press("\x10\x11");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 0);
}

//! Terminals: a shell with job control, sizes, detaching, hang-ups.

use crate::support::{Berth, Terminal, eventually, exit_code};

const SHELL: [&str; 4] = ["host", "sh", "-c", "PS1='$ ' exec bash --norc --noediting"];

fn shell(berth: &Berth, flags: &[&str]) -> Terminal {
    let arguments = [&["run", "-it"], flags, &SHELL].concat();
    let mut terminal = Terminal::start(berth, &arguments);
    terminal.expect("$ ");
    terminal
}

#[test]
fn a_shell_with_job_control() {
    let berth = Berth::new();
    let mut terminal = shell(&berth, &["--rm", "--name", "a"]);
    // A key is for whoever has the terminal by then: the shell gives it away before the program is
    // executed, and before it goes on.
    let sleeps = || {
        let script = "cut -d' ' -f3 /proc/$(pgrep -fx 'sleep 1000')/stat";
        let state = berth.run(&["exec", "a", "sh", "-c", script]).out;
        state == "S\n"
    };
    terminal.press("tty; stty size; echo $$\r");
    terminal.expect("/dev/pts/0\r\n30 90\r\n1\r\n");
    terminal.press("sleep 1000\r");
    terminal.expect("sleep 1000\r\n");
    eventually("the program", sleeps);
    terminal.press("\x1a");
    terminal.expect("Stopped");
    terminal.expect("$ ");
    terminal.press("fg\r");
    terminal.expect("fg\r\nsleep 1000\r\n");
    eventually("the program to go on", sleeps);
    terminal.press("\x03");
    terminal.expect("$ ");
    terminal.press("echo code $?\r");
    terminal.expect("code 130");
    terminal.press("exit 7\r");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 7);
    assert!(berth.ids().is_empty());
}

#[test]
fn a_resize_arrives() {
    let berth = Berth::new();
    let mut terminal = shell(&berth, &["--rm"]);
    terminal.resize(50, 120);
    eventually("the new size", || {
        terminal.press("stty size\r");
        terminal.expect("stty size\r\n");
        terminal.expect("$ ").contains("50 120")
    });
    terminal.press("exit\r");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 0);
}

#[test]
fn detach_keys_leave_the_container_running() {
    let berth = Berth::new();
    let mut terminal = shell(&berth, &["--name", "a"]);
    // ctrl-p that is followed by another key is a key like any.
    terminal.press("\x10\x10\x11");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 0);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");

    let mut terminal = shell(&berth, &["--name", "b", "--detach-keys", "ctrl-x,y"]);
    terminal.press("\x10\x11echo still here\r");
    terminal.expect("still here\r\n");
    terminal.press("\x18y");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 0);
}

#[test]
fn a_terminal_that_goes_away_leaves_the_container() {
    let berth = Berth::new();
    let terminal = shell(&berth, &["--name", "a"]);
    let mut child = terminal.hang_up();
    let code = exit_code(&mut child);
    assert_eq!(code, 129);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
}

#[test]
fn exec_with_a_terminal() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let mut terminal = Terminal::start(
        &berth,
        &[
            "exec",
            "-it",
            "a",
            "sh",
            "-c",
            "PS1='$ ' exec bash --norc --noediting",
        ],
    );
    terminal.expect("$ ");
    terminal.press("tty; stty size\r");
    terminal.expect("/dev/pts/");
    terminal.expect("30 90\r\n");
    terminal.press("exit 3\r");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 3);
}

#[test]
fn the_callers_terminal_is_restored() {
    let berth = Berth::new();
    let berth_line = format!(
        "{} --root {} --state {} --default-network none",
        env!("CARGO_BIN_EXE_berth"),
        berth.path("root").display(),
        berth.path("state").display()
    );
    let script = berth.path("script");
    let text = format!(
        "before=$(stty -g)\n{berth_line} run --rm -it host sh -c 'echo inside; exit 5'\necho code $?\n\
         [ \"$(stty -g)\" = \"$before\" ] && echo restored\n\
         {berth_line} run --rm -it host nosuchcommand\necho code $?\n\
         [ \"$(stty -g)\" = \"$before\" ] && echo restored again\n"
    );
    std::fs::write(&script, text).unwrap();
    let mut terminal = Terminal::start_program("sh", &[script.to_str().unwrap()]);
    terminal.expect("inside\r\ncode 5\r\nrestored\r\n");
    terminal.expect("code 127\r\nrestored again\r\n");
}

#[test]
fn it_without_a_terminal_is_refused() {
    let berth = Berth::new();
    for arguments in [
        &["run", "-it", "host", "true"][..],
        &["exec", "-it", "a", "true"],
    ] {
        let done = berth.run_with(arguments, b"x");
        assert_eq!(done.code, 125);
        insta::allow_duplicates! {
            insta::assert_snapshot!(done.err, @"berth: the input device is not a TTY; leave out -t, or run it from a terminal");
        }
    }
    // -t alone gives the process a terminal of its own.
    let done = berth.run(&[
        "run",
        "--rm",
        "-t",
        "host",
        "sh",
        "-c",
        "test -t 1 && echo yes",
    ]);
    assert_eq!((done.code, done.out.as_str()), (0, "yes\r\n"));
}

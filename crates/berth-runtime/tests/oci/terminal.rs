//! Terminals: over a console socket, and of the caller's own.

use std::fs::File;
use std::process::Stdio;

use berth_testkit::{Console, covers, soon};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;

use crate::{output_of, refused, runtime};

#[test]
fn the_terminal_comes_over_the_socket() {
    covers!(
        "config-linux/default-device-console",
        "config-linux/default-device-tty"
    );
    let runtime = runtime();
    let console = Console::listen();
    let bundle = runtime
        .bundle()
        .terminal(true)
        .set("/process/consoleSize", json!({"height": 33, "width": 77}))
        .sh(
            "stty size; tty; stat -c %t:%T /dev/console; ls -l /proc/self/fd/0; \
             readlink /proc/self/fd/1; echo typed: $(head -n 1); (echo tty > /dev/tty)",
        );
    let flags = ["--console-socket", console.path().to_str().unwrap()].map(str::to_owned);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let container = runtime.created_with("one", &bundle, &flags);
    let mut terminal = console.receive_terminal();
    container.start();
    let said = Console::read_until(&mut terminal, "/dev/pts/0\r\n");
    assert!(said.contains("33 77"), "{said}");
    Console::write(&mut terminal, "some words\n");
    let said = said + &Console::read_until(&mut terminal, "tty\r\n");
    assert!(said.contains("typed: some words"), "{said}");
    // The console is the slave of devpts: major 136.
    assert!(said.contains("88:0"), "{said}");
    assert_eq!(container.wait(), 0, "{said}");
    container.delete();
    runtime.assert_nothing_left();
}

#[test]
fn a_socket_without_a_terminal_and_the_reverse_are_refused() {
    let runtime = runtime();
    let console = Console::listen();
    let path = console.path();
    let flags = ["--console-socket", path.to_str().unwrap()];
    let message = runtime
        .create_with("one", &runtime.bundle(), &flags)
        .refused();
    assert!(
        message.contains("terminal") || runtime.is_foreign(),
        "{message}"
    );
    let message = runtime
        .create("one", &runtime.bundle().terminal(true))
        .refused();
    assert!(message.contains("console"), "{message}");
    let detached = runtime.run_with("one", &runtime.bundle().terminal(true), &["--detach"]);
    assert!(detached.refused().contains("console"));
    let missing = ["--console-socket", "/no/such/socket"];
    drop(
        runtime
            .create_with("one", &runtime.bundle().terminal(true), &missing)
            .refused(),
    );
    assert!(console.is_silent());
    runtime.assert_nothing_left();
}

#[test]
fn a_size_without_a_terminal_is_ignored() {
    covers!("config/console-size-ignored");
    let said = output_of(|b| {
        b.set("/process/consoleSize", json!({"height": 33, "width": 77}))
            .sh("echo ran")
    });
    assert_eq!(said, "ran\n");
}

#[test]
fn without_a_terminal_there_is_no_console() {
    let said = output_of(|b| b.sh("[ -e /dev/console ] && [ -t 0 ] && echo tty; echo done"));
    assert_eq!(said, "done\n");
}

/// A pseudo terminal of ours: master, and a slave for each stream.
fn terminal(rows: u16, columns: u16) -> (File, [Stdio; 3]) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let open = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
    (File::from(master), [open(), open(), open()])
}

#[test]
fn run_lends_the_callers_terminal() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .terminal(true)
        .sh("stty size; echo ready; read line; echo \"got $line\"; read line; exit 4");
    let (mut master, [stdin, stdout, stderr]) = terminal(40, 100);
    let mut command = runtime.bundle_command("run", "one", &bundle, &[]);
    let mut child = command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    drop(command);
    let said = Console::read_until(&mut master, "ready");
    assert!(said.contains("40 100"), "{said}");
    Console::write(&mut master, "words\r");
    let said = Console::read_until(&mut master, "got words");
    assert!(said.contains("got words"), "{said}");
    Console::write(&mut master, "\r");
    assert_eq!(berth_testkit::finish(&mut child), 4);
    runtime.assert_nothing_left();
}

#[test]
fn exec_has_a_terminal_of_its_own() {
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    let console = Console::listen();
    let path = console.path();
    let pid_file = runtime.path("exec.pid");
    let flags = [
        "--tty",
        "--detach",
        "--console-socket",
        path.to_str().unwrap(),
        "--pid-file",
        pid_file.to_str().unwrap(),
    ];
    drop(
        runtime
            .exec_with(
                "one",
                &flags,
                &["sh", "-c", "tty; read x; echo \"got $x\"; exit 6"],
            )
            .ok(),
    );
    let mut terminal = console.receive_terminal();
    assert!(Console::read_until(&mut terminal, "pts/").contains("/dev/pts/"));
    Console::write(&mut terminal, "it\n");
    assert!(Console::read_until(&mut terminal, "got it").contains("got it"));
    let pid = std::fs::read_to_string(pid_file).unwrap().parse().unwrap();
    assert_eq!(berth_testkit::reap(pid), 6);
    container.end();
}

#[test]
fn exec_lends_the_callers_terminal() {
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    let (mut master, [stdin, stdout, stderr]) = terminal(31, 91);
    let mut command = runtime.command(&[
        "exec",
        "-t",
        "one",
        "sh",
        "-c",
        "stty size; tty; read x; exit 3",
    ]);
    let mut child = command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    drop(command);
    let said = Console::read_until(&mut master, "pts/");
    assert!(said.contains("31 91"), "{said}");
    Console::write(&mut master, "\r");
    assert_eq!(berth_testkit::finish(&mut child), 3);
    container.end();
}

#[test]
fn the_end_of_the_terminal_hangs_up() {
    let runtime = runtime();
    let console = Console::listen();
    let path = console.path();
    let bundle = runtime
        .bundle()
        .terminal(true)
        .sh("trap 'exit 9' HUP; echo up; while :; do sleep 0.05; done");
    let container = runtime.created_with(
        "one",
        &bundle,
        &["--console-socket", path.to_str().unwrap()],
    );
    let mut master = console.receive_terminal();
    container.start();
    assert!(Console::read_until(&mut master, "up").contains("up"));
    drop(master);
    soon("the hang-up", || {
        (!berth_testkit::is_running(container.pid)).then_some(())
    });
    assert_eq!(container.wait(), 9);
}

#[test]
fn a_console_size_that_is_none_is_refused() {
    refused("process.consoleSize", |b| {
        b.terminal(true)
            .set("/process/consoleSize", json!({"height": -1, "width": 80}))
    });
}

//! Programs of containers: exit codes, streams, users, terminals, further processes.

use super::Docker;
use crate::image::BUSYBOX;
use crate::support::{eventually, exit_code};
use crate::terminal::await_size;

#[test]
fn docker_runs_programs() {
    let docker = Docker::start();
    exit_codes(&docker);
    streams(&docker);
    surroundings(&docker);
    init(&docker);
    docker.finish();
}

fn exit_codes(docker: &Docker) {
    let code = |words: &[&str]| {
        let done = docker.run(&[&["run", "--rm", "--net=none", BUSYBOX], words].concat());
        (done.code, done.err)
    };
    assert_eq!(code(&["true"]), (0, String::new()));
    assert_eq!(code(&["sh", "-c", "exit 3"]), (3, String::new()));
    let (number, said) = code(&["/etc/passwd"]);
    assert_eq!(number, 126, "{said}");
    assert!(said.to_lowercase().contains("permission denied"), "{said}");
    let (number, said) = code(&["no-such-program"]);
    assert_eq!(number, 127, "{said}");
    assert!(said.contains("no-such-program"), "{said}");
}

fn streams(docker: &Docker) {
    let words = ["sh", "-c", "cat; echo aside >&2"];
    let all = [&["run", "-i", "--rm", "--net=none", BUSYBOX], &words[..]].concat();
    let done = docker.run_with(&all, b"typed");
    assert_eq!(
        (done.code, done.out.as_str(), done.err.as_str()),
        (0, "typed", "aside\n")
    );

    let words = ["sh", "-c", "echo one; echo two >&2; exit 4"];
    let flags = ["run", "-d", "--net=none", "--name", "logged", BUSYBOX];
    docker.ok(&[&flags[..], &words].concat());
    assert_eq!(docker.ok(&["wait", "logged"]), "4");
    let logs = docker.run(&["logs", "logged"]);
    assert_eq!((logs.out.as_str(), logs.err.as_str()), ("one\n", "two\n"));
    assert_eq!(docker.inspect("logged", "{{.State.ExitCode}}"), "4");
}

fn surroundings(docker: &Docker) {
    let script = "pwd; echo $COLOUR; id -u; id -g; id -G; hostname; echo $$; umask";
    let flags = [
        "--workdir=/somewhere/new",
        "--env=COLOUR=blue",
        "--user=1000:1000",
        "--group-add=42",
        "--hostname=harbour",
    ];
    let expected = "/somewhere/new\nblue\n1000\n1000\n1000 42\nharbour\n1\n0022";
    assert_eq!(docker.script(&flags, script), expected);
    assert_eq!(docker.script(&["--user=web"], "id -un"), "web");
}

/// docker-init is bound into the container and becomes its PID 1.
fn init(docker: &Docker) {
    docker.start_container("reaped", &["--init"]);
    assert_eq!(docker.exec("reaped", "cat /proc/1/comm"), "docker-init");
    docker.exec("reaped", "(true &); (sleep 0.1 &)");
    eventually("docker-init to reap an orphan", || {
        // A zombie has no command line.
        let stats = docker.exec("reaped", "cat /proc/[0-9]*/stat");
        !stats.contains(") Z 1 ")
    });
}

#[test]
fn docker_executes_in_containers() {
    let docker = Docker::start();
    docker.start_container("ship", &["--hostname=harbour", "--env=COLOUR=blue"]);
    let code = |words: &[&str]| docker.run(&[&["exec", "ship"], words].concat()).code;
    assert_eq!(code(&["true"]), 0);
    assert_eq!(code(&["sh", "-c", "exit 7"]), 7);
    assert_eq!(code(&["sh", "-c", "kill -9 $$"]), 137);
    assert_eq!(code(&["/etc/passwd"]), 126);
    assert!(matches!(code(&["no-such-program"]), 126 | 127));
    let piped = docker.run_with(&["exec", "-i", "ship", "cat"], b"typed");
    assert_eq!((piped.code, piped.out.as_str()), (0, "typed"));

    let flags = ["exec", "-w", "/tmp", "-e", "SIZE=big", "-u", "1000:1000"];
    let script = "pwd; echo $COLOUR $SIZE; id -u; id -g; hostname; test $$ != 1; echo $?";
    let said = docker.ok(&[&flags[..], &["ship", "sh", "-c", script]].concat());
    assert_eq!(said, "/tmp\nblue big\n1000\n1000\nharbour\n0");

    let same = docker.exec("ship", "cd /proc; readlink self/ns/* | sort");
    let first = docker.exec("ship", "cd /proc; readlink 1/ns/* | sort");
    assert_eq!(same, first, "the namespaces of a further process");

    docker.ok(&[
        "exec",
        "-d",
        "ship",
        "sh",
        "-c",
        "echo $$ >/tmp/left; exec sleep 1000",
    ]);
    eventually("the process to say its PID", || {
        docker
            .run(&["exec", "ship", "test", "-s", "/tmp/left"])
            .code
            == 0
    });
    let top = docker.ok(&["top", "ship", "-o", "pid,args"]);
    assert!(top.contains("sleep 1000"), "{top}");
    assert!(top.contains("trap 'exit 0' TERM"), "{top}");
    docker.finish();
}

#[test]
fn docker_gives_terminals() {
    let docker = Docker::start();
    let shell = ["run", "-it", "--rm", "--net=none", "-e", "PS1=$ ", BUSYBOX];
    let mut terminal = docker.terminal(&shell);
    terminal.expect("$ ");
    terminal.press("tty; echo $$\r");
    terminal.expect("/dev/pts/0\r\n1\r\n");
    await_size(&mut terminal, "$ ", "30 90");
    terminal.resize(50, 120);
    await_size(&mut terminal, "$ ", "50 120");
    terminal.press("echo asleep; sleep 1000\r");
    terminal.expect("\r\nasleep\r\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.press("\x03");
    terminal.expect("$ ");
    terminal.press("ls -l /dev/console | cut -c1; exit 7\r");
    let rest = terminal.rest();
    assert!(rest.contains("\r\nc\r\n"), "{rest:?}");
    assert_eq!(exit_code(&mut terminal.child), 7);

    docker.start_container("ship", &[]);
    let mut terminal = docker.terminal(&["exec", "-it", "-e", "PS1=$ ", "ship", "sh"]);
    terminal.expect("$ ");
    terminal.press("tty\r");
    terminal.expect("/dev/pts/0\r\n");
    terminal.press("exit 8\r");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 8);
    docker.finish();
}

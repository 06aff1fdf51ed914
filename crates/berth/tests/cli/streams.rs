//! Standard streams and exit codes of `run` and `exec`.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Berth, eventually, exit_code, finish};

#[test]
fn output_error_and_exit_code() {
    let berth = Berth::new();
    let done = berth.run(&[
        "run",
        "--rm",
        "host",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 9",
    ]);
    assert_eq!(
        (done.code, done.out.as_str(), done.err.as_str()),
        (9, "out\n", "err\n")
    );
    assert!(berth.ids().is_empty());
}

#[test]
fn exit_codes_as_docker_has_them() {
    let berth = Berth::new();
    for (command, code) in [
        (&["true"][..], 0),
        (&["false"], 1),
        (&["nosuchcommand"], 127),
        (&["/etc/passwd"], 126),
        (&["sh", "-c", "exit 200"], 200),
        // A child's death by a signal is the shell's 128 + n.
        (&["sh", "-c", "sh -c 'kill -TERM $$'"], 143),
    ] {
        let arguments = [&["run", "--rm", "host"], command].concat();
        assert_eq!(berth.run(&arguments).code, code, "{command:?}");
    }
    let init = berth.run(&["run", "--rm", "--init", "host", "sh", "-c", "kill -9 $$"]);
    assert_eq!(init.code, 137, "{init:?}");
    assert!(berth.ids().is_empty(), "a run that failed leaves nothing");
}

#[test]
fn exec_has_the_same_exit_codes() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["nosuchcommand"], 127),
        (&["/etc/passwd"], 126),
        (&["sh", "-c", "kill -9 $$"], 137),
    ] {
        let arguments = [&["exec", "a"], command].concat();
        assert_eq!(berth.run(&arguments).code, code, "{command:?}");
    }
    let done = berth.run(&[
        "exec",
        "-e",
        "A=b",
        "-w",
        "/usr",
        "a",
        "sh",
        "-c",
        "echo $A; pwd; echo e >&2",
    ]);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("b\n/usr\n", "e\n"));
    assert_eq!(
        berth.run_with(&["exec", "-i", "a", "cat"], b"in\n").out,
        "in\n"
    );
    assert_eq!(berth.run_with(&["exec", "a", "cat"], b"in\n").out, "");
    assert_eq!(berth.run(&["exec", "-d", "a", "sleep", "1000"]).code, 0);
}

#[test]
fn input_is_passed_on_whole_and_ends() {
    let berth = Berth::new();
    let input: Vec<u8> = (0..=250u8).cycle().take(3_000_000).collect();
    let done = berth.run_with(&["run", "--rm", "-i", "host", "sha256sum"], &input);
    let here = std::process::Command::new("sha256sum")
        .stdin({
            let path = berth.path("input");
            std::fs::write(&path, &input).unwrap();
            std::fs::File::open(path).unwrap()
        })
        .output()
        .unwrap();
    assert_eq!(done.out, String::from_utf8(here.stdout).unwrap());
}

#[test]
fn without_i_standard_input_is_empty() {
    let berth = Berth::new();
    let done = berth.run_with(&["run", "--rm", "host", "cat"], b"ignored");
    assert_eq!((done.code, done.out.as_str()), (0, ""));
}

#[test]
fn a_process_that_reads_nothing_still_speaks_and_ends() {
    let berth = Berth::new();
    let input = vec![b'x'; 8 << 20];
    let script = "sleep 0.3; echo done";
    let done = berth.run_with(&["run", "--rm", "-i", "host", "sh", "-c", script], &input);
    assert_eq!((done.code, done.out.as_str()), (0, "done\n"));
}

#[test]
fn a_reader_that_leaves_ends_the_client_not_the_container() {
    let berth = Berth::new();
    let mut child = berth.spawn(&["run", "--name", "a", "host", "yes"]);
    let mut out = child.stdout.take().unwrap();
    let mut first = [0; 2];
    out.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"y\n");
    drop(out);
    assert_eq!(exit_code(&mut child), 141);
    assert_eq!(
        berth.ok(&["ps", "--format", "{{.Names}} {{.State}}"]),
        "a running"
    );
}

#[test]
fn a_slow_reader_gets_everything() {
    let berth = Berth::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    let mut child = berth.spawn(&["run", "--rm", "host", "sh", "-c", script]);
    let mut out = child.stdout.take().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert_eq!(exit_code(&mut child), 0);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 20000);
    assert_eq!(lines[19999], "line 19999");
}

#[test]
fn detached_prints_the_id() {
    let berth = Berth::new();
    let id = berth.ok(&["run", "-d", "host", "true"]);
    assert_eq!(id.len(), 64);
    assert_eq!(berth.ids(), [id]);
    let done = berth.run(&["run", "-d", "--rm", "--name", "gone", "host", "true"]);
    assert_eq!(done.code, 0);
    eventually("gone to be removed", || {
        berth.run(&["inspect", "gone"]).code != 0
    });
}

#[test]
fn the_cidfile_holds_the_id_and_is_never_overwritten() {
    let berth = Berth::new();
    let file = berth.path("cid");
    let file = file.to_str().unwrap();
    let id = berth.ok(&["create", "--cidfile", file, "host", "true"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), id);
    let again = berth.run(&["run", "--cidfile", file, "host", "true"]);
    assert_eq!(again.code, 125);
    assert_eq!(std::fs::read_to_string(file).unwrap(), id);
    let failed = berth.path("failed");
    let done = berth.run(&["run", "--cidfile", failed.to_str().unwrap(), "nosuchimage"]);
    assert_eq!(done.code, 125);
    assert!(!failed.exists());
    assert_eq!(berth.ids().len(), 1);
}

#[test]
fn start_attached_runs_a_created_container_again() {
    let berth = Berth::new();
    berth.ok(&[
        "create",
        "--name",
        "a",
        "-i",
        "host",
        "sh",
        "-c",
        "cat; exit 4",
    ]);
    let done = berth.run_with(&["start", "-ai", "a"], b"hello");
    assert_eq!((done.code, done.out.as_str()), (4, "hello"));
    let done = berth.run_with(&["start", "-ai", "a"], b"again");
    assert_eq!((done.code, done.out.as_str()), (4, "again"), "{done:?}");
    assert_eq!(berth.ok(&["wait", "a"]), "4");
}

#[test]
fn the_environment_is_the_containers_own() {
    let berth = Berth::new();
    let file = berth.path("env");
    std::fs::write(&file, "# note\nA=1\nB=2\nFROM_HERE\n").unwrap();
    let mut command = berth.command(&[
        "run",
        "--rm",
        "--env-file",
        "env",
        "-e",
        "A=3",
        "-e",
        "NOT_SET",
        "host",
        "env",
    ]);
    let child = command
        .env("FROM_HERE", "yes")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let done = finish(child);
    let mut lines: Vec<&str> = done
        .out
        .lines()
        .filter(|line| !line.starts_with("HOSTNAME="))
        .collect();
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r"
    A=3
    B=2
    FROM_HERE=yes
    HOME=/root
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    ");
}

//! Commands under limits of their caller's (`ulimit`).

use std::process::{Command, Stdio};

use crate::cli::{Berth, Done, eventually, finish};

/// Runs a command below prlimit(1).
fn limited(berth: &Berth, limit: &str, arguments: &[&str]) -> Done {
    let inner = berth.command(arguments);
    let mut command = Command::new("prlimit");
    command
        .arg(limit)
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    finish(command.spawn().unwrap())
}

/// A monitor used to be killed by SIGXFSZ at the first line of the log that was too much, the keeper
/// after it, and commands before they had said anything.
#[test]
fn a_limit_on_files_costs_lines_of_the_log_and_no_monitor() {
    let berth = Berth::with_cgroup_parent();
    let script = "for n in $(seq 9000); do echo a line of the log; done; echo over >&2; \
                  dd if=/dev/zero of=/run/big bs=1k count=200 2>/dev/null; echo $? >&2; sleep 1000";
    let done = limited(
        &berth,
        "--fsize=65536",
        &[
            "run", "-d", "--name", "some", "--tmpfs", "/run", "host", "sh", "-c", script,
        ],
    );
    assert_eq!(done.code, 0, "{done:?}");
    let lost = || berth.ok(&["inspect", "-f", "{{.Berth.Log.Lost}}", "some"]);
    eventually("the losses", || lost() != "0");
    berth.ok(&["exec", "some", "true"]);
    // In the container the signal has its default action.
    eventually("the end of dd", || {
        berth.run(&["exec", "some", "test", "-s", "/run/big"]).code == 0
    });
    berth.ok(&["stop", "-t", "0", "some"]);
    let code = berth.ok(&["inspect", "-f", "{{.State.ExitCode}}", "some"]);
    assert_eq!(code, "137", "somebody recorded the end");
    let done = limited(
        &berth,
        "--fsize=0",
        &["run", "--name", "other", "host", "true"],
    );
    assert_eq!(done.code, 125, "{done:?}");
    assert!(done.err.contains("File too large"), "{done:?}");
    assert_eq!(berth.ids().len(), 1, "nothing half made");
}

/// "its messages are on standard error", it used to say, and there were none.
#[test]
fn too_few_descriptors_are_named() {
    let berth = Berth::with_cgroup_parent();
    let mut started = 0;
    for limit in [
        4, 6, 8, 10, 12, 14, 16, 17, 18, 19, 20, 22, 24, 26, 28, 30, 32, 36, 64, 256,
    ] {
        let flag = format!("--nofile={limit}");
        let done = limited(&berth, &flag, &["run", "--name", "some", "host", "true"]);
        let why = done.err.lines().next().unwrap_or_default();
        let is_named = why.contains("open files") && why.starts_with("berth: ");
        assert!(
            done.code == 0 || (done.code == 125 && is_named),
            "{limit}: {done:?}"
        );
        started += i32::from(done.code == 0);
        let state = berth.ok(&["ps", "-a", "--format", "{{.State}}"]);
        assert!(
            ["", "created", "exited"].contains(&state.as_str()),
            "{limit}: {state}"
        );
        berth.run(&["rm", "some"]);
        assert!(berth.ids().is_empty(), "{limit}");
    }
    assert!(started > 0);
}

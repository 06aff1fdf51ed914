//! Further processes in a container.

use berth_testkit::{Container, Runtime, covers, skip, soon};
use serde_json::json;

use crate::runtime;

fn started(runtime: &Runtime) -> Container<'_> {
    runtime.started("one", &runtime.bundle().sleeping())
}

#[test]
fn exec_runs_in_the_container_and_ends_as_its_program() {
    let runtime = runtime();
    let container = started(&runtime);
    let output = runtime.exec("one", &["sh", "-c", "hostname; echo err >&2; exit 9"]);
    assert_eq!(
        (output.code, output.out.as_str(), output.err.as_str()),
        (9, "testkit\n", "err\n")
    );
    let output = runtime.exec("one", &["sh", "-c", "kill -KILL $$"]);
    assert_eq!(output.code, 137, "{output:?}");
    for name in ["pid", "net", "mnt", "ipc", "uts"] {
        let link = runtime
            .exec("one", &["readlink", &format!("/proc/self/ns/{name}")])
            .ok();
        assert_eq!(link.text(), container.namespace(name));
    }
    container.end();
    runtime.assert_nothing_left();
}

#[test]
fn exec_of_a_missing_program_fails_and_names_it() {
    let runtime = runtime();
    let container = started(&runtime);
    let message = runtime.exec("one", &["no-such-program"]).refused();
    assert!(message.contains("no-such-program"), "{message}");
    drop(runtime.exec("one", &["/etc/passwd"]).refused());
    assert!(runtime.exec("one", &[]).code > 0);
    assert_eq!(container.status(), "running");
    container.end();
}

#[test]
fn flags_change_the_process() {
    let runtime = runtime();
    let container = started(&runtime);
    let said = |flags: &[&str], script: &str| {
        runtime
            .exec_with("one", flags, &["sh", "-c", script])
            .ok()
            .out
    };
    assert_eq!(said(&["--cwd", "/tmp"], "pwd"), "/tmp\n");
    assert_eq!(
        said(&["--env", "A=1", "--env", "B=2 3"], "echo $A,$B"),
        "1,2 3\n"
    );
    assert_eq!(said(&["--user", "1000:5"], "id -u; id -g"), "1000\n5\n");
    assert_eq!(said(&["--user", "1000"], "id -u"), "1000\n");
    let groups = said(
        &[
            "--user",
            "1000:1000",
            "--additional-gids",
            "2000",
            "--additional-gids",
            "5",
        ],
        "grep ^Groups /proc/self/status",
    );
    assert!(
        groups.contains("2000") && groups.contains(" 5") || groups.contains("\t5"),
        "{groups}"
    );
    let caps = said(
        &["--cap", "CAP_NET_ADMIN"],
        "grep ^CapEff /proc/self/status",
    );
    let bits = u64::from_str_radix(caps.split_whitespace().last().unwrap(), 16).unwrap();
    assert_eq!(bits >> 12 & 1, 1, "{caps}");
    let plain = said(&[], "grep ^CapEff /proc/self/status");
    let bits = u64::from_str_radix(plain.split_whitespace().last().unwrap(), 16).unwrap();
    assert_eq!(bits >> 12 & 1, 0, "{plain}");
    container.end();
}

#[test]
fn a_process_file_describes_the_process() {
    let runtime = runtime();
    let container = started(&runtime);
    let file = runtime.path("process.json");
    let process = json!({
        "terminal": false,
        "user": {"uid": 1000, "gid": 1000, "umask": 0o77},
        "args": ["sh", "-c", "id -u; pwd; echo $WORD; umask; grep ^NoNewPrivs /proc/self/status"],
        "env": ["WORD=of the file", "PATH=/bin"],
        "cwd": "/tmp",
        "noNewPrivileges": true,
        "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
    });
    std::fs::write(&file, process.to_string()).unwrap();
    let said = runtime
        .exec_with("one", &["--process", file.to_str().unwrap()], &[])
        .ok()
        .out;
    assert_eq!(said, "1000\n/tmp\nof the file\n0077\nNoNewPrivs:\t1\n");
    std::fs::write(&file, "{").unwrap();
    drop(
        runtime
            .exec_with("one", &["--process", file.to_str().unwrap()], &[])
            .refused(),
    );
    container.end();
}

#[test]
fn a_detached_process_belongs_to_the_caller() {
    let runtime = runtime();
    let container = started(&runtime);
    let file = runtime.path("pid");
    let flags = ["--detach", "--pid-file", file.to_str().unwrap()];
    drop(
        runtime
            .exec_with("one", &flags, &["sh", "-c", "exit 12"])
            .ok(),
    );
    let pid: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    assert_eq!(berth_testkit::reap(pid), 12);
    // The end of one exec'd process is not the container's.
    assert_eq!(container.status(), "running");
    drop(runtime.exec_with("one", &flags, &["sleep", "1000"]).ok());
    let pid: i32 = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert_eq!(cgroups, container.proc("cgroup"));
    container.kill("KILL");
    // The namespace ends when its last zombie is reaped, and this one is ours.
    assert_eq!(berth_testkit::reap(pid), -9);
    assert_eq!(container.wait(), -9);
    container.delete();
    runtime.assert_nothing_left();
}

#[test]
fn exec_has_the_containers_confinement() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW",
                   "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}),
        )
        .set("/process/oomScoreAdj", 50)
        .push(
            "/process/rlimits",
            json!({"type": "RLIMIT_CORE", "soft": 0, "hard": 0}),
        )
        .sleeping();
    let container = runtime.started("one", &bundle);
    let said = container
        .sh(
            "mkdir /tmp/x 2>&1; grep -E '^(Seccomp|NoNewPrivs|CapEff|CapBnd):' /proc/self/status; \
             cat /proc/self/oom_score_adj; ulimit -c",
        )
        .ok()
        .out;
    assert!(said.contains("not permitted"), "{said}");
    assert!(
        said.contains("Seccomp:\t2") && said.contains("NoNewPrivs:\t1"),
        "{said}"
    );
    assert!(said.ends_with("50\n0\n"), "{said}");
    let own: Vec<String> = container
        .proc("status")
        .lines()
        .filter(|line| line.starts_with("CapEff") || line.starts_with("CapBnd"))
        .map(str::to_owned)
        .collect();
    for line in own {
        assert!(said.contains(&line), "{line}: {said}");
    }
    container.end();
}

#[test]
fn exec_is_for_running_containers() {
    let runtime = runtime();
    let container = started(&runtime);
    drop(runtime.invoke(&["pause", "one"]).ok());
    drop(runtime.exec("one", &["true"]).refused());
    drop(runtime.invoke(&["resume", "one"]).ok());
    container.kill("KILL");
    container.wait();
    let message = runtime.exec("one", &["true"]).refused();
    assert!(
        message.contains("stopped") || message.contains("not running"),
        "{message}"
    );
    container.delete();
    drop(runtime.exec("one", &["true"]).refused());
}

#[test]
fn exec_in_a_created_container_works() {
    let runtime = runtime();
    let container = runtime.created("one", &runtime.bundle().sh("echo ran"));
    assert_eq!(
        runtime.exec("one", &["echo", "before"]).ok().out,
        "before\n"
    );
    assert_eq!(container.stdout(), "");
    container.start();
    assert_eq!(container.wait(), 0);
}

#[test]
fn standard_input_is_the_callers() {
    let runtime = runtime();
    let container = started(&runtime);
    let file = runtime.path("input");
    std::fs::write(&file, "of the caller\n").unwrap();
    let mut command = runtime.command(&["exec", "one", "cat"]);
    let output = runtime
        .finish(command.stdin(std::fs::File::open(file).unwrap()))
        .ok();
    assert_eq!(output.out, "of the caller\n");
    container.end();
}

#[test]
fn exec_runs_on_the_configured_cpus() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    if cpus < 2 {
        return skip("one CPU leaves no choice");
    }
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .set(
            "/process/execCPUAffinity",
            json!({"initial": "0", "final": "1"}),
        )
        .sleeping();
    let container = runtime.started("one", &bundle);
    let list = container
        .sh("grep ^Cpus_allowed_list: /proc/self/status")
        .ok()
        .out;
    assert_eq!(list.split_whitespace().last(), Some("1"), "{list}");
    let own = container.proc("status");
    let own = own
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list"))
        .unwrap();
    assert_ne!(own.split_whitespace().last(), Some("1"), "{own}");
    container.end();
}

#[test]
fn what_an_execd_process_leaves_behind_does_not_stay_a_zombie() {
    let runtime = runtime();
    let container = started(&runtime);
    drop(container.sh("(sleep 0.05 &)").ok());
    soon("no zombie", || {
        let zombies = container
            .sh("grep -l '^State:.Z' /proc/[0-9]*/status; true")
            .ok();
        zombies.out.is_empty().then_some(())
    });
    container.end();
}

#[test]
fn many_execs_at_once_all_work() {
    covers!("runtime/scope-operations");
    let runtime = runtime();
    let container = started(&runtime);
    std::thread::scope(|scope| {
        for at in 0..8 {
            let runtime = &runtime;
            scope.spawn(move || {
                let word = format!("word{at}");
                assert_eq!(runtime.exec("one", &["echo", &word]).ok().text(), word);
            });
        }
    });
    container.end();
    runtime.assert_nothing_left();
}

/// Standard error is the process's: who executes it by a shim shows it to a user.
#[test]
fn warnings_of_exec_go_to_the_log() {
    let runtime = runtime();
    let log = runtime.path("exec.log");
    let runtime = runtime.with_globals(&["--log", log.to_str().unwrap()]);
    let container = started(&runtime);
    let process = json!({
        "cwd": "/",
        "user": { "uid": 0, "gid": 0 },
        "args": ["echo", "out"],
        "env": ["PATH=/bin"],
        "capabilities": { "bounding": [], "permitted": [], "effective": ["CAP_KILL"] },
    });
    let file = runtime.path("process.json");
    std::fs::write(&file, process.to_string()).unwrap();
    let output = runtime
        .exec_with("one", &["--process", file.to_str().unwrap()], &[])
        .ok();
    assert_eq!((&*output.out, &*output.err), ("out\n", ""));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("CAP_KILL left out"), "{log}");
    container.end();
}

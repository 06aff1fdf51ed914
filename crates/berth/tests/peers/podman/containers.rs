//! Containers on their own.

use std::fs;

use super::Podman;
use crate::image::BUSYBOX;
use crate::support::{eventually, exit_code};
use crate::terminal::await_size;

const WAIT: &str = "trap 'exit 6' TERM; echo ready; while :; do sleep 3600 & wait $!; done";

#[test]
fn podman_runs_programs() {
    let podman = Podman::new();
    exit_codes(&podman);
    surroundings(&podman);
    terminals(&podman);
    podman.finish();
}

fn exit_codes(podman: &Podman) {
    let run = |program: &[&str]| podman.run_container(&["--rm"], program);
    let done = run(&["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!(
        (done.code, &*done.out, &*done.err),
        (3, "out\n", "err\n"),
        "{done:?}"
    );
    let done = run(&["/etc/passwd"]);
    assert_eq!(done.code, 126, "{done:?}");
    let done = run(&["no-such-program"]);
    assert_eq!(done.code, 127, "{done:?}");
    assert!(done.err.contains("no-such-program"), "{done:?}");
}

fn surroundings(podman: &Podman) {
    let flags = [
        "--workdir=/tmp",
        "--env=COLOUR=blue",
        "--user=1000:1000",
        "--hostname=harbour",
    ];
    let script = "pwd; echo $COLOUR; id -u; hostname; echo $$";
    assert_eq!(
        podman.script(&flags, script),
        "/tmp\nblue\n1000\nharbour\n1"
    );
    for kind in ["pid", "net", "ipc", "uts"] {
        let flag = match kind {
            "net" => "--network=host".to_owned(),
            kind => format!("--{kind}=host"),
        };
        let said = podman.script(&[&flag], &format!("readlink /proc/self/ns/{kind}"));
        assert_eq!(said, podman.world.namespace(kind), "{flag}");
    }
    let status = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status";
    let flags = ["--cap-drop=all", "--security-opt=no-new-privileges"];
    let expected = "CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2";
    assert_eq!(podman.script(&flags, status), expected);

    let folder = podman.world.path("bound");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "outside").unwrap();
    let bind = format!("--volume={}:/b:ro", folder.display());
    let script = "cat /b/file; touch /b/new /new 2>&1 | grep -c Read-only; touch /tmp/new";
    let flags = [&bind, "--read-only", "--tmpfs=/tmp"];
    assert_eq!(podman.script(&flags, script), "outside2");

    // In a user namespace: root of the container is somebody else outside.
    let flags = ["--uidmap=0:100000:65536", "--gidmap=0:200000:65536"];
    let script = "id -u; tr -s ' ' </proc/self/uid_map; echo mine >/root/file; \
                  stat -c %u:%g /root/file; hostname below; hostname";
    let flags = [&flags[..], &["--cap-add=SYS_ADMIN"]].concat();
    assert_eq!(
        podman.script(&flags, script),
        "0\n 0 100000 65536\n0:0\nbelow"
    );
}

fn terminals(podman: &Podman) {
    let parent = format!("--cgroup-parent={}", podman.world.cgroup_parent());
    let words = ["run", "--rm", "-it", "--network=none", &parent, BUSYBOX];
    let mut terminal = podman.terminal(&words);
    terminal.expect("# ");
    await_size(&mut terminal, "# ", "30 90");
    terminal.press("tty\r");
    terminal.expect("/dev/pts/0\r\n");
    terminal.press("exit 7\r");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 7);
}

#[test]
fn podman_follows_a_container() {
    let podman = Podman::new();
    let flags = ["--detach", "--name=ship", "--memory=64m", "--pids-limit=50"];
    let done = podman.run_container(&flags, &["sh", "-c", WAIT]);
    assert_eq!(done.code, 0, "{done:?}");
    let cgroup = format!("libpod-{}", done.out.trim());
    let control = |files: &[&str]| podman.world.control(&cgroup, files);
    let memory = ["memory.limit_in_bytes", "memory.max"];
    assert_eq!(control(&memory), "67108864");
    assert_eq!(control(&["pids.max"]), "50");
    eventually("the log", || podman.ok(&["logs", "ship"]) == "ready");

    let done = podman.run(&["exec", "ship", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(
        (done.code, &*done.out, &*done.err),
        (7, "out\n", "err\n"),
        "{done:?}"
    );
    let missing = podman.run(&["exec", "ship", "no-such-program"]);
    assert_eq!(missing.code, 127, "{missing:?}");
    let top = podman.ok(&["top", "ship", "pid", "args"]);
    assert!(top.contains("trap 'exit 6' TERM"), "{top}");
    let stats = podman.ok(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "ship"]);
    assert!(stats.contains("/ 67.11MB"), "{stats}");
    let mut terminal = podman.terminal(&["exec", "-it", "ship", "sh"]);
    terminal.expect("# ");
    terminal.press("tty\r");
    terminal.expect("/dev/pts/0\r\n");
    terminal.press("exit 8\r");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 8);

    podman.ok(&["update", "--memory=96m", "ship"]);
    assert_eq!(control(&memory), "100663296");
    let status = || podman.inspect("ship", "{{.State.Status}} {{.State.ExitCode}}");
    podman.ok(&["pause", "ship"]);
    assert!(status().starts_with("paused"));
    podman.ok(&["unpause", "ship"]);
    assert!(status().starts_with("running"));
    podman.ok(&["stop", "--time=20", "ship"]);
    assert_eq!(status(), "exited 6");
    podman.ok(&["start", "ship"]);
    assert!(status().starts_with("running"));
    podman.ok(&["kill", "ship"]);
    eventually("the end", || status() == "exited 137");

    // OOMKilled stays false on a hybrid host, with runc as well.
    let flags = ["--rm", "--memory=16m", "--memory-swap=16m"];
    let done = podman.run_container(&flags, &["tail", "/dev/zero"]);
    assert_eq!(done.code, 137, "{done:?}");
    podman.finish();
}

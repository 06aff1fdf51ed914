//! `ctr`: containerd without anybody's habits on top.

use super::Containerd;
use crate::image::BUSYBOX;
use crate::support::{Done, Terminal, eventually, exit_code};
use crate::world::runtime;

const WAIT: &str = "trap 'exit 6' TERM; echo ready; while :; do sleep 3600 & wait $!; done";

impl Containerd {
    /// The words that run a program in a container named `name`.
    fn run_words(&self, name: &str, flags: &[&str], program: &[&str]) -> Vec<String> {
        let runtime = runtime();
        let cgroup = format!("{}/{name}", self.world.cgroup_parent());
        let own = [
            "run",
            "--runc-binary",
            runtime.to_str().unwrap(),
            "--cgroup",
            &cgroup,
        ];
        let end = [BUSYBOX, name];
        [&own[..], flags, &end, program]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn run_container(&self, name: &str, flags: &[&str], program: &[&str]) -> Done {
        let words = self.run_words(name, flags, program);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.run(&words)
    }

    fn exec(&self, session: &str, script: &str) -> Done {
        let words = [
            "task",
            "exec",
            "--exec-id",
            session,
            "ship",
            "sh",
            "-c",
            script,
        ];
        self.run(&words)
    }

    fn status(&self, name: &str) -> String {
        let list = self.ok(&["task", "ls"]);
        let line = list.lines().find(|line| line.starts_with(name));
        let words = line.and_then(|line| line.split_whitespace().nth(2));
        words.unwrap_or("none").to_owned()
    }
}

#[test]
fn ctr_runs_programs() {
    let containerd = Containerd::start("default");
    let script = |flags: &[&str], script: &str| {
        let flags = [&["--rm"], flags].concat();
        containerd.run_container("once", &flags, &["sh", "-c", script])
    };
    let done = script(&[], "echo out; echo err >&2; exit 3");
    assert_eq!(
        (done.code, &*done.out, &*done.err),
        (3, "out\n", "err\n"),
        "{done:?}"
    );
    let done = script(&["--env=COLOUR=blue", "--cwd=/tmp"], "echo $$ $COLOUR; pwd");
    assert_eq!(done.out, "1 blue\n/tmp\n", "{done:?}");
    let done = script(&["--read-only"], "touch /new 2>&1 | grep -o Read-only");
    assert_eq!(done.out, "Read-only\n", "{done:?}");
    let host = containerd.world.namespace("net");
    let done = script(&["--net-host"], "readlink /proc/self/ns/net");
    assert_eq!(done.out.trim_end(), host, "{done:?}");
    let maps = ["--uidmap=0:100000:65536", "--gidmap=0:200000:65536"];
    let done = script(
        &maps,
        "id -u; tr -s ' ' </proc/self/uid_map; echo mine >/root/file; stat -c %u:%g /root/file",
    );
    assert_eq!(done.out, "0\n 0 100000 65536\n0:0\n", "{done:?}");

    let done = containerd.run_container("once", &["--rm"], &["no-such-program"]);
    assert_ne!(done.code, 0, "{done:?}");
    assert!(done.err.contains("no-such-program"), "{done:?}");
    assert_eq!(containerd.ok(&["containers", "ls", "-q"]), "");

    let words = containerd.run_words("tty", &["--rm", "--tty"], &["sh"]);
    let entrance = containerd.world.entrance();
    let ctr = super::ctr(&containerd.world);
    let all: Vec<&str> = entrance[1..]
        .iter()
        .chain(&ctr)
        .chain(&words)
        .map(String::as_str)
        .collect();
    let mut terminal = Terminal::start_program(&entrance[0], &all);
    terminal.expect("# ");
    terminal.press("tty; stty size\r");
    // ctr leaves its own terminal's line breaks as they are.
    terminal.expect("/dev/pts/0\r");
    terminal.expect("30 90\r");
    terminal.press("exit 7\r");
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 7);
    containerd.finish();
}

#[test]
fn ctr_follows_a_container() {
    let containerd = Containerd::start("default");
    let flags = ["--detach", "--memory-limit=67108864"];
    let done = containerd.run_container("ship", &flags, &["sh", "-c", WAIT]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(containerd.status("ship"), "RUNNING");
    let memory = ["memory.limit_in_bytes", "memory.max"];
    assert_eq!(containerd.world.control("ship", &memory), "67108864");

    let done = containerd.exec("one", "echo out; echo err >&2; test $$ != 1; exit 7");
    assert_eq!(
        (done.code, &*done.out, &*done.err),
        (7, "out\n", "err\n"),
        "{done:?}"
    );
    let pids = containerd.ok(&["task", "ps", "ship"]);
    assert!(pids.lines().count() >= 2, "{pids}");
    let metrics = containerd.ok(&["task", "metrics", "ship"]);
    assert!(metrics.contains("memory"), "{metrics}");

    containerd.ok(&["task", "pause", "ship"]);
    assert_eq!(containerd.status("ship"), "PAUSED");
    containerd.ok(&["task", "resume", "ship"]);
    assert_eq!(containerd.status("ship"), "RUNNING");

    // A second container in the PID namespace of the first.
    let list = containerd.ok(&["task", "ls"]);
    let pid = list
        .lines()
        .find_map(|line| line.strip_prefix("ship"))
        .and_then(|rest| rest.split_whitespace().next());
    let flag = format!("--with-ns=pid:/proc/{}/ns/pid", pid.unwrap());
    let script = "tr '\\0' ' ' </proc/1/cmdline; test $$ != 1";
    let done = containerd.run_container("guest", &["--rm", &flag], &["sh", "-c", script]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("trap 'exit 6' TERM"), "{done:?}");

    let refused = containerd.run(&["task", "delete", "ship"]);
    assert_ne!(refused.code, 0, "a running task was deleted");
    containerd.ok(&["task", "kill", "--signal", "SIGTERM", "ship"]);
    eventually("the end", || containerd.status("ship") == "STOPPED");
    let deleted = containerd.run(&["task", "delete", "ship"]);
    assert!(deleted.err.contains("exit code 6"), "{deleted:?}");
    containerd.ok(&["container", "delete", "ship"]);
    containerd.finish();
}

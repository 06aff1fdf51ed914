//! Namespaces of a test's own, made by unshare(1), and what lsns(8) and nsenter(1) say about them.

use std::process::{Child, Command, Stdio};

use crate::support::{Done, eventually, finish};

/// A tree of processes below unshare(1) that ends with the test.
pub struct World {
    root: Child,
    /// The host PID of the innermost process.
    pub pid: String,
}

/// Every kind of namespace but time.
pub const ALL: &[&str] = &[
    "-U",
    "-r",
    "-p",
    "-f",
    "-m",
    "-n",
    "-u",
    "-i",
    "-C",
    "--mount-proc",
];

impl World {
    /// Runs a shell script in new namespaces; it is to end in a `sleep` of its own seconds, by
    /// which the innermost process is found.
    pub fn new(flags: &[&str], script: &str, seconds: u32) -> Self {
        let mut command = Command::new("unshare");
        command.args(flags).arg("--kill-child");
        command.args(["sh", "-c", script]).stdin(Stdio::null());
        let root = command.spawn().unwrap();
        let sought = format!("sleep\0{seconds}\0");
        let mut pid = None;
        eventually("the innermost process", || {
            pid = below(root.id()).into_iter().find(|pid| {
                std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == sought.as_bytes())
            });
            pid.is_some()
        });
        Self {
            root,
            pid: pid.unwrap().to_string(),
        }
    }

    /// A namespace's inode number.
    pub fn namespace(&self, kind: &str) -> String {
        namespace(&self.pid, kind)
    }

    /// Every kind in which it does not live with us.
    pub fn own(&self) -> Vec<(String, String)> {
        let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
        let own = kinds.map(|kind| (kind.to_owned(), self.namespace(kind)));
        own.into_iter()
            .filter(|(kind, inode)| *inode != namespace("self", kind))
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.root.kill());
        drop(self.root.wait());
    }
}

/// A process and its descendants, by /proc/PID/task/PID/children.
fn below(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let text = text.unwrap_or_default();
        all.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
        at += 1;
    }
    all
}

fn namespace(pid: &str, kind: &str) -> String {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
    let text = link.to_str().unwrap();
    text.trim_end_matches(']')
        .rsplit('[')
        .next()
        .unwrap()
        .to_owned()
}

/// Runs a program to its end.
pub fn run(program: &str, arguments: &[&str]) -> Done {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

/// Whether a program of util-linux is there; says why a test does not run otherwise.
pub fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        berth_testkit::skip(&format!("{program} is not installed"));
    }
    found
}

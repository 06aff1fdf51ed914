//! PIDs at every level.

use crate::support::Berth;

#[test]
fn to_the_host_and_back() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let host = berth.ok(&["pid", "a:1"]);
    assert_eq!(berth.ok(&["pid", "a"]), host);
    assert_eq!(berth.ok(&["pid", &host]), "a:1");
    assert_eq!(berth.ok(&["pid", "--in", "a", &host]), "1");
    assert_eq!(berth.ok(&["pid", "--in", "host", "a:1"]), host);
    let status = std::fs::read_to_string(format!("/proc/{host}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("NSpid:"))
        .unwrap();
    assert!(line.ends_with("\t1"), "{line}");
    let me = std::process::id().to_string();
    assert_eq!(berth.ok(&["pid", &me]), format!("host:{me}"));
    let unseen = berth.run(&["pid", "--in", "a", &me]);
    assert_eq!((unseen.code, unseen.out.as_str()), (1, ""));
    let json: serde_json::Value =
        serde_json::from_str(&berth.ok(&["pid", "--json", "a:1"])).unwrap();
    assert_eq!(json["version"], 2);
    assert_eq!(json["answer"], "a:1");
    let levels = json["levels"].as_array().unwrap();
    assert_eq!(levels.last().unwrap()["pid"], 1);
    assert_eq!(levels[0]["pid"].to_string(), host);
}

#[test]
fn top_shows_levels_below() {
    let berth = Berth::new();
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--privileged",
        "host",
        "unshare",
        "--pid",
        "--fork",
        "sleep",
        "1000",
    ]);
    // Between its fork and its exec the inner process has the name of the outer one.
    let template = "{{.Pid}} {{.Deeper}} {{.Command}}";
    let both = "1 - unshare --pid --fork sleep 1000\n2 1 sleep 1000";
    crate::support::eventually("the inner process", || {
        berth.ok(&["top", "--format", template, "a"]) == both
    });
    let inner = berth.ok(&["pid", "a:2"]);
    let json: serde_json::Value =
        serde_json::from_str(&berth.ok(&["pid", "--json", &inner])).unwrap();
    let levels = json["levels"].as_array().unwrap();
    assert_eq!(levels.last().unwrap()["pid"], 1);
}

#[test]
fn the_map_shows_the_container() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let host = berth.ok(&["pid", "a:1"]);
    let picture = berth.ok(&["map", "--ascii"]);
    let line = picture
        .lines()
        .find(|line| line.contains(&format!(" {host} ")))
        .unwrap();
    assert!(line.contains("sleep"), "{line}");
    let json: serde_json::Value = serde_json::from_str(&berth.ok(&["map", "--json"])).unwrap();
    assert!(json["version"].is_u64());
}

#[test]
fn what_is_no_pid() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "idle", "host", "true"]);
    for (process, part) in [
        ("0", "PIDs count from 1"),
        ("nosuch", "not a PID"),
        ("idle", "is not running"),
        ("idle:1", "is not running"),
        ("a:b", "not a PID"),
        ("4194304", "no process"),
    ] {
        let done = berth.run(&["pid", process]);
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{process}");
        assert!(done.err.contains(part), "{process}: {}", done.err);
        assert_eq!(done.err.lines().count(), 1);
    }
}

#[test]
fn several_at_once() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let host = berth.ok(&["pid", "a"]);
    let done = berth.run(&["pid", &host, "a:4000000", "a:1", "nosuch"]);
    assert_eq!(done.code, 1);
    assert_eq!(done.out, format!("a:1\n{host}\n"));
    assert_eq!(done.err.lines().count(), 2, "{}", done.err);
    assert_eq!(berth.ok(&["pid", "--in", "a", "a:1", &host]), "1\n1");
    let all = berth.ok(&["pid", "--all", "a", "a:1"]);
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines.len(), 5, "{all}");
    assert_eq!((lines[1], lines[2]), (lines[3], lines[4]));
    assert!(
        lines[2].ends_with(" 1 a") && lines[1].ends_with(" -"),
        "{all}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&berth.ok(&["pid", "--json", "a", &host])).unwrap();
    let documents = json.as_array().unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0]["asked"], "a");
    let partly = berth.run(&["pid", "--json", "a", "nosuch"]);
    let json: serde_json::Value = serde_json::from_str(&partly.out).unwrap();
    assert_eq!((partly.code, json.as_array().unwrap().len()), (1, 1));
}

#[test]
fn between_any_two_levels() {
    let berth = Berth::new();
    let script = "sleep 999 & unshare --pid --fork sleep 1000";
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "outer",
        "--privileged",
        "host",
        "sh",
        "-c",
        script,
    ]);
    let mut inner = None;
    crate::support::eventually("the inner process", || {
        let rows = berth.ok(&["top", "--format", "{{.Pid}} {{.Deeper}}", "outer"]);
        let row = rows.lines().find_map(|row| row.strip_suffix(" 1"));
        inner = row.map(str::to_owned);
        inner.is_some()
    });
    let inner = inner.unwrap();
    let host = berth.ok(&["pid", &format!("outer:{inner}")]);
    assert_eq!(berth.ok(&["pid", "--in", "outer", &host]), inner);
    let all = berth.ok(&["pid", "--all", &host]);
    let pids: Vec<&str> = all
        .lines()
        .skip(1)
        .map(|l| l.split_whitespace().nth(3).unwrap())
        .collect();
    assert_eq!(pids, [host.as_str(), inner.as_str(), "1"]);
}

#[test]
fn a_stream_is_annotated() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let host = berth.ok(&["pid", "a"]);
    let me = std::process::id();
    let input = format!("x {host} v{host} {host}.5\n\x1b[1m{host}\x1b[0m {me}\n\0{host}");
    let done = berth.run_with(&["pid", "-"], input.as_bytes());
    assert_eq!(done.code, 0);
    let expected =
        format!("x {host} [a:1] v{host} {host}.5\n\x1b[1m{host} [a:1]\x1b[0m {me}\n\0{host} [a:1]");
    assert_eq!((done.out, done.err), (expected, String::new()));
    assert_eq!(berth.run(&["pid", "-", "1"]).code, 125);
    assert_eq!(berth.run(&["pid", "--json", "-"]).code, 125);
}

#[test]
fn a_stream_comes_line_by_line_and_follows_the_host() {
    use std::io::{BufRead, BufReader, Write};
    let berth = Berth::new();
    let mut child = berth.spawn(&["pid", "-"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut ask = |line: &str| {
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    };
    assert_eq!(ask("1"), "1");
    // A container that starts while the stream runs is known soon.
    berth.ok(&["run", "-d", "--name", "late", "host", "sleep", "1000"]);
    let host = berth.ok(&["pid", "late"]);
    crate::support::eventually("the new container", || {
        ask(&host) == format!("{host} [late:1]")
    });
    drop(stdin);
    assert_eq!(crate::support::exit_code(&mut child), 0);
}

#[test]
fn a_reader_that_leaves_ends_the_stream_quietly() {
    let berth = Berth::new();
    let mut child = berth.spawn(&["pid", "-"]);
    // Its input stays open and silent.
    drop(child.stdout.take());
    let mut err = String::new();
    let stderr = child.stderr.take().unwrap();
    assert_eq!(crate::support::exit_code(&mut child), 0);
    std::io::Read::read_to_string(&mut std::io::BufReader::new(stderr), &mut err).unwrap();
    assert_eq!(err, "");
}

/// A process in a cgroup such as another engine makes, in namespaces of its own.
struct Foreign {
    root: std::process::Child,
    folders: Vec<std::path::PathBuf>,
}

impl Foreign {
    /// `None` where there is no cgroup v2 to make one in.
    fn new(id: &str, seconds: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let v2 = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let Some(v2) = v2.and_then(|line| line.split(' ').nth(4)) else {
            berth_testkit::skip("no cgroup v2 hierarchy is mounted");
            return None;
        };
        let own = std::path::Path::new(v2).join(format!("berth-test-{}", std::process::id()));
        let folders = vec![own.clone(), own.join("docker"), own.join("docker").join(id)];
        for folder in &folders {
            std::fs::create_dir_all(folder).unwrap();
        }
        // As engines do it: what makes the namespaces stays outside of the cgroup.
        let script = "echo 0 > \"$1/cgroup.procs\" && exec sleep $2";
        let mut command = std::process::Command::new("unshare");
        command.args(["-p", "-f", "-n", "-m", "--mount-proc", "--kill-child"]);
        command
            .args(["sh", "-c", script, "sh"])
            .arg(folders.last().unwrap())
            .arg(seconds);
        Some(Self {
            root: command.spawn().unwrap(),
            folders,
        })
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.root.kill());
        drop(self.root.wait());
        for folder in self.folders.iter().rev() {
            // Until its last process is reaped it is busy.
            crate::support::eventually("an empty cgroup", || {
                std::fs::remove_dir(folder).is_ok() || !folder.exists()
            });
        }
    }
}

#[test]
fn other_engines_containers_are_translated_and_entered() {
    let berth = Berth::new();
    let id = "d0c4e5".repeat(11)[..64].to_owned();
    let Some(foreign) = Foreign::new(&id, "1020") else {
        return;
    };
    let name = format!("docker/{}", &id[..12]);
    let first = format!("{name}:1");
    let mut host = String::new();
    crate::support::eventually("the container", || {
        host = berth.run(&["pid", &first]).out.trim_end().to_owned();
        let command = std::fs::read(format!("/proc/{host}/cmdline")).unwrap_or_default();
        command == b"sleep\x001020\0"
    });
    assert_eq!(berth.ok(&["pid", &host]), first);
    assert_eq!(berth.ok(&["pid", "--in", &name, &host]), "1");
    let done = berth.run_with(&["pid", "-"], format!("({host})").as_bytes());
    assert_eq!(done.out, format!("({host} [{first}])"));
    let inside = berth.ok(&[
        "enter",
        &first,
        "sh",
        "-c",
        "readlink /proc/1/exe; echo /proc/[0-9]*",
    ]);
    assert!(
        inside.contains("sleep") && inside.contains("/proc/1 "),
        "{inside}"
    );
    let net = berth.ok(&[
        "enter",
        "--ns",
        "net",
        &first,
        "readlink",
        "/proc/self/ns/net",
    ]);
    let link = std::fs::read_link(format!("/proc/{host}/ns/net")).unwrap();
    assert_eq!(net, link.to_str().unwrap());
    let table = berth.ok(&["ns", "-p", &first, "-t", "net", "-n", "-o", "CONTAINER"]);
    assert_eq!(table, name);
    drop(foreign);
}

#[test]
fn a_process_that_procfs_hides_is_said() {
    let berth = Berth::new();
    // The mount is in a mount namespace of the test's own; a user other than root is hidden from.
    let copy = berth.path("berth");
    std::fs::copy(env!("CARGO_BIN_EXE_berth"), &copy).unwrap();
    let folder = berth.path("");
    crate::world::run("chmod", &["a+rwx", folder.to_str().unwrap()]);
    let script = "mount -t proc -o hidepid=2 proc /proc && cd \"$1\" && exec setpriv \
        --reuid 65534 --regid 65534 --clear-groups \
        env -u XDG_CONFIG_HOME HOME=\"$1\" XDG_RUNTIME_DIR=\"$1\" ./berth pid \"$2\" \"$$\"";
    let me = std::process::id().to_string();
    let done = crate::world::run(
        "unshare",
        &[
            "-m",
            "sh",
            "-c",
            script,
            "sh",
            folder.to_str().unwrap(),
            &me,
        ],
    );
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.err
            .contains(&format!("process {me} is there, but /proc hides it")),
        "{done:?}"
    );
    // Its own is answered.
    assert!(done.out.starts_with("host:"), "{done:?}");
}

#[test]
fn who_joined_a_pid_namespace_does_not_take_its_name() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "1000"]);
    let joined = ["--name", "inweb", "--pid", "container:web"];
    let words = [&["run", "-d"][..], &joined, &["host", "sleep", "1000"]].concat();
    berth.ok(&words);
    let pid = berth.ok(&["pid", "inweb"]);
    assert!(berth.ok(&["pid", &pid]).starts_with("inweb:"));
    let json = berth.ok(&["pid", "--json", &pid]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["container"]["name"], "inweb");
    assert_eq!(json["levels"][1]["container"]["name"], "web", "{json}");
    let all = berth.ok(&["pid", "--all", &pid]);
    assert!(all.lines().last().unwrap().ends_with(" web"), "{all}");
}

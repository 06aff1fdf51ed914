//! Hooks: when, where, in which order, with what, and what their failure means.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth_testkit::{Bundle, covers, soon};
use serde_json::{Value, json};

use crate::{refused, runtime};

const ALL: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

/// A hook that runs a shell script.
fn hook(script: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", script],
           "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})
}

/// A folder of the test's that the host's hooks write to, and the container sees as /log.
fn with_log(bundle: Bundle) -> (Bundle, PathBuf) {
    let log = bundle.join("log");
    std::fs::create_dir(&log).unwrap();
    (bundle.bind(&log, "/log", &["rw"]), log)
}

/// The log's folder as a hook sees it.
fn seen<'a>(kind: &str, log: &'a Path) -> &'a str {
    if kind == "startContainer" {
        "/log"
    } else {
        log.to_str().unwrap()
    }
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn hooks_run_in_order_each_at_its_time() {
    covers!(
        "runtime/prestart-invoked",
        "runtime/createruntime-invoked",
        "runtime/createcontainer-invoked",
        "runtime/startcontainer-invoked",
        "runtime/poststart-invoked",
        "runtime/poststop-invoked",
        "config/hooks-in-order",
        "config/prestart-before-createruntime",
        "config/createcontainer-after-createruntime",
        "config/prestart-when",
        "config/createruntime-when",
        "config/createcontainer-when",
        "config/startcontainer-when",
        "config/poststart-when",
        "config/poststop-when",
        "features/hooks",
    );
    let runtime = runtime();
    let (mut bundle, log) = with_log(runtime.bundle());
    for kind in ALL {
        for count in ["1", "2"] {
            let line = format!("echo {kind}{count} >> {}/order", seen(kind, &log));
            bundle = bundle.push(&format!("/hooks/{kind}"), hook(&line));
        }
    }
    let bundle = bundle.sh("echo program >> /log/order; exec sleep 100");
    let order = || {
        read(log.join("order"))
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let container = runtime.created("one", &bundle);
    let created = [
        "prestart1",
        "prestart2",
        "createRuntime1",
        "createRuntime2",
        "createContainer1",
        "createContainer2",
    ];
    assert_eq!(order(), created);
    container.start();
    // The program was executed before poststart; its first word may come later.
    let after = soon("the program's word", || {
        Some(order()).filter(|order| order.iter().any(|word| word == "program"))
    });
    assert_eq!(after[6..8], ["startContainer1", "startContainer2"]);
    let hooks: Vec<_> = after[8..]
        .iter()
        .filter(|word| *word != "program")
        .collect();
    assert_eq!(hooks, ["poststart1", "poststart2"]);
    container.kill("KILL");
    container.wait();
    assert_eq!(order().len(), 11);
    container.delete();
    assert_eq!(order()[11..], ["poststop1", "poststop2"]);
    runtime.assert_nothing_left();
}

#[test]
fn hooks_get_the_state_on_standard_input() {
    covers!("config/hooks-state-on-stdin", "runtime/state-schema");
    let runtime = runtime();
    let (mut bundle, log) = with_log(runtime.bundle());
    for kind in ALL {
        let script = format!("cat > {}/{kind}", seen(kind, &log));
        bundle = bundle.push(&format!("/hooks/{kind}"), hook(&script));
    }
    let bundle = bundle.set("/annotations", json!({"a.b": "c"})).sleeping();
    let container = runtime.started("one", &bundle);
    let pid = container.pid;
    container.end();
    for (kind, status, pids) in [
        ("prestart", "creating", Some(pid)),
        ("createRuntime", "creating", Some(pid)),
        ("createContainer", "creating", None),
        ("startContainer", "created", Some(1)),
        ("poststart", "running", Some(pid)),
        ("poststop", "stopped", None),
    ] {
        let state: Value = serde_json::from_str(&read(log.join(kind))).unwrap();
        assert_eq!(state["id"], "one", "{kind}");
        assert_eq!(state["status"], status, "{kind}");
        assert_eq!(state["bundle"], bundle.path().to_str().unwrap(), "{kind}");
        assert_eq!(state["annotations"]["a.b"], "c", "{kind}");
        assert!(state["ociVersion"].is_string(), "{kind}");
        if let Some(pid) = pids {
            assert_eq!(state["pid"], pid, "{kind}");
        }
    }
}

#[test]
fn hooks_run_in_the_namespaces_of_runtime_or_container() {
    covers!(
        "config/prestart-run-namespace",
        "config/prestart-path-namespace",
        "config/createruntime-run-namespace",
        "config/createruntime-path-namespace",
        "config/createcontainer-run-namespace",
        "config/createcontainer-path-namespace",
        "config/startcontainer-run-namespace",
        "config/startcontainer-path-namespace",
        "config/poststart-run-namespace",
        "config/poststart-path-namespace",
        "config/poststop-run-namespace",
        "config/poststop-path-namespace",
    );
    let runtime = runtime();
    let (mut bundle, log) = with_log(runtime.bundle());
    // A program on the host only, and one of another meaning at the same path inside.
    let tool = bundle.join("tool");
    let inner = bundle.rootfs().join(tool.strip_prefix("/").unwrap());
    std::fs::create_dir_all(inner.parent().unwrap()).unwrap();
    for (path, place) in [(&tool, "host"), (&inner, "container")] {
        let script = format!(
            "#!/bin/sh\nread state\nfor n in mnt net uts ipc pid; do readlink /proc/self/ns/$n; \
             done > $1\necho {place} >> $1\n"
        );
        std::fs::write(path, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
    for kind in ALL {
        let file = format!("{}/{kind}", seen(kind, &log));
        let entry = json!({"path": tool.to_str().unwrap(), "args": ["tool", file],
            "env": ["PATH=/usr/bin:/bin"]});
        bundle = bundle.push(&format!("/hooks/{kind}"), entry);
    }
    let container = runtime.started("one", &bundle.sleeping());
    let inside: Vec<String> = ["mnt", "net", "uts", "ipc", "pid"]
        .iter()
        .map(|name| container.namespace(name))
        .collect();
    let own: Vec<String> = ["mnt", "net", "uts", "ipc", "pid"]
        .iter()
        .map(|name| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap())
        .map(|link| link.to_str().unwrap().to_owned())
        .collect();
    container.end();
    for kind in ALL {
        let text = read(log.join(kind));
        let lines: Vec<&str> = text.lines().collect();
        let (found, place) = (&lines[..lines.len() - 1], lines[lines.len() - 1]);
        let is_inside = matches!(kind, "createContainer" | "startContainer");
        assert_eq!(
            found,
            if is_inside { &inside[..] } else { &own[..] },
            "{kind}"
        );
        assert_eq!(
            place,
            if kind == "startContainer" {
                "container"
            } else {
                "host"
            },
            "{kind}"
        );
    }
}

#[test]
fn hooks_of_create_see_the_environment_before_the_root_is_changed() {
    covers!(
        "config/prestart-when",
        "config/createruntime-when",
        "config/createcontainer-when"
    );
    let runtime = runtime();
    let (mut bundle, log) = with_log(runtime.bundle());
    std::fs::write(bundle.rootfs().join("marker"), "").unwrap();
    for kind in ["prestart", "createRuntime"] {
        let script = format!(
            "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' | tr -d '\\n'); \
             {{ readlink /proc/$pid/ns/net; ls /proc/$pid/root/marker; }} > {0}/{kind} 2>&1; true",
            log.display()
        );
        bundle = bundle.push(&format!("/hooks/{kind}"), hook(&script));
    }
    // In the container's mounts, which are there already, but not yet with its root.
    let script = format!(
        "{{ ls {0}/marker; ls /marker; grep -c ' {0}/dev/shm ' /proc/self/mountinfo; }} \
         > {1}/createContainer 2>/dev/null; true",
        bundle.rootfs().display(),
        log.display()
    );
    let bundle = bundle.push("/hooks/createContainer", hook(&script));
    let container = runtime.created("one", &bundle);
    let network = container.namespace("net");
    container.end();
    for kind in ["prestart", "createRuntime"] {
        let text = read(log.join(kind));
        assert!(text.starts_with(&network), "{kind}: {text}");
        assert!(text.contains("No such file"), "{kind}: {text}");
    }
    let text = read(log.join("createContainer"));
    assert!(text.contains("rootfs/marker"), "{text}");
    assert!(!text.lines().any(|line| line == "/marker"), "{text}");
}

#[test]
fn a_hook_that_fails_ends_the_container_and_poststop_runs() {
    covers!(
        "runtime/prestart-fails",
        "runtime/createruntime-fails",
        "runtime/createcontainer-fails",
        "runtime/startcontainer-fails",
        "runtime/poststart-fails",
        "runtime/errors-leave-nothing",
    );
    for kind in &ALL[..5] {
        let runtime = runtime();
        let (bundle, log) = with_log(runtime.bundle());
        let bundle = bundle
            .push(
                &format!("/hooks/{kind}"),
                hook("echo of the hook >&2; exit 3"),
            )
            .push(
                &format!("/hooks/{kind}"),
                hook(&format!("touch {}/second", seen(kind, &log))),
            )
            .push(
                "/hooks/poststop",
                hook(&format!("touch {}/poststop", log.display())),
            )
            .sleeping();
        let before = crate::children();
        let mut output = runtime.create("one", &bundle);
        if matches!(*kind, "startContainer" | "poststart") {
            drop(output.ok());
            output = runtime.start("one");
        }
        let message = output.refused();
        assert!(
            message.contains(&format!("hooks.{kind}[0]")) || runtime.is_foreign(),
            "{message}"
        );
        assert!(runtime.state("one").code != 0, "{kind}");
        runtime.assert_nothing_left();
        assert!(!log.join("second").exists(), "{kind}");
        assert!(log.join("poststop").exists(), "{kind}");
        for pid in crate::children().difference(&before) {
            berth_testkit::reap(*pid);
        }
    }
}

#[test]
fn a_poststop_hook_that_fails_is_a_warning() {
    covers!("runtime/poststop-fails", "runtime/warnings-continue");
    let runtime = runtime();
    let (bundle, log) = with_log(runtime.bundle());
    let bundle = bundle.push("/hooks/poststop", hook("exit 3")).push(
        "/hooks/poststop",
        hook(&format!("touch {}/second", log.display())),
    );
    let container = runtime.started("one", &bundle);
    container.wait();
    let output = runtime.delete("one").ok();
    assert!(output.err.contains("poststop"), "{output:?}");
    assert!(log.join("second").exists());
    runtime.assert_nothing_left();
}

#[test]
fn a_hook_that_takes_too_long_is_killed_and_has_failed() {
    let runtime = runtime();
    let (bundle, log) = with_log(runtime.bundle());
    let mut slow = hook(&format!("echo $$ > {}/pid; exec sleep 1000", log.display()));
    slow["timeout"] = json!(1);
    let bundle = bundle.push("/hooks/createRuntime", slow);
    let began = Instant::now();
    let message = runtime.create("one", &bundle).refused();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(
        message.contains("hooks.createRuntime[0]") || runtime.is_foreign(),
        "{message}"
    );
    let pid: i32 = read(log.join("pid")).trim().parse().unwrap();
    soon("the hook's end", || {
        (!berth_testkit::is_running(pid)).then_some(())
    });
    runtime.assert_nothing_left();
}

#[test]
fn hooks_have_the_configured_words_and_environment() {
    let runtime = runtime();
    let (bundle, log) = with_log(runtime.bundle());
    let script = format!(
        "echo \"$0|$1|$2\" > {0}/words; env > {0}/env",
        log.display()
    );
    let entry = json!({"path": "/bin/sh", "args": ["other", "-c", script, "zero", "a b", ""],
        "env": ["ONE=1", "PATH=/bin:/usr/bin"]});
    let bundle = bundle.push("/hooks/createRuntime", entry);
    let mut command = runtime.bundle_command("create", "one", &bundle, &[]);
    drop(runtime.finish(command.env("OF_THE_CALLER", "leaks")).ok());
    assert_eq!(read(log.join("words")), "zero|a b|\n");
    let env = read(log.join("env"));
    assert!(env.lines().any(|line| line == "ONE=1"), "{env}");
    assert!(!env.contains("OF_THE_CALLER"), "{env}");
}

#[test]
fn a_hook_inherits_no_descriptor() {
    let runtime = runtime();
    let (bundle, log) = with_log(runtime.bundle());
    let script = format!("ls /proc/self/fd | wc -l > {}/fds", log.display());
    let container = runtime.created("one", &bundle.push("/hooks/createRuntime", hook(&script)));
    container.end();
    // Three, and the folder that ls reads.
    assert_eq!(read(log.join("fds")).trim(), "4");
}

#[test]
fn a_hook_that_is_none_is_refused_before_anything_is_made() {
    covers!(
        "config/hook-path-required",
        "config/hook-path-absolute",
        "config/hook-timeout-positive",
    );
    for kind in ALL {
        for entry in [
            json!({"args": ["sh"]}),
            json!({"path": "bin/sh"}),
            json!({"path": ""}),
            json!({"path": "/bin/sh", "timeout": 0}),
            json!({"path": "/bin/sh", "timeout": -1}),
        ] {
            refused(&format!("hooks.{kind}"), |b| {
                b.push(&format!("/hooks/{kind}"), entry)
            });
        }
    }
}

#[test]
fn a_hook_whose_program_is_missing_has_failed() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .push("/hooks/createRuntime", json!({"path": "/no/such/hook"}));
    let message = runtime.create("one", &bundle).refused();
    assert!(message.contains("/no/such/hook"), "{message}");
    runtime.assert_nothing_left();
}

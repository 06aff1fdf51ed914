//! What the commands around the map say where something is missing, and what still works then:
//! processes and namespaces that are gone, damaged files of an engine, a kernel without BTF, a
//! caller without CAP_BPF, a /proc with hidepid, a /proc of another PID namespace.

use std::process::{Command, Stdio};

use crate::support::{Berth, Done, eventually, finish};
use crate::world::{ALL, World, has};

/// Runs `berth` behind other words, the last of them a shell script that ends in `exec "$@"`.
fn behind(berth: &Berth, words: &[&str], arguments: &[&str]) -> Done {
    let inner = berth.command(arguments);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg("sh");
    command.arg(inner.get_program()).args(inner.get_args());
    command
        .env("HOME", berth.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

/// Runs a shell script, then `berth`, in a mount namespace of their own.
fn in_mounts(berth: &Berth, script: &str, arguments: &[&str]) -> Done {
    let script = format!("{script} && exec \"$@\"");
    behind(berth, &["unshare", "-m", "sh", "-c", &script], arguments)
}

fn json(done: &Done) -> serde_json::Value {
    assert_eq!(done.code, 0, "{}", done.err);
    serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{e}: {}", done.out))
}

fn warns(document: &serde_json::Value, part: &str) -> bool {
    let warnings = document["warnings"].as_array().unwrap();
    warnings.iter().any(|w| w.as_str().unwrap().contains(part))
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        berth_testkit::skip("mounts are root's");
    }
    root
}

#[test]
fn a_process_that_ended_is_said_to_have() {
    let berth = Berth::new();
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id().to_string();
    child.wait().unwrap();
    let subject = format!("host:{pid}");
    for (arguments, code) in [
        (&["pid", &pid][..], 1),
        (&["pid", "--json", &pid], 1),
        (&["ns", "-p", &pid], 1),
        (&["who", &subject], 1),
        (&["map", &pid], 1),
        (&["enter", &pid, "true"], 125),
    ] {
        let done = berth.run(arguments);
        assert_eq!(
            (done.code, done.out.as_str()),
            (code, ""),
            "{arguments:?}: {done:?}"
        );
        let said = format!("no process has the host PID {pid}: it may have ended");
        assert!(done.err.contains(&said), "{arguments:?}: {}", done.err);
    }
}

#[test]
fn a_namespace_that_is_gone_is_said_to_be() {
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1021", 1021);
    let net = world.namespace("net");
    assert!(
        berth
            .ok(&["ns", "-n", "-o", "PID", &net])
            .contains(&world.pid)
    );
    drop(world);
    // The kernel takes it down behind our back.
    eventually("its end", || berth.run(&["ns", &net]).code != 0);
    // Its number is the kernel's to give to another one, of a test beside this for one: from here on
    // it is one that no namespace gets.
    let net = u32::MAX.to_string();
    let link = format!("net:[{net}]");
    for arguments in [&["ns", &net][..], &["who", &net], &["map", &link]] {
        let done = berth.run(arguments);
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{arguments:?}");
        assert!(done.err.contains("no namespace "), "{}", done.err);
        assert!(done.err.contains("berth ns"), "{}", done.err);
    }
}

#[test]
fn damaged_and_newer_files_of_an_engine_are_warnings() {
    if !is_root() {
        return;
    }
    let berth = Berth::new();
    let folder = berth.path("docker/containers");
    let write = |digit: &str, text: &str| {
        let folder = folder.join(digit.repeat(64));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.v2.json"), text).unwrap();
    };
    write("a", "{\"ID\": \"\u{1b}[2J");
    write("b", r#"{"ID": "b", "Version": 3, "Containers": []}"#);
    let mount = format!(
        "mount -t tmpfs none /var/lib && mkdir /var/lib/docker && mount --bind '{}' /var/lib/docker",
        berth.path("docker").display()
    );
    let map = in_mounts(&berth, &mount, &["map", "--json"]);
    let document = json(&map);
    for digit in ["a", "b"] {
        let part = format!(
            "{}/config.v2.json is damaged or of an unknown version",
            digit.repeat(64)
        );
        assert!(warns(&document, &part), "{}", document["warnings"]);
    }
    assert!(!map.out.contains('\u{1b}'));
    let own = std::process::id();
    let processes = document["processes"].as_array().unwrap();
    assert!(processes.iter().any(|p| p["pid"] == own));
    // Its warnings go where they steer nothing, and the answer is there.
    let text = in_mounts(&berth, &mount, &["ns", "-t", "uts"]);
    assert_eq!(text.code, 0, "{}", text.err);
    assert!(text.err.contains("is damaged") && !text.err.contains('\u{1b}'));
}

#[test]
fn without_btf_processes_are_read_from_proc() {
    if !is_root() {
        return;
    }
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1022", 1022);
    let empty = berth.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let cut = berth.path("cut");
    std::fs::write(&cut, b"\x9f\xeb\x01\x00\x18\x00\x00\x00").unwrap();
    let (empty, cut) = (empty.display(), cut.display());
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        return berth_testkit::skip("no BTF to hide");
    }
    for mount in [
        format!("mount --bind '{empty}' /sys/kernel/btf"),
        format!("mount --bind '{cut}' /sys/kernel/btf/vmlinux"),
    ] {
        let document = json(&in_mounts(&berth, &mount, &["map", "--json"]));
        assert_eq!(document["source"], "procfs");
        let said = "since BPF is not available: ";
        assert!(warns(&document, said), "{}", document["warnings"]);
        assert!(warns(&document, "/sys/kernel/btf/vmlinux"));
        let one = ["ns", "-n", "-o", "PID", &world.namespace("pid")];
        let done = in_mounts(&berth, &mount, &one);
        assert_eq!(done.out.trim(), world.pid, "{done:?}");
    }
}

#[test]
fn without_cap_bpf_processes_are_read_from_proc() {
    if !is_root() || !has("setpriv") {
        return;
    }
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1023", 1023);
    let less = [
        "setpriv",
        "--bounding-set=-bpf,-perfmon,-sys_admin",
        "--inh-caps=-all",
        "sh",
        "-c",
        "exec \"$@\"",
    ];
    let document = json(&behind(&berth, &less, &["map", "--json"]));
    assert_eq!(document["source"], "procfs");
    let said = "CAP_BPF and CAP_PERFMON are missing (run as root)";
    assert!(warns(&document, said), "{}", document["warnings"]);
    let pid = behind(&berth, &less, &["pid", "--json", &world.pid]);
    let levels = json(&pid)["levels"].as_array().unwrap().len();
    assert_eq!(levels, 2, "{pid:?}");
}

#[test]
fn hidepid_is_said_and_own_processes_stay() {
    if !is_root() || !has("setpriv") {
        return;
    }
    for (mode, said) in [
        ("2", "process 1 is there, but /proc hides it"),
        ("1", "cannot read stat of process 1"),
    ] {
        let berth = Berth::new();
        // Somebody else runs a copy: the build folder may not be open to others.
        let folder = berth.path("").to_str().unwrap().to_owned();
        let script = format!(
            "chmod a+rx '{folder}' && cp \"$1\" '{folder}' && shift && \
             mount -t proc -o hidepid={mode} proc /proc && HOME=/nonexistent exec setpriv \
             --reuid=65534 --regid=65534 --clear-groups -- '{folder}/berth' \"$@\""
        );
        let words = ["unshare", "-m", "sh", "-c", &script];
        let document = json(&behind(&berth, &words, &["map", "--json"]));
        let hides = "hides the processes of other users (hidepid, proc(5))";
        assert!(warns(&document, hides), "{}", document["warnings"]);
        let processes = document["processes"].as_array().unwrap();
        assert!(!processes.is_empty() && processes.iter().all(|p| p["uid"] == 65534));
        for arguments in [&["pid", "1"][..], &["ns", "-p", "1"], &["who", "host:1"]] {
            let done = behind(&berth, &words, arguments);
            assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
            assert!(done.err.contains(said), "{arguments:?}: {}", done.err);
        }
        let map = behind(&berth, &words, &["map", "1"]);
        assert_eq!(map.code, 1);
        assert!(
            map.err.contains("process 1 is there, but /proc hides it"),
            "{}",
            map.err
        );
        let net = behind(&berth, &words, &["ns", "-n", "-t", "net"]);
        assert_eq!((net.code, net.out.lines().count()), (0, 1), "{net:?}");
    }
}

#[test]
fn a_proc_of_another_pid_namespace_is_said_to_be_one() {
    if !is_root() {
        return;
    }
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1024", 1024);
    let words = [
        "unshare",
        "-pf",
        "--kill-child",
        "sh",
        "-c",
        "\"$@\"; exit $?",
    ];
    let said = "/proc belongs to the PID namespace above our own: PIDs are counted there";
    let document = json(&behind(&berth, &words, &["map", "--json"]));
    assert!(warns(&document, said), "{}", document["warnings"]);
    // PIDs are those of that /proc, and translation works in them.
    let pid = json(&behind(&berth, &words, &["pid", "--json", &world.pid]));
    assert_eq!(pid["levels"].as_array().unwrap().len(), 2, "{pid}");
    let pid = world.namespace("pid");
    let ns = behind(&berth, &words, &["ns", "-n", "-o", "PID", &pid]);
    assert_eq!((ns.code, ns.out.trim()), (0, world.pid.as_str()), "{ns:?}");
    let enter = behind(&berth, &words, &["enter", &world.pid, "true"]);
    assert_eq!(enter.code, 125);
    let said = "/proc belongs to another PID namespace than yours";
    assert!(enter.err.contains(said), "{}", enter.err);
}

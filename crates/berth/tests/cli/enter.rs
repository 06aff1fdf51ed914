//! `berth enter`, compared with nsenter(1).

use rustix::process::Signal;

use crate::support::{Berth, eventually, exit_code, finish, signal};
use crate::world::{ALL, World, has, run};

/// Everything that entering changes, in a shell's words. The procfs inside shows other PIDs.
const PROBE: &str = "\
    for kind in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$kind; done; \
    id; pwd; stat -c %d:%i /; cat /proc/self/uid_map; grep -E 'CapEff|NSpid' /proc/self/status \
    | sed 's/[0-9]*$//'; hostname";

#[test]
fn a_world_looks_as_nsenter_shows_it() {
    if !has("nsenter") {
        return;
    }
    let berth = Berth::new();
    let script = "hostname inside; cd /usr/share; exec sleep 1010";
    let world = World::new(ALL, script, 1010);
    let theirs = run(
        "nsenter",
        &[
            "-t", &world.pid, "-a", "-r", "-w", "-S", "0", "-G", "0", "--", "sh", "-c", PROBE,
        ],
    );
    let theirs_keep = run(
        "nsenter",
        &[
            "-t",
            &world.pid,
            "-a",
            "-r",
            "-w",
            "--preserve-credentials",
            "sh",
            "-c",
            PROBE,
        ],
    );
    let ours = berth.run(&["enter", &world.pid, "sh", "-c", PROBE]);
    assert_eq!(ours.code, 0, "{ours:?}");
    assert!(
        ours.out.contains("\n/usr/share\n") && ours.out.contains("\ninside\n"),
        "{}",
        ours.out
    );
    // unshare -r denies setgroups(2): nsenter gives up where we keep the groups.
    if theirs.code == 0 {
        assert_eq!(ours.out, theirs.out);
    }
    let ours_keep = berth.run(&[
        "enter",
        "--preserve-credentials",
        &world.pid,
        "sh",
        "-c",
        PROBE,
    ]);
    assert_eq!(theirs_keep.code, 0, "{theirs_keep:?}");
    assert_eq!(ours_keep.out, theirs_keep.out);
}

#[test]
fn five_levels_down() {
    if !has("nsenter") {
        return;
    }
    let berth = Berth::new();
    let mut script = "exec sleep 1011".to_owned();
    for _ in 0..4 {
        script = format!(
            "exec unshare -p -f --mount-proc --kill-child sh -c \"{}\"",
            script.replace('\\', "\\\\").replace('"', "\\\"")
        );
    }
    let world = World::new(&["-p", "-f", "--mount-proc"], &script, 1011);
    let probe =
        "readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt; set -- /proc/[0-9]*; echo $#";
    let ours = berth.run(&["enter", &world.pid, "sh", "-c", probe]);
    let theirs = run(
        "nsenter",
        &["-t", &world.pid, "-p", "-m", "sh", "-c", probe],
    );
    assert_eq!(
        (ours.code, &ours.out),
        (0, &theirs.out),
        "{ours:?} {theirs:?}"
    );
    let inside = berth.ok(&["pid", "--all", &world.pid]);
    assert_eq!(inside.lines().count(), 7, "{inside}");
}

#[test]
fn single_kinds_leave_the_others() {
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1012", 1012);
    for (kind, inode) in world.own() {
        let script = "for kind in cgroup ipc mnt net pid_for_children time user uts; do readlink /proc/self/ns/$kind; done";
        // The PID namespace is the parent of a process outside for its children alone: asked by
        // what the kernel says of us from outside.
        if matches!(kind.as_str(), "pid" | "mnt") {
            continue;
        }
        let text = berth.ok(&["enter", "--ns", &kind, &world.pid, "sh", "-c", script]);
        for line in text.lines() {
            let own = line == format!("{kind}:[{inode}]");
            let of_kind = line.starts_with(&format!("{kind}:"));
            assert_eq!(own, of_kind, "{kind}: {text}");
        }
    }
}

#[test]
fn exit_codes_are_those_of_exec() {
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1013", 1013);
    let pid = world.pid.as_str();
    for (arguments, code, part) in [
        (&["enter", pid, "sh", "-c", "exit 7"][..], 7, ""),
        (&["enter", pid, "sh", "-c", "kill -9 $$"], 137, ""),
        (&["enter", "--ns", "net", pid, "sh", "-c", "exit 8"], 8, ""),
        (
            &["enter", "--ns", "net", pid, "sh", "-c", "kill -9 $$"],
            137,
            "",
        ),
        (
            &["enter", pid, "frobnicate"],
            127,
            "executable file not found in PATH",
        ),
        (&["enter", pid, "/frob"], 127, "executable file not found"),
        (&["enter", pid, "/etc/passwd"], 126, "permission denied"),
        (&["enter", pid, "/usr"], 126, "permission denied"),
        (&["enter", "4194304", "true"], 125, "no process"),
        (&["enter", "nosuch", "true"], 125, "not a PID"),
        (
            &["enter", "--ns", "foo", pid, "true"],
            125,
            "a namespace is mnt",
        ),
        (&["enter"], 125, "needs"),
    ] {
        let done = berth.run(arguments);
        assert_eq!(done.code, code, "{arguments:?}: {done:?}");
        assert!(done.err.contains(part), "{arguments:?}: {}", done.err);
        assert!(done.err.lines().count() <= 1, "{}", done.err);
    }
}

#[test]
fn the_program_gets_streams_variables_and_signals_and_no_descriptor() {
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1014", 1014);
    let pid = world.pid.as_str();
    let done = berth.run_with(
        &[
            "enter",
            "-e",
            "A=b=c",
            pid,
            "--ns",
            "net",
            "sh",
            "-c",
            "cat; echo $A; echo e >&2",
        ],
        b"in\n",
    );
    assert_eq!((done.out.as_str(), done.err.as_str()), ("in\nb=c\n", "e\n"));
    // 3 is what ls opened itself.
    assert_eq!(
        berth.ok(&["enter", pid, "ls", "/proc/self/fd"]),
        "0\n1\n2\n3"
    );
    let mut child = berth.spawn(&[
        "enter",
        pid,
        "sh",
        "-c",
        "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done",
    ]);
    let mut up = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
    signal(&child, Signal::TERM);
    assert_eq!(exit_code(&mut child), 9);
    let ignored = berth.ok(&[
        "enter",
        pid,
        "grep",
        "-E",
        "SigIgn|SigBlk",
        "/proc/self/status",
    ]);
    for line in ignored.lines() {
        let mask = line.split('\t').nth(1).unwrap();
        let mask = u64::from_str_radix(mask, 16).unwrap();
        // 32 and 33 are the C library's own: whoever started the test may ignore them.
        assert_eq!(mask & !(0b11 << 31), 0, "{ignored}");
    }
}

#[test]
fn without_a_command_it_is_a_shell() {
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1015", 1015);
    let mut command = berth.command(&["enter", &world.pid]);
    command
        .env("SHELL", "/nonexistent/zsh")
        .stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(
        &mut child.stdin.take().unwrap(),
        b"readlink /proc/self/ns/net; exit 3\n",
    )
    .unwrap();
    let done = finish(child);
    assert_eq!(done.code, 3);
    assert_eq!(done.out.trim(), format!("net:[{}]", world.namespace("net")));
}

#[test]
fn a_container_by_name_with_its_root_and_its_cgroup() {
    let berth = Berth::with_cgroup_parent();
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "-w",
        "/tmp",
        "host",
        "sh",
        "-c",
        "echo here > /mark; exec sleep 1000",
    ]);
    let inside = |arguments: &[&str]| {
        let mut all = vec!["enter"];
        all.extend(arguments);
        berth.run(&all)
    };
    eventually("the mark", || {
        inside(&["a", "cat", "/mark"]).out == "here\n"
    });
    assert_eq!(inside(&["a", "pwd"]).out, "/tmp\n");
    assert_eq!(
        inside(&["a:1", "sh", "-c", "readlink /proc/1/ns/pid"]).code,
        0
    );
    let init = berth.ok(&["pid", "a"]);
    let theirs = std::fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap();
    let ours = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let keep = inside(&["--ns", "net", "a", "cat", "/proc/self/cgroup"]).out;
    assert_eq!(keep, ours);
    let moved = inside(&["--cgroup", "--ns", "net", "a", "cat", "/proc/self/cgroup"]).out;
    assert_eq!(moved, theirs);
    let both = inside(&["--cgroup", "a", "sh", "-c", "exit 4"]);
    assert_eq!(both.code, 4, "{both:?}");
}

#[test]
fn a_process_that_ended_is_said() {
    let berth = Berth::new();
    // A zombie: its parent, this test, has not waited for it.
    let mut child = std::process::Command::new("true").spawn().unwrap();
    eventually("the zombie", || !crate::support::is_alive(child.id()));
    let done = berth.run(&["enter", &child.id().to_string(), "true"]);
    child.wait().unwrap();
    assert_eq!(done.code, 125);
    assert!(done.err.contains("it has ended"), "{}", done.err);
}

#[test]
fn a_user_may_not_enter_what_is_not_theirs() {
    if !has("setpriv") {
        return;
    }
    let berth = Berth::new();
    let world = World::new(&["-n"], "exec sleep 1016", 1016);
    let enter = berth.command(&["enter", "--ns", "net", &world.pid, "true"]);
    let folder = berth.path("").to_str().unwrap().to_owned();
    run("chmod", &["-R", "a+rwX", &folder]);
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    // A copy: the build folder may not be open to others.
    let copy = berth.path("berth");
    std::fs::copy(enter.get_program(), &copy).unwrap();
    command
        .arg(&copy)
        .args(enter.get_args())
        .env("XDG_RUNTIME_DIR", &folder)
        .env("HOME", &folder)
        .env_remove("XDG_CONFIG_HOME");
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let done = finish(command.spawn().unwrap());
    assert_eq!(done.code, 125, "{done:?}");
    assert!(done.err.contains("try again as root"), "{}", done.err);
}

#[test]
fn nothing_inside_finds_our_program_on_a_writable_mount() {
    let berth = Berth::new();
    let world = World::new(&["-p", "-f", "-m", "--mount-proc"], "exec sleep 1017", 1017);
    // The waiting process runs from the same file as the one that entered.
    let mut waits = berth.spawn(&["enter", &world.pid, "sh", "-c", "echo up; exec sleep 1000"]);
    let mut up = [0; 3];
    std::io::Read::read_exact(waits.stdout.as_mut().unwrap(), &mut up).unwrap();
    let exe = format!("/proc/{}/exe", waits.id());
    // While it runs, writing is ETXTBSY anyway: what matters is the mount.
    let mount = rustix::fs::statvfs(exe.as_str()).unwrap().f_flag;
    assert!(
        mount.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        "{mount:?}"
    );
    signal(&waits, Signal::TERM);
    assert_eq!(exit_code(&mut waits), 143);
}

#[test]
fn a_procfs_of_another_pid_namespace_is_said() {
    let berth = Berth::new();
    // In a PID namespace of its own, without a procfs of its own.
    let enter = berth.command(&["enter", &std::process::id().to_string(), "true"]);
    let mut command = std::process::Command::new("unshare");
    command
        .args(["-p", "-f"])
        .arg(enter.get_program())
        .args(enter.get_args());
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let done = finish(command.spawn().unwrap());
    assert_eq!(done.code, 125, "{done:?}");
    assert!(done.err.contains("cannot enter process"), "{}", done.err);
}

#[test]
fn a_terminal_reaches_the_shell_inside() {
    let berth = Berth::new();
    let world = World::new(ALL, "exec sleep 1018", 1018);
    let shell = [
        "enter",
        "-e",
        "SHELL=/bin/sh",
        "-e",
        "PS1=ready> ",
        &world.pid,
    ];
    let mut terminal = crate::support::Terminal::start(&berth, &shell);
    terminal.expect("ready> ");
    terminal.press("sleep 1000\r");
    terminal.expect("sleep 1000\r\n");
    // Ctrl-C ends what the shell runs, neither the shell nor berth.
    eventually("the sleep", || {
        let inside = berth.run(&["enter", &world.pid, "pgrep", "-fx", "sleep 1000"]);
        !inside.out.is_empty()
    });
    terminal.press("\x03");
    terminal.expect("ready> ");
    // Not a plain exit: dash wants to give the terminal back to a process group that has no number
    // in the PID namespace, and fails; after nsenter(1) as well.
    terminal.press("readlink /proc/self/ns/net; kill -9 $$\r");
    terminal.expect(&format!("net:[{}]", world.namespace("net")));
    terminal.rest();
    assert_eq!(exit_code(&mut terminal.child), 137);
}

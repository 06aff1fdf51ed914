//! Without root and without a delegated cgroup: each limit that cannot be had says what is missing.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::World;

const UID: u32 = 1235;

/// Runs `berth` as that user, with a home of its own in the test's folder.
pub fn run(world: &World, line: &str) -> Output {
    let home = world.berth.path("home");
    let mut command = Command::new("setpriv");
    let id = UID.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    command.arg(world.berth.path("bin/berth"));
    command.args(line.split(' ').collect::<Vec<_>>());
    command.env_clear().current_dir(&home);
    command.env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("BERTH_DEFAULT_NETWORK", "none");
    command.output().unwrap()
}

/// The binaries where the user reaches them, and its home.
pub fn prepare(world: &World) {
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(&world.berth.path(""));
    for folder in ["bin", "home"] {
        std::fs::create_dir(world.berth.path(folder)).unwrap();
        open(&world.berth.path(folder));
    }
    chown(world.berth.path("home"), Some(UID), Some(UID)).unwrap();
    let berth = Path::new(env!("CARGO_BIN_EXE_berth"));
    for name in ["berth", "berth-runtime"] {
        let copy = world.berth.path("bin").join(name);
        std::fs::copy(berth.with_file_name(name), &copy).unwrap();
        open(&copy);
    }
}

#[test]
fn what_is_missing_is_said() {
    let world = World::new();
    prepare(&world);
    for (flags, said) in [
        (
            "-m 64m",
            "cannot set the memory limit: the memory controller is missing on this host, or not delegated to this user",
        ),
        ("--pids-limit 9", "not delegated to this user"),
        ("--cpus 0.5", "not delegated to this user"),
        ("--cpuset-cpus 0", "not delegated to this user"),
        ("--oom-score-adj -900", "needs CAP_SYS_RESOURCE"),
        ("--sysctl kernel.pid_max=9", "it is one of the whole host"),
    ] {
        let output = run(&world, &format!("run --rm {flags} host true"));
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{flags}: {err}");
        assert!(err.contains(said), "{flags}: {err}");
    }
    let rule = [
        "run",
        "--rm",
        "--device-cgroup-rule=c_1:1_r",
        "host",
        "true",
    ]
    .join(" ");
    let output = run(&world, &rule);
    assert_eq!(output.status.code(), Some(125));
    // What needs no cgroup works.
    let script = "run --rm --oom-score-adj 700 --shm-size 8m --device /dev/null:/dev/other host cat /proc/self/oom_score_adj";
    let output = run(&world, script);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.trim(), "700", "{output:?}");
}

#[test]
fn update_and_pause_say_it_too() {
    let world = World::new();
    prepare(&world);
    let started = run(
        &world,
        "run -d --name a --oom-score-adj 700 host sleep 1000",
    );
    assert!(started.status.success(), "{started:?}");
    let score = run(&world, "exec a cat /proc/self/oom_score_adj");
    let text = String::from_utf8_lossy(&score.stdout);
    assert_eq!(text.trim(), "700", "{score:?}");
    for (line, said) in [
        (
            "update -m 64m a",
            "not delegated to this user; nothing was changed",
        ),
        (
            "pause a",
            "cannot pause container a: it has no cgroup of its own",
        ),
    ] {
        let output = run(&world, line);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {err}");
        assert!(err.contains(said), "{line}: {err}");
    }
    let shown = run(
        &world,
        "inspect -f {{.State.Status}}_{{.HostConfig.Memory}} a",
    );
    assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), "running_0");
    let removed = run(&world, "rm -f a");
    assert!(removed.status.success(), "{removed:?}");
}

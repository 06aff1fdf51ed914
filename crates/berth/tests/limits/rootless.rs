//! Without root and without a delegated cgroup: each limit that cannot be had says what is missing.

use std::process::Output;

use crate::support::World;
use crate::user::User;

pub const UID: u32 = 1235;

impl User<'_> {
    pub fn run_line(&self, line: &str) -> Output {
        self.run(&line.split(' ').collect::<Vec<_>>())
    }
}

#[test]
fn what_is_missing_is_said() {
    let world = World::new();
    let user = User::new(&world.berth, UID);
    for (flags, said) in [
        (
            "-m 64m",
            "cannot set the memory limit: the memory controller is missing on this host, or not delegated to this user",
        ),
        (
            "--pids-limit 9",
            "systemd-run --user --scope -p Delegate=yes",
        ),
        ("--cpus 0.5", "\"berth system doctor\" says what is missing"),
        ("--cpuset-cpus 0", "not delegated to this user"),
        ("--oom-score-adj -900", "needs CAP_SYS_RESOURCE"),
        ("--sysctl kernel.pid_max=9", "it is one of the whole host"),
    ] {
        let output = user.run_line(&format!("run --rm {flags} host true"));
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
    let output = user.run_line(&rule);
    assert_eq!(output.status.code(), Some(125));
    // What needs no cgroup works.
    let script = "run --rm --oom-score-adj 700 --shm-size 8m --device /dev/null:/dev/other host cat /proc/self/oom_score_adj";
    let output = user.run_line(script);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.trim(), "700", "{output:?}");
}

#[test]
fn update_and_pause_say_it_too() {
    let world = World::new();
    let user = User::new(&world.berth, UID);
    let started = user.run_line("run -d --name a --oom-score-adj 700 host sleep 1000");
    assert!(started.status.success(), "{started:?}");
    let score = user.run_line("exec a cat /proc/self/oom_score_adj");
    let text = String::from_utf8_lossy(&score.stdout);
    assert_eq!(text.trim(), "700", "{score:?}");
    for (line, said) in [
        (
            "update -m 64m a",
            "\"berth system doctor\" says what is missing; nothing was changed",
        ),
        (
            "pause a",
            "cannot pause container a: it has no cgroup of its own",
        ),
    ] {
        let output = user.run_line(line);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {err}");
        assert!(err.contains(said), "{line}: {err}");
    }
    let shown = user.run_line("inspect -f {{.State.Status}}_{{.HostConfig.Memory}} a");
    assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), "running_0");
    let removed = user.run_line("rm -f a");
    assert!(removed.status.success(), "{removed:?}");
}

//! Restart policies, health checks and the return after a boot, without root.

use crate::cli::eventually;
use crate::support::{Ids, Root, User};

fn user(delegated: bool) -> Option<User> {
    let mut user = User::new(Ids::Many)?;
    user.import(&Root::new(), "box:1", &[]);
    if delegated {
        user.gets_cgroup();
    }
    Some(user)
}

fn field(user: &User, name: &str, field: &str) -> String {
    user.ok(&["inspect", "-f", &format!("{{{{{field}}}}}"), name])
}

fn run(user: &User, name: &str, flags: &str, script: &str) {
    let mut words = vec!["run", "-d", "--name", name];
    words.extend(flags.split(' ').filter(|word| !word.is_empty()));
    words.extend(["box:1", "sh", "-c", script]);
    user.ok(&words);
}

#[test]
fn policies_start_it_again() {
    for delegated in [false, true] {
        let Some(user) = user(delegated) else { return };
        run(&user, "few", "--restart on-failure:2", "echo run; exit 3");
        run(&user, "many", "--restart always", "exit 0");
        eventually("two restarts", || {
            field(&user, "few", ".RestartCount") == "2"
                && field(&user, "few", ".State.Status") == "exited"
        });
        // Its process may be gone before its end is on record, and its last line.
        assert_eq!(user.line("wait few"), "3");
        assert_eq!(user.line("logs few"), "run\nrun\nrun");
        eventually("a restart", || field(&user, "many", ".RestartCount") != "0");
        user.line("stop -t 0 many");
        assert_eq!(field(&user, "many", ".State.Status"), "exited");
        user.line("rm -f few many");
    }
}

#[test]
fn health_is_probed() {
    for delegated in [false, true] {
        let Some(user) = user(delegated) else { return };
        let flags =
            "--health-cmd test\t!\t-e\t/dev/shm/ill --health-interval 50ms --health-retries 2";
        let flags: Vec<String> = flags.split(' ').map(|w| w.replace('\t', " ")).collect();
        let mut words = vec!["run", "-d", "--name", "c"];
        words.extend(flags.iter().map(String::as_str));
        words.extend(["--stop-timeout", "0", "--health-on-failure", "restart"]);
        words.extend(["box:1", "sleep", "1000"]);
        user.ok(&words);
        let health = || field(&user, "c", ".State.Health.Status");
        eventually("healthy", || health() == "healthy");
        // What is there ends with the run: no probe of the next one finds it.
        user.line("exec c touch /dev/shm/ill");
        eventually("the restart of what is unhealthy", || {
            field(&user, "c", ".Berth.Runs") != "1"
        });
        eventually("healthy again", || health() == "healthy");
        user.line("rm -f c");
    }
}

#[test]
fn what_is_wanted_comes_back_after_a_boot() {
    for delegated in [false, true] {
        let Some(mut user) = user(delegated) else {
            return;
        };
        for (name, policy) in [
            ("wanted", "always"),
            ("kept", "unless-stopped"),
            ("stopped", "unless-stopped"),
            ("single", "no"),
        ] {
            // The host's /proc: with a boot id of ours in it no new one may be mounted without privilege.
            let flags = format!("--pid=host --restart {policy}");
            run(&user, name, &flags, "exec sleep 1000");
        }
        user.line("stop -t 0 stopped");
        user.settled();
        // The power goes: its processes, and what is in memory.
        for name in ["wanted", "kept", "single"] {
            end(&user, name);
        }
        std::fs::remove_dir_all(user.path("home/berth")).unwrap();
        user.boots();
        let said = user.line("system restore");
        assert_eq!(said.matches("started container").count(), 2, "{said}");
        for (name, status) in [
            ("wanted", "running"),
            ("kept", "running"),
            ("stopped", "exited"),
            ("single", "exited"),
        ] {
            assert_eq!(field(&user, name, ".State.Status"), status, "{name}");
        }
        user.line("rm -f wanted kept stopped single");
    }
}

/// Ends keeper, monitor and first process of a container, as a loss of power does.
fn end(user: &User, name: &str) {
    use rustix::process::{Pid, Signal, kill_process};
    let init: i32 = field(user, name, ".State.Pid").parse().unwrap();
    let parent = |pid: i32| -> i32 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap();
        line.trim().parse().unwrap()
    };
    let monitor = parent(init);
    let keeper = parent(monitor);
    for pid in [keeper, monitor, init] {
        if let Err(error) = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL) {
            // It ended with the one before.
            assert_eq!(error, rustix::io::Errno::SRCH);
        }
        let pid = u32::try_from(pid).unwrap();
        eventually("its end", || !crate::cli::is_alive(pid));
    }
}

//! poststop hooks of containers whose keeper and monitor were both killed.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::cdi::{Cdi, ONE};
use crate::cli::{eventually, is_alive};

const POSTSTOP: &str = "poststop stopped";

impl Cdi {
    /// Runs a container with hooks, and kills who looks after it. Its PIDs are where the hooks look.
    fn orphan(&self, name: &str, flags: &[&str], script: &str) -> Vec<u32> {
        let folder = format!("{}:/out", self.path("").display());
        let words = ["run", "-d", "--name", name, "-v", &folder];
        let words = [&words, flags, &ONE, &["sh", "-c", script]].concat();
        let done = self.run(&words);
        assert_eq!(done.code, 0, "{done:?}");
        let init: u32 = self.field(name, ".State.Pid").parse().unwrap();
        let monitor = parent(init);
        let keeper = parent(monitor);
        for pid in [keeper, monitor] {
            kill(pid);
        }
        let mut pids = vec![init];
        eventually("what the container says", || {
            let text = fs::read_to_string(self.path("pids")).unwrap_or_default();
            text.ends_with('\n')
        });
        if flags.contains(&"host") {
            let text = fs::read_to_string(self.path("pids")).unwrap();
            pids.extend(text.split_whitespace().map(|p| p.parse::<u32>().unwrap()));
        }
        let text: Vec<String> = pids.iter().map(u32::to_string).collect();
        fs::write(self.path("pids"), text.join(" ")).unwrap();
        pids
    }

    fn field(&self, name: &str, field: &str) -> String {
        self.world.inspect(name, &format!("{{{{{field}}}}}"))
    }

    fn poststops(&self) -> usize {
        assert!(!self.path("alive").exists(), "processes of it were left");
        self.said().iter().filter(|line| *line == POSTSTOP).count()
    }

    fn ok(&self, line: &str) {
        let done = self.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, 0, "{line}: {done:?}");
    }
}

fn parent(pid: u32) -> u32 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}

fn kill(pid: u32) {
    let number = i32::try_from(pid).unwrap();
    if kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).is_err() {
        // It ended with the one before.
    }
    eventually("its end", || !is_alive(pid));
}

const SLEEPS: &str = "echo 0 >/out/pids; exec sleep 1000";

#[test]
fn whoever_finds_the_end_runs_them_once() {
    for finder in ["system restore", "wait a", "start a", "rm a"] {
        let cdi = Cdi::new();
        cdi.hooks("never");
        let pids = cdi.orphan("a", &[], SLEEPS);
        cdi.ok("system restore");
        cdi.ok("ps");
        assert_eq!(cdi.poststops(), 0, "it lives");
        kill(pids[0]);
        let done = cdi.run(&finder.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, 0, "{finder}: {done:?}");
        assert_eq!(cdi.poststops(), 1, "{finder}");
        if finder.starts_with("rm") {
            continue;
        }
        cdi.ok("system restore");
        assert_eq!(cdi.poststops(), 1, "{finder}");
        // The end of another run, which its monitor sees.
        let expected = if finder.starts_with("start") { 2 } else { 1 };
        cdi.ok("rm -f a");
        assert_eq!(cdi.poststops(), expected, "{finder}");
    }
}

#[test]
fn nobody_of_the_container_is_left_by_then() {
    for finder in ["rm -f a", "stop -t 0 a", "system restore"] {
        let cdi = Cdi::new();
        cdi.hooks("never");
        let script = "(setsid sleep 1000 & echo $! >/out/pids); exec sleep 1000";
        let pids = cdi.orphan("a", &["--pid", "host"], script);
        if finder == "system restore" {
            kill(pids[0]);
        }
        assert!(is_alive(pids[1]));
        cdi.ok(finder);
        assert_eq!(cdi.poststops(), 1, "{finder}");
        assert!(!is_alive(pids[1]), "{finder}");
        if finder != "rm -f a" {
            cdi.ok("rm a");
            assert_eq!(cdi.poststops(), 1);
        }
    }
}

#[test]
fn one_that_fails_is_told_of() {
    let cdi = Cdi::new();
    cdi.hooks("poststop");
    let pids = cdi.orphan("a", &[], SLEEPS);
    kill(pids[0]);
    cdi.ok("system restore");
    let error = cdi.field("a", ".State.Error");
    assert!(error.contains("no such thing"), "{error}");
    cdi.ok("start a");
    let init: u32 = cdi.field("a", ".State.Pid").parse().unwrap();
    let monitor = parent(init);
    for pid in [parent(monitor), monitor, init] {
        kill(pid);
    }
    // Of a container that is gone the journal tells.
    cdi.ok("rm a");
    let format = "{{.Actor.Attributes.error}}";
    let words = [
        "events",
        "--since",
        "1m",
        "--until",
        "0s",
        "--filter",
        "event=die",
    ];
    let told = cdi.run(&[&words[..], &["--format", format]].concat());
    let last = told.out.lines().last().unwrap();
    assert!(last.contains("no such thing"), "{told:?}");
}

/// Longer than a monitor without hooks would be waited for.
#[test]
fn who_waits_lets_a_slow_one_end() {
    let cdi = Cdi::new();
    cdi.hooks("slow");
    let words = ["run", "-d", "--name", "a"];
    let done = cdi.run(&[&words, &ONE[..], &["sh", "-c", "exit 5"]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let waited = cdi.run(&["wait", "a"]);
    assert_eq!(waited.out, "5\n", "{waited:?}");
    assert_eq!(cdi.poststops(), 1);
}

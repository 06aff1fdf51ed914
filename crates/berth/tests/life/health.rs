//! Probes of health.

use std::fs;

use crate::cli::{eventually, finish};
use crate::support::World;

const OFTEN: &str = "--health-interval 50ms --health-retries 2";

/// The host's processes with such a command line.
fn running(line: &str) -> usize {
    let line = line.replace(' ', "\0") + "\0";
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == line.as_bytes())
        })
        .count()
}

impl World {
    fn probed(&self, name: &str, flags: &str, command: &str) {
        let mut words = vec!["run", "-d", "--name", name, "--health-cmd", command];
        words.extend(OFTEN.split(' '));
        words.extend(flags.split(' ').filter(|word| !word.is_empty()));
        words.extend(["host", "sleep", "1000"]);
        self.berth.ok(&words);
    }

    /// Stops a container that becomes unhealthy by the stop signal, and is restarted for that.
    fn stop_while_it_falls_ill(&self, name: &str, flags: &[&str]) {
        let script = "trap 'touch /tmp/ill' TERM; touch /tmp/well; while :; do sleep 0.05; done";
        let mut words = vec!["run", "-d", "--name", name];
        words.extend(OFTEN.split(' '));
        words.extend(["--health-on-failure", "restart"]);
        words.extend(["--health-cmd", "test -e /tmp/well -a ! -e /tmp/ill"]);
        words.extend([
            "--health-start-period",
            "1h",
            "--health-start-interval",
            "20ms",
        ]);
        words.extend(flags);
        words.extend(["host", "sh", "-c", script]);
        self.berth.ok(&words);
        self.await_health(name, "healthy");
        let stop = self.berth.spawn(&["stop", "-t", "3", name]);
        self.await_health(name, "unhealthy");
        assert_eq!(finish(stop).code, 0);
        eventually("the end of who sees to it", || {
            self.internals("unhealthy").is_empty()
        });
    }

    fn health(&self, name: &str) -> String {
        self.field(name, ".State.Health.Status")
    }

    /// The last results, the oldest first.
    fn results(&self, name: &str) -> Vec<serde_json::Value> {
        let log = self.field(name, "json .State.Health.Log");
        serde_json::from_str(&log).unwrap()
    }

    /// Waits until the output of a result is as it is to be.
    fn await_output(&self, name: &str, mut is_it: impl FnMut(&str) -> bool) {
        eventually("a probe's output", || {
            let results = self.results(name);
            let mut said = results.iter().filter_map(|r| r["Output"].as_str());
            said.any(&mut is_it)
        });
    }

    fn await_health(&self, name: &str, health: &str) {
        eventually(health, || self.health(name) == health);
    }
}

#[test]
fn it_is_healthy_then_unhealthy_then_healthy() {
    let world = World::new();
    world.probed("c", "", "echo probing; test ! -e /tmp/ill");
    world.await_health("c", "healthy");
    let line = world.ok("ps --format {{.Status}}");
    assert!(line.ends_with(" (healthy)"), "{line}");
    world.ok("exec c touch /tmp/ill");
    world.await_health("c", "unhealthy");
    let line = world.ok("ps --format {{.Status}} --filter health=unhealthy");
    assert!(line.ends_with(" (unhealthy)"), "{line}");
    assert_eq!(world.ok("ps -q --filter health=healthy"), "");
    world.ok("exec c rm /tmp/ill");
    world.await_health("c", "healthy");
    assert_eq!(world.field("c", ".State.Health.FailingStreak"), "0");
    eventually("five results", || {
        world.field("c", "len .State.Health.Log") == "5"
    });
    let log = world.field("c", "json (index .State.Health.Log 4)");
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(
        (&log["Output"], &log["ExitCode"]),
        (&"probing\n".into(), &0.into())
    );
    world.ok("stop -t 0 c");
    assert_eq!(world.health("c"), "unhealthy", "as with Docker");
}

#[test]
fn who_has_no_probe_has_no_health() {
    let world = World::new();
    world.run("c", "", "exec sleep 1000");
    assert!(!world.field("c", "json .State").contains("Health"));
    assert_eq!(world.ok("ps --format {{.Names}} --filter health=none"), "c");
    world.run("no", "--no-healthcheck", "exec sleep 1000");
    assert!(!world.field("no", "json .State").contains("Health"));
}

#[test]
fn failures_in_the_start_period_do_not_count() {
    let world = World::new();
    let flags = "--health-start-period 1h --health-start-interval 20ms";
    world.probed("c", flags, "test -e /tmp/well");
    eventually("failures", || {
        world.field("c", "len .State.Health.Log") == "5"
    });
    let line = world.ok("ps --format {{.Status}} --filter health=starting");
    assert!(line.ends_with(" (health: starting)"), "{line}");
    assert_eq!(world.field("c", ".State.Health.FailingStreak"), "0");
    world.ok("exec c touch /tmp/well");
    world.await_health("c", "healthy");
}

#[test]
fn a_probe_that_never_ends_is_killed_with_all_that_it_started() {
    let world = World::new();
    let command = "setsid sleep 31415 & (sleep 31415 & sleep 31415 &); echo so far; sleep 31415";
    world.probed("c", "--health-timeout 300ms", command);
    world.await_health("c", "unhealthy");
    let probes = world.results("c");
    assert!(probes.iter().all(|probe| probe["ExitCode"] == -1));
    // On a machine that is busy its time may be over before it has said anything.
    world.await_output("c", |said| {
        said == "Health check exceeded timeout (300ms): so far\n"
    });
    // Of the present probe at most.
    assert!(running("sleep 31415") <= 4);
    assert_eq!(world.status("c"), "running");
    world.ok("stop -t 0 c");
    assert_eq!(running("sleep 31415"), 0);
}

#[test]
fn what_a_probe_leaves_behind_goes_with_it() {
    let world = World::new();
    world.probed(
        "c",
        "--health-interval 1h --health-start-period 1h --health-start-interval 20ms",
        "setsid sleep 27182 >/dev/null 2>&1 & true",
    );
    world.await_health("c", "healthy");
    eventually("the end of its orphan", || running("sleep 27182") == 0);
}

#[test]
fn a_probe_that_writes_without_end_is_bounded() {
    let world = World::new();
    world.probed("c", "--health-timeout 500ms", "yes");
    world.await_health("c", "unhealthy");
    let mut length = 0;
    world.await_output("c", |said| {
        length = said.len();
        said.ends_with("\ny")
    });
    assert!(length <= 4096, "{length}");
    let keeper = world.field("c", ".Berth.Live.KeeperPid");
    let status = fs::read_to_string(format!("/proc/{keeper}/status")).unwrap();
    assert!(status.contains("berth-keeper"));
}

#[test]
fn a_probe_that_cannot_be_started_says_why() {
    let world = World::new();
    let flags = format!("run -d --name c {OFTEN} --health-cmd x host sleep 1000");
    world.ok(&flags);
    world.await_health("c", "unhealthy");
    let log = world.field("c", "json (index .State.Health.Log 0)");
    assert!(log.contains("not found") && log.contains("127"), "{log}");
}

#[test]
fn a_frozen_container_is_not_ill() {
    let world = World::new();
    // Long enough for a probe on a machine that is busy.
    world.probed("c", "--health-timeout 1s", "true");
    world.await_health("c", "healthy");
    let cgroups = world.field("c", "json .Berth.Live.Cgroups");
    let cgroups: serde_json::Value = serde_json::from_str(&cgroups).unwrap();
    let Some(v2) = cgroups["v2"].as_str() else {
        return berth_testkit::skip("no v2 cgroup to freeze");
    };
    let freeze = |how: &str| fs::write(format!("{v2}/cgroup.freeze"), how).unwrap();
    freeze("1");
    // Several probes' time.
    std::thread::sleep(std::time::Duration::from_millis(4500));
    assert_eq!(world.health("c"), "healthy");
    freeze("0");
    let last = || world.field("c", "(index .State.Health.Log 4).End");
    eventually("five results", || {
        world.field("c", "len .State.Health.Log") == "5"
    });
    let before = last();
    eventually("a further result", || last() != before);
    assert_eq!(world.health("c"), "healthy");
}

#[test]
fn kill_leaves_the_rest_to_the_policy() {
    let world = World::new();
    let flags = "--restart on-failure:1 --health-on-failure kill";
    world.probed("c", flags, "exit 1");
    eventually("its second end", || {
        world.restarts("c") == 1 && world.status("c") == "exited"
    });
    // Its process may be gone before its end is on record.
    assert_eq!(world.ok("wait c"), "137");
    assert_eq!(world.field("c", ".State.ExitCode"), "137");
}

#[test]
fn stop_is_for_good() {
    let world = World::new();
    let flags = "--restart always --stop-timeout 0 --health-on-failure stop";
    world.probed("c", flags, "exit 1");
    world.await_status("c", "exited");
    world.ok("system restore");
    assert_eq!(world.status("c"), "exited");
    assert_eq!(world.restarts("c"), 0);
}

#[test]
fn restart_begins_anew() {
    let world = World::new();
    let flags = "--stop-timeout 0 --health-on-failure restart";
    world.probed(
        "c",
        flags,
        "test -e /tmp/once || { touch /tmp/once; exit 1; }; exit 1",
    );
    eventually("a second run", || world.field("c", ".Berth.Runs") != "1");
    assert_eq!(world.restarts("c"), 0, "a restart by hand");
}

#[test]
fn who_is_stopped_is_not_restarted_for_failing_meanwhile() {
    let world = World::new();
    world.stop_while_it_falls_ill("c", &[]);
    assert_eq!(world.status("c"), "exited");
    assert_eq!(world.field("c", ".Berth.Runs"), "1");
}

/// Its stop is marked, too, although no policy would start it again.
#[test]
fn who_is_stopped_and_goes_with_its_end_is_not_restarted_either() {
    let world = World::new();
    world.stop_while_it_falls_ill("c", &["--rm"]);
    eventually("its removal", || world.berth.ids().is_empty());
    let starts = "events --since 1h --until 0s --filter event=start --format {{.Action}}";
    assert_eq!(world.ok(starts), "start");
}

#[test]
fn a_probe_that_dies_with_its_container_is_no_result() {
    let world = World::new();
    let well = "--health-retries 1 --health-interval 20ms";
    world.probed("c", well, "test ! -e /tmp/long || sleep 16180");
    world.await_health("c", "healthy");
    world.ok("exec c touch /tmp/long");
    eventually("a long probe", || running("sleep 16180") == 1);
    world.ok("kill c");
    let log = world.field("c", "json .State.Health.Log");
    assert!(
        log.contains("\"ExitCode\":0") && !log.contains("137"),
        "{log}"
    );
    let events = world.ok("events --until 0s --filter event=health_status");
    assert!(!events.contains("unhealthy"), "{events}");
}

//! Log files that are removed or emptied under us, and disks that are full.

use std::fs;
use std::io::{BufRead, BufReader};

use crate::small::Small;
use crate::support::{Berth, eventually};

/// Writes a line as soon as a file with its name is there.
const ON_REQUEST: &str =
    "for word in $*; do until [ -e $0/$word ]; do sleep 0.05; done; echo $word; done; sleep 1000";

#[test]
fn a_log_that_is_removed_or_emptied_goes_on_and_is_followed() {
    let berth = Berth::new();
    let asked = berth.path("asked");
    fs::create_dir(&asked).unwrap();
    let source = format!("{}:/asked", asked.display());
    berth.ok(&[
        "run", "-d", "--name", "a", "-v", &source, "host", "sh", "-c", ON_REQUEST, "/asked", "one",
        "two", "three",
    ]);
    let log = berth
        .path("root/containers")
        .join(&berth.ids()[0])
        .join("log.json");
    let mut follower = berth.spawn(&["logs", "-f", "a"]);
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut ask = |word: &str| {
        fs::write(asked.join(word), "").unwrap();
        lines.next().unwrap().unwrap()
    };
    assert_eq!(ask("one"), "one");
    fs::remove_file(&log).unwrap();
    assert_eq!(ask("two"), "two");
    assert_eq!(berth.ok(&["logs", "a"]), "two");
    fs::write(&log, "").unwrap();
    assert_eq!(ask("three"), "three");
    assert_eq!(berth.ok(&["logs", "a"]), "three");
    assert_eq!(berth.ok(&["ps", "-q"]).lines().count(), 1);
    follower.kill().unwrap();
    follower.wait().unwrap();
}

/// Turned files, too, can go while they are read and written: what is left is read, and what comes is
/// kept and turned.
#[test]
fn files_that_are_removed_are_turned_all_the_same() {
    let berth = Berth::new();
    let asked = berth.path("asked");
    fs::create_dir(&asked).unwrap();
    let source = format!("{}:/asked", asked.display());
    let script = "for word in one two; do until [ -e /asked/$word ]; do sleep 0.05; done; \
                  seq 1 9999; echo $word; touch /asked/$word-done; done; sleep 1000";
    let max = ["--log-opt", "max-size=100k", "--log-opt", "max-file=3"];
    let start = ["run", "-d", "--name", "a", "-v", &source];
    berth.ok(&[&start[..], &max, &["host", "sh", "-c", script]].concat());
    let log = berth
        .path("root/containers")
        .join(&berth.ids()[0])
        .join("log.json");
    for word in ["one", "two"] {
        fs::write(asked.join(word), "").unwrap();
        eventually("its lines", || {
            asked.join(format!("{word}-done")).exists()
                && berth
                    .run(&["logs", "a"])
                    .out
                    .ends_with(&format!("{word}\n"))
        });
        let kept = berth.ok(&["logs", "a"]);
        assert!(kept.lines().count() > 1_000, "{word}");
        for name in ["log.json.1", "log.json"] {
            fs::remove_file(log.with_file_name(name)).unwrap();
        }
        assert!(
            berth.ok(&["logs", "a"]).lines().count() > 100,
            "the third file"
        );
    }
    assert_eq!(berth.ok(&["ps", "-q"]).lines().count(), 1);
}

/// A store on a file system of its own, and a folder by which a container is asked for more.
fn small() -> Small {
    let small = Small::new("logs", "2m");
    fs::create_dir(small.world.path("asked")).unwrap();
    small
}

impl Small {
    fn ask(&self, word: &str) {
        fs::write(self.world.path("asked").join(word), "").unwrap();
    }

    fn lost(&self) -> usize {
        let template = "{{.Berth.Log.Lost}}";
        let said = self.berth(&["inspect", "--format", template, "a"]);
        said.out.trim().parse().unwrap()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.berth(&["rm", "-f", "a"]);
    }
}

/// The container runs on, what is lost is counted and said, and what follows is kept.
#[test]
fn a_full_disk_neither_blocks_nor_kills() {
    let small = small();
    let source = format!("{}:/asked", small.world.text("asked"));
    let script = "until [ -e /asked/full ]; do sleep 0.05; done; \
                  seq 100001 109999; echo done >/asked/written; \
                  until [ -e /asked/free ]; do sleep 0.05; done; echo again; sleep 1000";
    let made = small.berth(&[
        "run", "-d", "--name", "a", "-v", &source, "host", "sh", "-c", script,
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    let filler = small.world.text("disk/filler");
    small.must(&["sh", "-c", &format!("cat /dev/zero >{filler} || true")]);
    small.ask("full");
    eventually("the container's last line", || {
        small.world.path("asked/written").exists()
    });
    eventually("lost records", || small.lost() > 0);
    small.must(&["rm", &filler]);
    small.ask("free");
    let mut logs = String::new();
    eventually("the line after it", || {
        logs = small.berth(&["logs", "a"]).out;
        logs.ends_with("again\n")
    });
    let said = small.berth(&["logs", "a"]).err;
    let lost = small.lost();
    let words = format!(
        "berth: {lost} records of output lost here: No space left on device (os error 28)\n"
    );
    assert_eq!(said, words);
    let kept = logs.lines().filter(|line| line.starts_with("10")).count();
    assert_eq!(kept + lost, 9999);
    let running = small.berth(&["inspect", "--format", "{{.State.Running}}", "a"]);
    assert_eq!(running.out, "true\n");
}

/// Whoever is to free room can: stop, rm and prune need none, and everything else says what is wrong.
#[test]
fn a_full_disk_can_be_emptied() {
    let small = small();
    let must = |words: &[&str]| {
        let done = small.berth(words);
        assert_eq!(done.code, 0, "{words:?}: {done:?}");
        done
    };
    for name in ["a", "forced", "policy"] {
        let policy = if name == "policy" { "always" } else { "no" };
        let run = ["run", "-d", "--name", name, "--restart", policy];
        must(&[&run[..], &["host", "sleep", "1000"]].concat());
    }
    must(&["create", "--name", "old", "host", "true"]);
    let filler = small.world.text("disk/filler");
    small.must(&["sh", "-c", &format!("cat /dev/zero >{filler} || true")]);
    for (words, code) in [
        (&["run", "--rm", "host", "true"][..], 125),
        (&["create", "--name", "new", "host", "true"], 125),
        (&["start", "old"], 1),
        (&["rename", "old", "older"], 1),
        (&["update", "--restart", "no", "policy"], 1),
    ] {
        let done = small.berth(words);
        assert_eq!(done.code, code, "{words:?}: {done:?}");
        assert!(
            done.err.contains("No space left on device"),
            "{words:?}: {done:?}"
        );
        assert!(done.err.contains("berth system df"), "{words:?}: {done:?}");
    }
    let list = ["ps", "-a", "--format", "{{.Names}} {{.State}}"];
    assert_eq!(
        must(&list).out,
        "old created\npolicy running\nforced running\na running\n"
    );
    let stopped = must(&["stop", "-t", "0", "a"]);
    assert!(
        stopped
            .err
            .contains("container a has ended, and how is not on record"),
        "{stopped:?}"
    );
    must(&["rm", "a"]);
    must(&["rm", "-f", "forced"]);
    must(&["rm", "-f", "policy"]);
    must(&["container", "prune", "-f"]);
    assert_eq!(must(&list).out, "");
    small.must(&["rm", &filler]);
    must(&["run", "--rm", "--name", "a", "host", "true"]);
}

/// No policy starts again what was stopped while nothing could be written down.
#[test]
fn a_full_disk_keeps_nobody_from_stopping() {
    let small = small();
    let must = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let done = small.berth(&words);
        assert_eq!(done.code, 0, "{line}: {done:?}");
        done.out
    };
    let states = || must("ps -a --format {{.Names}}={{.State}}");
    must("run -d --name always --restart always host sleep 1000");
    must("run -d --name unless --restart unless-stopped host sleep 1000");
    must("run -d --name killed --restart always host sleep 1000");
    must("run -d --name pausing --restart always host false");
    eventually("a pause", || states().contains("pausing=restarting"));
    let filler = small.world.text("disk/filler");
    small.must(&["sh", "-c", &format!("cat /dev/zero >{filler} || true")]);
    must("stop -t 0 always unless pausing");
    must("kill killed");
    let over = "pausing=exited\nkilled=exited\nunless=exited\nalways=exited\n";
    assert_eq!(states(), over);
    small.must(&["rm", &filler]);
    assert_eq!(states(), over);
    must("system restore");
    assert_eq!(states(), over);
    // Its next run is one like any other.
    must("start always");
    assert_eq!(must("inspect -f {{.RestartCount}} always"), "0\n");
    let pid = must("inspect -f {{.State.Pid}} always");
    small.must(&["kill", "-9", pid.trim()]);
    eventually("its policy", || {
        states().contains("always=running") && must("inspect -f {{.RestartCount}} always") == "1\n"
    });
    must("rm -f always unless killed pausing");
}

/// As the kernel leaves a disk that failed: what is open is written on, and nothing else changes. Who is
/// stopped there stays so, since the state folder remembers it until the next boot.
#[test]
fn a_read_only_disk_keeps_nobody_from_stopping() {
    let small = small();
    let must = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let done = small.berth(&words);
        assert_eq!(done.code, 0, "{line}: {done:?}");
        done
    };
    let states = || must("ps -a --format {{.Names}}={{.State}}").out;
    for (name, policy) in [
        ("plain", "no"),
        ("always", "always"),
        ("unless", "unless-stopped"),
        ("killed", "unless-stopped"),
    ] {
        must(&format!(
            "run -d --name {name} --restart {policy} host sleep 1000"
        ));
    }
    must("run -d --name pausing --restart always host false");
    eventually("a pause", || states().contains("pausing=restarting"));
    let disk = small.world.text("disk");
    small.must(&["mount", "--bind", &disk, &disk]);
    small.must(&["mount", "-o", "remount,bind,ro", &disk]);
    let refused = small.berth(&["rm", "pausing"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    must("stop -t 0 plain pausing");
    let forgotten = "stays stopped until the host boots, and is started again then";
    let always = must("stop -t 0 always");
    assert!(always.err.contains("how is not on record"), "{always:?}");
    assert!(!always.err.contains(forgotten), "{always:?}");
    for line in ["stop -t 0 unless", "kill killed"] {
        let stopped = must(line);
        assert!(stopped.err.contains(forgotten), "{line}: {stopped:?}");
    }
    let over = "pausing=exited\nkilled=exited\nunless=exited\nalways=exited\nplain=exited\n";
    assert_eq!(states(), over);
    let removed = small.berth(&["rm", "-f", "plain"]);
    assert_eq!(removed.code, 1, "{removed:?}");
    assert!(removed.err.contains("Read-only file system"), "{removed:?}");
    assert!(removed.err.contains("remount,rw"), "{removed:?}");
    small.must(&["umount", &disk]);
    assert_eq!(states(), over);
    must("system restore");
    assert_eq!(states(), over);
    // Its next run is one like any other.
    must("start unless");
    let pid = must("inspect -f {{.State.Pid}} unless").out;
    small.must(&["kill", "-9", pid.trim()]);
    eventually("its policy", || {
        states().contains("unless=running")
            && must("inspect -f {{.RestartCount}} unless").out == "1\n"
    });
    must("rm -f plain always unless killed pausing");
}

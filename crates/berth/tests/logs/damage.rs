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

//! One container whose files are damaged: the others are listed, it is named, and rm -f takes it away
//! with all that runs of it.

use std::path::PathBuf;

use crate::cli::{Berth, eventually, is_alive};

/// What stands in the place of a file.
const DAMAGE: [(&str, &str); 3] = [
    ("garbage", "{\"version\":"),
    ("empty", ""),
    ("newer", "{\"version\":99,\"shape\":\"unknown\"}"),
];

/// The state files of a container that runs.
const FILES: [&str; 9] = [
    "root/containers/@/create.json",
    "root/containers/@/settings.json",
    "root/containers/@/status.json",
    "root/containers/@/spec.json",
    "root/containers/@/networks.json",
    "root/containers/@/exits/1.json",
    "state/containers/@/run.json",
    "state/containers/@/monitor.json",
    "state/containers/@/wiring.json",
];

struct Case {
    berth: Berth,
    id: String,
    pid: u32,
    path: PathBuf,
}

impl Case {
    fn new(file: &str, content: &str) -> Self {
        let berth = Berth::with_cgroup_parent();
        berth.ok(&["run", "-d", "--name", "good", "host", "sleep", "1000"]);
        let id = berth.ok(&["run", "-d", "--name", "bad", "host", "sleep", "1000"]);
        let pid = berth.ok(&["inspect", "--format", "{{.State.Pid}}", "bad"]);
        let path = berth.path(&file.replace('@', &id));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        Self {
            berth,
            id,
            pid: pid.parse().unwrap(),
            path,
        }
    }

    /// The lines of a listing; of a container that is left out the user is told, by its file.
    fn lists(&self, arguments: &[&str]) {
        let done = self.berth.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        let names: Vec<&str> = done.out.lines().collect();
        assert!(names.contains(&"good"), "{arguments:?}: {done:?}");
        if !names.contains(&"bad") {
            let told = done.err.contains("is left out: cannot read")
                && done.err.contains(&self.path.display().to_string());
            let ended = done.err.is_empty() && self.path.ends_with("exits/1.json");
            assert!(told || ended, "{arguments:?}: {done:?}");
        }
    }

    /// Verbs about the damaged one answer, in one line where they refuse; those about another work.
    fn others_go_on(&self) {
        for line in ["logs bad", "top bad", "port bad", "exec bad true", "rm bad"] {
            let done = self.berth.run(&line.split(' ').collect::<Vec<_>>());
            let advised = done.err.contains("berth rm -f") || done.err.contains("newer berth");
            let stopped = done.err.contains("is running");
            assert!(done.code == 0 || advised || stopped, "{line}: {done:?}");
            assert!(done.err.lines().count() <= 1, "{line}: {done:?}");
        }
        for line in [
            "exec good true",
            "rename good better",
            "rename better good",
            "logs good",
            "stop -t 0 good",
            "start good",
        ] {
            self.berth.ok(&line.split(' ').collect::<Vec<_>>());
        }
        let restored = self.berth.run(&["system", "restore"]);
        assert!(is_alive(self.pid), "restored while it runs: {restored:?}");
    }

    fn holds(&self) {
        self.lists(&["ps", "--format", "{{.Names}}"]);
        self.lists(&["stats", "--no-stream", "--format", "{{.Name}}"]);
        for arguments in [
            &["system", "df"][..],
            &["info"],
            &["events", "--until", "0s"],
            &["volume", "ls"],
        ] {
            let done = self.berth.run(arguments);
            assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        }
        let done = self.berth.run(&["inspect", "bad"]);
        if done.code != 0 {
            let advised = done.err.contains("berth rm -f") || done.err.contains("newer berth");
            assert!(advised, "{done:?}");
        }
        self.others_go_on();
        // Images may be refused, since nobody can tell what the damaged one needs; what runs stays.
        self.berth.run(&["system", "prune", "--force"]);
        assert!(is_alive(self.pid), "pruned while it runs");
        self.berth.ok(&["rm", "-f", &self.id]);
        eventually("its end", || !is_alive(self.pid));
        let left: Vec<_> = ["root", "state"]
            .map(|place| self.berth.path(&format!("{place}/containers/{}", self.id)))
            .into_iter()
            .filter(|folder| folder.exists())
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.berth.ok(&["ps", "--format", "{{.Names}}"]), "good");
        let done = self.berth.run(&["system", "restore"]);
        assert_eq!(done.code, 0, "{done:?}");
    }
}

fn all_with(content: &str) {
    for file in FILES {
        println!("{file}");
        Case::new(file, content).holds();
    }
}

#[test]
fn garbage_hides_no_other_container() {
    all_with(DAMAGE[0].1);
}

#[test]
fn an_empty_file_hides_no_other_container() {
    all_with(DAMAGE[1].1);
}

#[test]
fn a_newer_file_hides_no_other_container() {
    all_with(DAMAGE[2].1);
}

//! One container whose files are damaged: the others are listed, it is named, and rm -f takes it away
//! with all that runs of it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

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
    fn new(file: &str, damage: &dyn Fn(&Path)) -> Self {
        let berth = Berth::with_cgroup_parent();
        berth.ok(&["run", "-d", "--name", "good", "host", "sleep", "1000"]);
        let id = berth.ok(&["run", "-d", "--name", "bad", "host", "sleep", "1000"]);
        let pid = berth.ok(&["inspect", "--format", "{{.State.Pid}}", "bad"]);
        let path = berth.path(&file.replace('@', &id));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        damage(&path);
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
    each(&FILES, &|path| std::fs::write(path, content).unwrap());
}

fn each(files: &[&str], damage: &dyn Fn(&Path)) {
    for file in files {
        println!("{file}");
        Case::new(file, damage).holds();
    }
}

fn take_away(path: &Path) {
    if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
}

/// The files that each container has. `rm -f` used to say that it had removed one without them,
/// which went on.
#[test]
fn a_missing_file_hides_no_other_container() {
    each(&FILES[..4], &take_away);
    each(&FILES[..2], &|path| {
        take_away(path);
        symlink("/nowhere/at/all", path).unwrap();
    });
}

/// Every command that looked at containers used to wait for somebody who writes.
#[test]
fn a_fifo_hides_no_other_container() {
    each(&FILES, &|path| {
        take_away(path);
        mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    });
}

#[test]
fn a_folder_hides_no_other_container() {
    each(&FILES, &|path| {
        take_away(path);
        std::fs::create_dir_all(path.join("x")).unwrap();
    });
}

/// A device used to be read until the memory was full.
#[test]
fn a_device_hides_no_other_container() {
    each(&[FILES[0], FILES[7]], &|path| {
        take_away(path);
        symlink("/dev/zero", path).unwrap();
    });
}

/// A lock used to be looked for for ever, and a name to be nobody's.
#[test]
fn what_stands_for_a_lock_or_a_name_is_replaced() {
    let berth = Berth::with_cgroup_parent();
    let id = berth.ok(&["run", "-d", "--name", "some", "host", "sleep", "1000"]);
    let lock = berth.path(&format!("state/containers/{id}/lock"));
    take_away(&lock);
    symlink("/nowhere/at/all", &lock).unwrap();
    berth.ok(&["pause", "some"]);
    take_away(&lock);
    std::fs::create_dir_all(lock.join("x")).unwrap();
    berth.ok(&["unpause", "some"]);
    let name = berth.path("root/names/some");
    take_away(&name);
    berth.ok(&["exec", "some", "true"]);
    std::fs::create_dir_all(name.join("x")).unwrap();
    berth.ok(&["exec", "some", "true"]);
    berth.ok(&["system", "restore"]);
    assert_eq!(std::fs::read_to_string(&name).unwrap(), id);
    take_away(&name);
    mknodat(CWD, &name, FileType::Fifo, Mode::RWXU, 0).unwrap();
    berth.ok(&["rm", "-f", "some"]);
    assert!(!name.exists());
}

/// Volumes, networks and images: what stands in the place of a file holds up nobody.
#[test]
fn a_fifo_in_the_stores_holds_up_nobody() {
    let berth = Berth::with_cgroup_parent();
    berth.ok(&["volume", "create", "data"]);
    berth.ok(&["run", "-d", "--name", "good", "host", "sleep", "1000"]);
    let root = berth.path("root");
    for file in [
        "networks/net/network.json",
        "images/index.json",
        "image-work/store.json",
        "events/journal.jsonl",
        "cache/seccomp",
        "volumes/data/volume.json",
    ] {
        let path = root.join(file);
        take_away(&path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        for line in [
            "ps",
            "images",
            "volume ls",
            "network ls",
            "system df",
            "events --until 0s",
            "exec good true",
            "system prune -f",
            "system restore",
            "volume inspect data",
        ] {
            let done = berth.run(&line.split(' ').collect::<Vec<_>>());
            let told = done.err.contains("no regular file");
            assert!(done.code == 0 || told, "{file}: {line}: {done:?}");
        }
        take_away(&path);
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

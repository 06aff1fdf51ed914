//! What comes back after a boot: the very command of the unit file, on a host whose boot id is
//! another and whose volatile folder is empty.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::{Done, eventually, finish};
use crate::support::World;

const UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../packaging/systemd/berth-restore.service"
);
const USER_UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../packaging/systemd/user/berth-restore.service"
);

/// The arguments of a unit's ExecStart.
fn exec_start(unit: &str) -> Vec<String> {
    let text = fs::read_to_string(unit).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let words: Vec<String> = line.unwrap().split(' ').map(str::to_owned).collect();
    assert_eq!(words[0], "/usr/bin/berth");
    words[1..].to_vec()
}

struct Booted {
    world: World,
    boots: u32,
}

impl Booted {
    fn new() -> Option<Self> {
        let can = rustix::process::geteuid().is_root();
        if !can {
            berth_testkit::skip("only root gives a process another boot id");
            return None;
        }
        Some(Self {
            world: World::new(),
            boots: 0,
        })
    }

    /// The power goes, and comes back.
    fn boots(&mut self) {
        for id in self.world.berth.ids() {
            self.world.kill_keepers(&id);
            let pid = self.world.field(&id, ".State.Pid");
            if pid != "0" {
                self.world.kill_first_process(&id);
                let path = format!("/proc/{pid}");
                eventually("its end", || !Path::new(&path).exists());
            }
        }
        for pid in self.world.internals("exited") {
            crate::support::kill(pid);
        }
        fs::remove_dir_all(self.world.berth.path("state")).unwrap();
        self.boots += 1;
        let text = format!("{:08}-0000-4000-8000-000000000000\n", self.boots);
        fs::write(self.world.berth.path("boot_id"), text).unwrap();
    }

    /// Runs a command of this boot.
    fn berth(&self, arguments: &[&str]) -> Done {
        let inner = self.world.berth.command(arguments);
        let mut command = Command::new("unshare");
        let script = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";
        command
            .args(["-m", "sh", "-c", script])
            .arg(self.world.berth.path("boot_id"))
            .arg(inner.get_program())
            .args(inner.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(command.spawn().unwrap())
    }

    fn restores(&self) -> Done {
        let words = exec_start(UNIT);
        self.berth(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn running(&self) -> Vec<String> {
        let done = self.berth(&["ps", "--format", "{{.Names}}", "--filter", "status=running"]);
        // That one comes and goes.
        let lines = done.out.lines().filter(|name| *name != "restarting");
        let mut names: Vec<String> = lines.map(str::to_owned).collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if self.boots > 0 {
            let ids = self.berth(&["ps", "-aq"]).out;
            let mut words = vec!["rm", "-f"];
            words.extend(ids.lines());
            drop(self.berth(&words));
        }
    }
}

#[test]
fn what_is_wanted_comes_back() {
    let Some(mut host) = Booted::new() else {
        return;
    };
    let world = &host.world;
    for (name, policy) in [
        ("always", "always"),
        ("always-stopped", "always"),
        ("unless", "unless-stopped"),
        ("unless-stopped", "unless-stopped"),
        ("on-failure", "on-failure"),
        ("no", "no"),
    ] {
        world.run(name, &format!("--restart {policy}"), "exec sleep 1000");
    }
    world.ok("stop -t 0 always-stopped unless-stopped");
    world.ok("create --name never --restart always host sleep 1000");
    world.run("restarting", "--restart on-failure", "exit 1");
    world.long_pause("restarting");
    host.boots();
    // Whoever comes before it starts nothing.
    assert_eq!(host.berth(&["ps", "-a"]).code, 0);
    assert_eq!(
        host.berth(&["create", "--name", "new", "host", "true"])
            .code,
        0
    );
    assert!(host.running().is_empty());
    let done = host.restores();
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
    let started = done
        .out
        .lines()
        .filter(|l| l.starts_with("started "))
        .count();
    assert_eq!(started, 4, "{done:?}");
    assert_eq!(host.running(), ["always", "always-stopped", "unless"]);
    let done = host.restores();
    assert!(!done.out.contains("started"), "{done:?}");
    // A stop holds for this boot and `system restore` in it, and for the next of unless-stopped.
    assert_eq!(host.berth(&["stop", "-t", "0", "always", "unless"]).code, 0);
    host.restores();
    assert_eq!(host.running(), ["always-stopped"]);
}

#[test]
fn who_is_joined_comes_first_and_who_cannot_holds_up_nobody() {
    let Some(mut host) = Booted::new() else {
        return;
    };
    let world = &host.world;
    let source = world.berth.path("source");
    fs::create_dir(&source).unwrap();
    world.run("z", "--restart always", "exec sleep 1000");
    world.run("y", "--restart always --ipc container:z", "exec sleep 1000");
    world.run(
        "x",
        "--restart always --pid container:y --net container:z",
        "exec sleep 1000",
    );
    let flags = format!(
        "--restart always --mount type=bind,src={},dst=/x",
        source.display()
    );
    world.run("broken", &flags, "exec sleep 1000");
    fs::remove_dir(&source).unwrap();
    host.boots();
    let done = host.restores();
    assert_eq!(done.code, 1, "{done:?}");
    let expected = format!(
        "berth: cannot start container broken: the source {} of the mount on /x does not exist",
        source.display()
    );
    assert!(done.err.starts_with(&expected), "{done:?}");
    assert_eq!(done.err.lines().count(), 1, "{done:?}");
    assert_eq!(host.running(), ["x", "y", "z"]);
    fs::create_dir(&source).unwrap();
    eventually("the one that was tried again", || host.running().len() == 4);
}

#[test]
fn units_are_sound() {
    assert_eq!(exec_start(UNIT), ["system", "restore"]);
    assert_eq!(exec_start(USER_UNIT), ["system", "restore"]);
    for unit in [UNIT, USER_UNIT] {
        let text = fs::read_to_string(unit).unwrap();
        for line in text
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
        {
            let is_section = line.starts_with('[') && line.ends_with(']');
            assert!(is_section || line.contains('='), "{line}");
        }
        for part in ["Type=oneshot", "RemainAfterExit=yes", "WantedBy="] {
            assert!(text.contains(part), "{part} in {unit}");
        }
    }
}

//! dockerd with `berth-runtime` as its default runtime.

mod confinement;
mod files;
mod lifecycle;
mod limits;
mod map;
mod processes;
mod restart;
mod sharing;

use std::fs;
use std::process::{Command, Stdio};

use crate::image::{self, BUSYBOX};
use crate::support::{Done, Terminal, finish};
use crate::world::{Daemon, World, done, need, runtime};

/// A dockerd of the test's own, with the image [`BUSYBOX`].
pub(crate) struct Docker {
    pub(crate) daemon: Daemon,
    pub(crate) world: World,
    live_restore: bool,
}

impl Docker {
    pub(crate) fn start() -> Self {
        Self::start_with(false)
    }

    /// With `live_restore`, the containers go on while no dockerd runs.
    fn start_with(live_restore: bool) -> Self {
        Self::start_in(World::new("docker"), live_restore)
    }

    /// In a world that there is.
    pub(crate) fn start_in(world: World, live_restore: bool) -> Self {
        need("dockerd");
        need("docker");
        let daemon = daemon(&world, live_restore);
        let mut docker = Self {
            daemon,
            world,
            live_restore,
        };
        docker.wait();
        let archive = image::write(&docker.world);
        docker.ok(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
        docker
    }

    /// Starts a new daemon in the same place, after the old one has ended.
    pub(crate) fn start_again(&mut self) {
        self.daemon = daemon(&self.world, self.live_restore);
        self.wait();
    }

    fn wait(&mut self) {
        let words = words(&self.world);
        self.daemon.wait_until(|| {
            // `docker version` exits 1 while there is no server.
            let version = ["version", "--format", "{{.Server.Version}}"];
            done(Command::new("docker").args(&words).args(version)).code == 0
        });
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(words(&self.world))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs the client to its end.
    fn run(&self, arguments: &[&str]) -> Done {
        done(&mut self.command(arguments))
    }

    /// Runs the client to its end with this standard input.
    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        use std::io::Write;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        finish(child)
    }

    /// Runs a client that must succeed; its output without the last line break.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "docker {arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// What a script prints in a container that lives for it alone.
    fn script(&self, flags: &[&str], script: &str) -> String {
        let all = [
            &["run", "--rm", "--net=none"],
            flags,
            &[BUSYBOX, "sh", "-c", script],
        ]
        .concat();
        self.ok(&all)
    }

    /// Starts a container that stays, and ends at once on SIGTERM.
    fn start_container(&self, name: &str, flags: &[&str]) -> String {
        let wait = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done";
        let all = [
            &["run", "-d", "--net=none", "--name", name],
            flags,
            &[BUSYBOX, "sh", "-c", wait],
        ]
        .concat();
        self.ok(&all)
    }

    /// What a script prints in a running container.
    pub(crate) fn exec(&self, name: &str, script: &str) -> String {
        self.ok(&["exec", name, "sh", "-c", script])
    }

    fn inspect(&self, name: &str, template: &str) -> String {
        self.ok(&["inspect", "--format", template, name])
    }

    /// The client at a terminal of 30 rows and 90 columns.
    fn terminal(&self, arguments: &[&str]) -> Terminal {
        let words = words(&self.world);
        let all: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied())
            .collect();
        Terminal::start_program("docker", &all)
    }

    /// Removes all containers, ends the daemon, and fails if anything is left of them.
    pub(crate) fn finish(mut self) {
        let listed = self.ok(&["ps", "--all", "--quiet"]);
        let ids: Vec<&str> = listed.lines().collect();
        if !ids.is_empty() {
            self.ok(&[&["rm", "--force", "--volumes"], &ids[..]].concat());
        }
        self.world.assert_no_cgroup_but(&[]);
        // Where its state is, for dockerd passes --root; it was there for each container.
        let states = fs::read_dir(self.world.path("exec/runtime-runc/moby")).unwrap();
        let left: Vec<_> = states.flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "the runtime still knows {left:?}");
        self.daemon.stop(&self.world);
        self.world.assert_gone(&["data", "exec/netns/default"]);
    }
}

fn words(world: &World) -> Vec<String> {
    // A folder without configuration: no proxies, plug-ins and contexts of the user's.
    ["--config", &world.text("docker-client"), "--host"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("unix://{}", world.text("docker.sock"))])
        .collect()
}

fn daemon(world: &World, live_restore: bool) -> Daemon {
    let mut words = vec![
        "dockerd".to_owned(),
        format!("--data-root={}", world.text("data")),
        format!("--exec-root={}", world.text("exec")),
        format!("--pidfile={}", world.text("docker.pid")),
        format!("--host=unix://{}", world.text("docker.sock")),
        format!("--cgroup-parent={}", world.cgroup_parent()),
        format!("--add-runtime=berth={}", runtime().display()),
        "--default-runtime=berth".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    if live_restore {
        words.push("--live-restore".to_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    world.daemon(&words, &[])
}

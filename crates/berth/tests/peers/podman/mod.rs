//! podman, which runs `berth-runtime` beneath conmon and without a daemon.

mod containers;
mod map;
mod pods;

use std::fs;

use crate::image::{self, BUSYBOX, PAUSE};
use crate::support::{Done, Terminal};
use crate::world::{World, done, need, runtime};

/// A podman with folders of the test's own, and both images.
pub(crate) struct Podman {
    pub(crate) world: World,
}

impl Podman {
    pub(crate) fn new() -> Self {
        need("podman");
        let world = World::new("podman");
        // Its own limits are beyond what a caller without CAP_SYS_RESOURCE may set.
        let configuration = format!(
            "[containers]\n\
             default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
             [engine]\n\
             infra_image = \"{PAUSE}\"\n"
        );
        fs::write(world.path("containers.conf"), configuration).unwrap();
        let storage = format!(
            "[storage]\n\
             driver = \"overlay\"\n\
             graphroot = \"{}\"\n\
             runroot = \"{}\"\n",
            world.text("storage"),
            world.text("run")
        );
        fs::write(world.path("storage.conf"), storage).unwrap();
        let podman = Self { world };
        let archive = image::write(&podman.world);
        podman.ok(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
        podman
    }

    /// The words before podman's subcommand, for a command in the world.
    fn words(&self) -> Vec<String> {
        let at = |name: &str| self.world.text(name);
        let runtime = runtime();
        [
            "env",
            &format!("CONTAINERS_CONF={}", at("containers.conf")),
            &format!("CONTAINERS_STORAGE_CONF={}", at("storage.conf")),
            "podman",
            "--tmpdir",
            &at("tmp"),
            "--cgroup-manager=cgroupfs",
            "--events-backend=file",
            "--runtime",
            runtime.to_str().unwrap(),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let words = self.words();
        done(
            self.world
                .command(&words[0])
                .args(&words[1..])
                .args(arguments),
        )
    }

    /// Runs a podman that must succeed; its output without the last line break.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "podman {arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// Runs a program in a container, without a network unless the flags name one.
    pub(crate) fn run_container(&self, flags: &[&str], program: &[&str]) -> Done {
        let parent = format!("--cgroup-parent={}", self.world.cgroup_parent());
        let named = flags.iter().any(|flag| flag.starts_with("--network"));
        let network = if named { &[][..] } else { &["--network=none"] };
        let own = ["run", &parent];
        self.run(&[&own[..], network, flags, &[BUSYBOX], program].concat())
    }

    /// What a script prints in a container that lives for it alone.
    fn script(&self, flags: &[&str], script: &str) -> String {
        let flags = [&["--rm"], flags].concat();
        let done = self.run_container(&flags, &["sh", "-c", script]);
        assert_eq!(done.code, 0, "{flags:?} {script}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// What a script prints in a running container.
    pub(crate) fn exec(&self, name: &str, script: &str) -> String {
        self.ok(&["exec", name, "sh", "-c", script])
    }

    fn inspect(&self, name: &str, template: &str) -> String {
        self.ok(&["inspect", "--format", template, name])
    }

    /// podman at a terminal of 30 rows and 90 columns.
    fn terminal(&self, arguments: &[&str]) -> Terminal {
        let (entrance, words) = (self.world.entrance(), self.words());
        let all: Vec<&str> = entrance[1..]
            .iter()
            .chain(&words)
            .map(String::as_str)
            .chain(arguments.iter().copied())
            .collect();
        Terminal::start_program(&entrance[0], &all)
    }

    /// Removes everything, and fails if anything is left of it.
    pub(crate) fn finish(self) {
        let pods = self.ok(&["pod", "ls", "--quiet", "--no-trunc"]);
        self.ok(&["pod", "rm", "--all", "--force", "--time=0"]);
        self.ok(&["rm", "--all", "--force", "--time=0", "--volumes"]);
        for name in ["berth-runtime", "runc"] {
            let states = self.world.seen(&format!("/run/{name}"));
            let left: Vec<_> = fs::read_dir(states).into_iter().flatten().collect();
            assert!(left.is_empty(), "the runtime still knows {left:?}");
        }
        // podman leaves conmon's, and a pod's in the hierarchies without a controller.
        let kept: Vec<&str> = pods.lines().chain(["conmon"]).collect();
        self.world.assert_no_cgroup_but(&kept);
        self.world.assert_gone(&["storage/overlay"]);
    }
}

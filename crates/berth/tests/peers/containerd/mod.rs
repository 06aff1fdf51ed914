//! containerd, by `ctr` and by its CRI plugin, with `berth-runtime` behind its shim.

mod cri;
mod ctr;
mod map;
mod pods;

use std::fs;
use std::path::{Path, PathBuf};

use crate::image::{self, PAUSE};
use crate::support::Done;
use crate::world::{Daemon, World, need, runtime};

/// Where the shim of a caller without a wish of its own keeps the runtime's state.
const STATES: &str = "/run/containerd/runc";

/// A containerd of the test's own.
struct Containerd {
    daemon: Daemon,
    world: World,
}

impl Containerd {
    /// With both images in a namespace of containerd's: `default` for ctr, `k8s.io` for CRI.
    fn start(namespace: &str) -> Self {
        need("containerd");
        need("ctr");
        let world = World::new("containerd");
        fs::write(world.path("config.toml"), configuration(&world)).unwrap();
        write_network(&world);
        let config = world.text("config.toml");
        let words = ["containerd", "--config", &config, "--log-level", "warn"];
        let daemon = world.daemon(&words, &[]);
        let mut containerd = Self { daemon, world };
        containerd.daemon.wait_until(|| {
            let mut words = ctr(&containerd.world);
            words.push("version".to_owned());
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            containerd.world.run(&words).code == 0
        });
        let archive = image::write(&containerd.world);
        let archive = archive.to_str().unwrap();
        containerd.ok(&["--namespace", namespace, "images", "import", archive]);
        containerd
    }

    fn socket(&self) -> PathBuf {
        self.world.path("containerd.sock")
    }

    /// Runs `ctr` in the world, with whose shims it shares FIFOs below /run.
    fn run(&self, arguments: &[&str]) -> Done {
        let words = ctr(&self.world);
        let all: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied())
            .collect();
        self.world.run(&all)
    }

    /// Runs a `ctr` that must succeed; its output without the last line break.
    fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "ctr {arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// Ends the daemon, and fails if anything is left of its containers.
    fn finish(mut self) {
        for folder in fs::read_dir(self.world.seen(STATES)).unwrap().flatten() {
            let states = fs::read_dir(folder.path()).unwrap();
            let left: Vec<_> = states.flatten().map(|entry| entry.path()).collect();
            assert!(left.is_empty(), "the runtime still knows {left:?}");
        }
        self.daemon.stop(&self.world);
        self.world.assert_no_cgroup_but(&["pod"]);
        self.world.assert_gone(&[]);
    }
}

fn ctr(world: &World) -> Vec<String> {
    let socket = world.text("containerd.sock");
    vec!["ctr".to_owned(), "--address".to_owned(), socket]
}

/// `restrict_oom_score_adj`: pods ask for less than the caller's, which takes CAP_SYS_RESOURCE.
fn configuration(world: &World) -> String {
    let at = |name: &str| toml_text(&world.path(name));
    let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
    format!(
        "version = 2\n\
         root = {}\n\
         state = {}\n\
         [grpc]\n\
         address = {}\n\
         [plugins.\"io.containerd.internal.v1.opt\"]\n\
         path = {}\n\
         [{cri}]\n\
         sandbox_image = \"{PAUSE}\"\n\
         restrict_oom_score_adj = true\n\
         disable_tcp_service = true\n\
         [{cri}.cni]\n\
         bin_dir = \"/usr/lib/cni\"\n\
         conf_dir = {}\n\
         [{cri}.containerd]\n\
         default_runtime_name = \"berth\"\n\
         [{cri}.containerd.runtimes.berth]\n\
         runtime_type = \"io.containerd.runc.v2\"\n\
         [{cri}.containerd.runtimes.berth.options]\n\
         BinaryName = {}\n",
        at("data"),
        at("state"),
        at("containerd.sock"),
        at("opt"),
        at("networks"),
        toml_text(&runtime()),
    )
}

fn toml_text(path: &Path) -> String {
    format!("{:?}", path.to_str().unwrap())
}

/// A veth pair for each pod, and addresses from a range that exists in this world alone.
fn write_network(world: &World) {
    let folder = world.path("networks");
    fs::create_dir(&folder).unwrap();
    let list = serde_json::json!({
        "cniVersion": "0.4.0",
        "name": "quay",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "subnet": "10.88.0.0/24",
                    "dataDir": world.text("addresses"),
                },
            },
        ],
    });
    fs::write(folder.join("quay.conflist"), list.to_string()).unwrap();
}

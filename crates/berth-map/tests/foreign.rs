//! Questions about other engines' containers on a real kernel: answered by ioctl and by the files
//! of the one container, without reading the host.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use berth_base::HostPid;
use berth_map::discover::{EngineRoots, ProcRoot, Sources};
use berth_map::lookup;
use berth_map::model::{Extent, World};
use berth_map::translate::PidSpec;
use tempfile::TempDir;

/// A PID namespace with a shell and a sleeper, and a root with files of engines.
struct Tree {
    root: Child,
    files: TempDir,
    init: HostPid,
}

impl Drop for Tree {
    fn drop(&mut self) {
        drop(self.root.kill());
        drop(self.root.wait());
    }
}

impl Tree {
    /// `None` without root, or on kernels that do not translate.
    fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root for new PID namespaces");
            return None;
        }
        let own = fs::File::open("/proc/self/ns/pid").unwrap();
        if let Err(error) = berth_sys::nsfs::translate_pid_from(&own, 1) {
            eprintln!("skipped: NS_GET_PID_FROM_PIDNS (6.11): {error}");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        let root = command
            .args(["sh", "-c", "sleep 300 & wait"])
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", root.id());
        let mut tree = Self {
            root,
            files: tempfile::tempdir().unwrap(),
            init: HostPid::new(1).unwrap(),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        loop {
            if let Ok(init) = read(&children).trim().parse() {
                let below = format!("/proc/{init}/task/{init}/children");
                if read(&format!("/proc/{init}/comm")).trim() == "sh" && !read(&below).is_empty() {
                    tree.init = HostPid::new(init).unwrap();
                    return Some(tree);
                }
            }
            assert!(Instant::now() < deadline, "the shell never began");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.files.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn sources(&self) -> Sources {
        Sources {
            proc: ProcRoot::open("/proc").unwrap(),
            state_dir: None,
            roots: EngineRoots {
                root: Some(self.files.path().to_owned()),
                more: Vec::new(),
            },
        }
    }

    /// The sleeper beside PID 1.
    fn sleeper(&self) -> HostPid {
        let path = format!("/proc/{0}/task/{0}/children", self.init);
        let text = fs::read_to_string(path).unwrap();
        HostPid::new(text.trim().parse().unwrap()).unwrap()
    }

    /// Asks for both processes in both directions; the host must not be read for it.
    fn assert_small(&self, sources: &Sources, name: &str) {
        for (host, inside) in [(self.init, 1), (self.sleeper(), 2)] {
            let spec = format!("{name}:{inside}");
            let found = lookup::find(sources, &spec.parse().unwrap()).unwrap();
            assert_eq!(found.pid, host, "{spec}");
            assert_eq!(found.world.extent(), Extent::OneProcess, "{spec}");
            let back = lookup::find(sources, &PidSpec::Host(host)).unwrap();
            assert_eq!(back.resolution().unwrap().answer.to_string(), spec);
            assert_eq!(back.world.extent(), Extent::OneProcess, "{host}");
            let seen = lookup::seen_from(sources, &back, name).unwrap();
            assert_eq!(seen, inside);
        }
        let world = World::discover(sources).unwrap();
        let answer = world.resolve(self.sleeper()).unwrap().answer;
        assert_eq!(answer.to_string(), format!("{name}:2"));
    }
}

#[test]
fn a_machine_is_found_by_its_file() {
    let Some(tree) = Tree::start() else { return };
    let text = format!("NAME=mole\nCLASS=container\nLEADER={}\n", tree.init);
    tree.write("run/systemd/machines/mole", &text);
    tree.assert_small(&tree.sources(), "nspawn/mole");
}

#[test]
fn ctrs_container_is_found_by_its_file() {
    let Some(tree) = Tree::start() else { return };
    let task = "run/containerd/io.containerd.runtime.v2.task/default/ship";
    tree.write(&format!("{task}/init.pid"), &tree.init.to_string());
    tree.assert_small(&tree.sources(), "containerd/default/ship");
}

#[test]
fn what_nobody_made_is_called_by_its_first_process() {
    let Some(tree) = Tree::start() else { return };
    tree.assert_small(&tree.sources(), &format!("unshare/{}", tree.init));
}

#[test]
fn dockers_container_is_found_by_its_file_and_cgroup() {
    let Some(tree) = Tree::start() else { return };
    let id = format!("{:064x}", std::process::id());
    let config = format!(
        r#"{{"ID":"{id}","Name":"/web","State":{{"Running":true,"Pid":{}}},"Config":{{}}}}"#,
        tree.init
    );
    let path = format!("var/lib/docker/containers/{id}/config.v2.json");
    tree.write(&path, &config);
    let Some(cgroup) = Cgroup::make(&format!("docker-{id}.scope")) else {
        return;
    };
    cgroup.add(&[tree.init, tree.sleeper()]);
    tree.assert_small(&tree.sources(), "docker/web");
    drop(tree);
}

#[test]
fn lxcs_container_is_found_by_its_cgroup() {
    let Some(tree) = Tree::start() else { return };
    let name = format!("berth-map-test-{}", std::process::id());
    let Some(cgroup) = Cgroup::make(&format!("lxc.payload.{name}")) else {
        return;
    };
    cgroup.add(&[tree.init, tree.sleeper()]);
    let sources = Sources {
        roots: EngineRoots::host(),
        ..tree.sources()
    };
    tree.assert_small(&sources, &format!("lxc/{name}"));
    drop(tree);
}

/// A cgroup of the test's own in the v2 hierarchy; its processes end before it.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let Some(v2) = mounts.lines().find(|line| line.contains(" - cgroup2 ")) else {
            eprintln!("skipped: no cgroup v2 hierarchy");
            return None;
        };
        let path = PathBuf::from(v2.split(' ').nth(4)?).join(name);
        if let Err(error) = fs::create_dir(&path) {
            eprintln!("skipped: {} cannot be made: {error}", path.display());
            return None;
        }
        Some(Self(path))
    }

    fn add(&self, pids: &[HostPid]) {
        for pid in pids {
            fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

//! Against the real kernel, as root, in cgroups of the test's own that it removes.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::processes::pids_below;
use super::*;

/// A place of this test's own; everything below it is removed when it is dropped.
pub(super) struct Place {
    pub(super) hierarchies: Hierarchies,
    parent: String,
}

impl Place {
    /// `None`, with the reason printed, where the caller may not make cgroups.
    pub(super) fn new(name: &str) -> Option<Self> {
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let hierarchies = Hierarchies::discover(&mountinfo, &own);
        let parent = format!("/berth-test-{}-{name}", std::process::id());
        if !rustix::process::geteuid().is_root() || hierarchies == Hierarchies::default() {
            eprintln!("skipped: needs root and a cgroup hierarchy");
            return None;
        }
        Some(Self {
            hierarchies,
            parent,
        })
    }

    pub(super) fn path(&self, id: &str) -> String {
        format!("{}/berth/{id}", self.parent)
    }

    pub(super) fn create(&self, id: &str) -> Cgroup {
        Cgroup::create(&self.hierarchies, &self.path(id), Access::Required).unwrap()
    }

    /// Ends and removes what a failed test left.
    fn clear(&self) {
        for hierarchy in self.all() {
            let whole = CgroupPaths {
                v2: Some(hierarchy.directory(&self.parent).display().to_string()),
                ..CgroupPaths::default()
            };
            let whole = Cgroup::from_paths(&whole);
            for pid in pids_below(whole.v2.as_ref().unwrap()).unwrap_or_default() {
                let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
            }
            whole.remove().ok();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Hierarchy> {
        self.hierarchies.v1.iter().chain(&self.hierarchies.v2)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.clear();
        }
        for hierarchy in self.all() {
            let top = hierarchy.directory(&self.parent);
            for dir in [top.join("berth/keepers"), top.join("berth"), top] {
                if dir.exists()
                    && let Err(error) = std::fs::remove_dir(&dir)
                {
                    eprintln!("left behind: {}: {error}", dir.display());
                    assert!(std::thread::panicking(), "{} is left", dir.display());
                }
            }
        }
    }
}

/// Starts a shell inside the cgroups; it tells by its first byte that it is there.
pub(super) fn run_in(cgroup: &Cgroup, script: &str) -> Child {
    let mut shell = String::from("set -e; ");
    for branch in cgroup.branches() {
        let file = if branch.controllers.is_empty() {
            "cgroup.procs"
        } else {
            "tasks"
        };
        shell += &format!("echo 0 > {}; ", branch.file(file).display());
    }
    shell += &format!("echo r; {script}");
    let mut child = Command::new("sh")
        .args(["-c", &shell])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0u8; 2];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    child
}

fn end(mut child: Child) -> std::process::ExitStatus {
    child.wait().unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[test]
fn processes_are_seen_killed_and_the_cgroups_removed() {
    let Some(place) = Place::new("kill") else {
        return;
    };
    let cgroup = place.create("a");
    assert!(!cgroup.is_populated().unwrap());
    let child = run_in(&cgroup, "sleep 100 & sleep 100 & wait");
    let deadline = soon();
    while cgroup.processes().unwrap().len() < 3 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(
        cgroup
            .processes()
            .unwrap()
            .iter()
            .any(|pid| pid.get() == child.id())
    );
    assert!(cgroup.is_populated().unwrap());
    assert!(
        !cgroup
            .wait_empty(Instant::now() + Duration::from_millis(30))
            .unwrap()
    );
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(soon()).unwrap());
    assert!(cgroup.processes().unwrap().is_empty());
    end(child);
    let again = Cgroup::from_paths(&cgroup.paths());
    again.remove().unwrap();
    again.remove().unwrap();
    assert!(!again.is_populated().unwrap());
    assert!(again.wait_empty(soon()).unwrap());
    assert!(cgroup.processes().unwrap().is_empty());
    cgroup.kill().unwrap();
    assert!(Cgroup::open_existing(&cgroup.paths()).is_err());
}

#[test]
fn v1_alone_kills_by_freezing() {
    let Some(place) = Place::new("killv1") else {
        return;
    };
    if place.hierarchies.v1_of("freezer").is_none() {
        eprintln!("skipped: no v1 freezer");
        return;
    }
    let whole = place.create("a");
    let mut paths = whole.paths();
    paths.v2 = None;
    let v1 = Cgroup::from_paths(&paths);
    // A process that forks on and on.
    let child = run_in(&whole, "while :; do (sleep 0.01 &) ; done");
    v1.freeze().unwrap();
    let before = v1.processes().unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(before, v1.processes().unwrap());
    v1.kill().unwrap();
    assert!(v1.wait_empty(soon()).unwrap());
    end(child);
    whole.remove().unwrap();
}

#[test]
fn a_sub_cgroup_that_froze_itself_dies_too() {
    let Some(place) = Place::new("subfrozen") else {
        return;
    };
    let cgroup = place.create("a");
    let Some(freezer) = cgroup.v1_branch("freezer") else {
        eprintln!("skipped: no v1 freezer");
        return cgroup.remove().unwrap();
    };
    let sub = freezer.file("sub");
    let child = run_in(
        &cgroup,
        &format!(
            "mkdir {0}; sleep 100 & echo $! > {0}/tasks; echo FROZEN > {0}/freezer.state; wait",
            sub.display()
        ),
    );
    let deadline = soon();
    while std::fs::read_to_string(sub.join("freezer.state")).unwrap_or_default() != "FROZEN\n" {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(soon()).unwrap());
    end(child);
    cgroup.remove().unwrap();
    assert!(!sub.exists());
}

#[test]
fn freezing_stops_and_thawing_goes_on() {
    let Some(place) = Place::new("freeze") else {
        return;
    };
    let cgroup = place.create("a");
    let child = run_in(&cgroup, "exec sleep 0.05");
    cgroup.freeze().unwrap();
    std::thread::sleep(Duration::from_millis(120));
    assert!(cgroup.is_populated().unwrap());
    cgroup.thaw().unwrap();
    assert!(cgroup.wait_empty(soon()).unwrap());
    assert!(end(child).success());
    cgroup.remove().unwrap();
}

#[test]
fn sub_cgroups_of_the_container_are_seen_and_removed() {
    let Some(place) = Place::new("sub") else {
        return;
    };
    let cgroup = place.create("a");
    let branches: Vec<_> = cgroup
        .branches()
        .map(|branch| branch.path.clone())
        .collect();
    for path in &branches {
        let mut deep = path.clone();
        for _ in 0..60 {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir_all(path.join("e/f")).unwrap();
    }
    let census = cgroup.census().unwrap().file("e/f");
    let file = if cgroup.v2.is_some() {
        "cgroup.procs"
    } else {
        "tasks"
    };
    let child = run_in(
        &cgroup,
        &format!("echo 0 > {}/{file}; exec sleep 100", census.display()),
    );
    let deadline = soon();
    while std::fs::read_to_string(census.join("cgroup.procs"))
        .unwrap()
        .is_empty()
    {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(cgroup.processes().unwrap().len(), 1);
    assert!(cgroup.is_populated().unwrap());
    let refused = cgroup.remove().unwrap_err();
    assert!(
        refused
            .to_string()
            .contains(&format!("held by PID {}", child.id())),
        "{refused}"
    );
    cgroup.kill().unwrap();
    assert!(cgroup.wait_empty(soon()).unwrap());
    end(child);
    cgroup.remove().unwrap();
    assert!(branches.iter().all(|path| !path.exists()));
}

#[test]
fn a_session_enters_beside_an_init_that_moved_below() {
    let Some(place) = Place::new("beside") else {
        return;
    };
    let cgroup = place.create("a");
    let Some(v2) = cgroup.v2.as_ref() else {
        eprintln!("skipped: no cgroup v2");
        return cgroup.remove().unwrap();
    };
    let sub = v2.file("init.scope");
    std::fs::create_dir(&sub).unwrap();
    let inode = |fd: &std::os::fd::OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
    let own = inode(&cgroup.join_descriptors().unwrap().v2.unwrap());
    let script = format!(
        "echo 0 > {}/cgroup.procs; echo m; exec sleep 100",
        sub.display()
    );
    let mut child = run_in(&cgroup, &script);
    let mut moved = [0u8; 2];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut moved)
        .unwrap();
    let init = berth_base::HostPid::new(child.id()).unwrap();
    let beside = inode(&cgroup.join_descriptors_beside(init).unwrap().v2.unwrap());
    assert_ne!(beside, own);
    assert_eq!(beside, rustix::fs::stat(&sub).unwrap().st_ino);
    cgroup.kill().unwrap();
    end(child);
    let gone = inode(&cgroup.join_descriptors_beside(init).unwrap().v2.unwrap());
    assert_eq!(gone, own);
    assert!(cgroup.wait_empty(soon()).unwrap());
    cgroup.remove().unwrap();
}

#[test]
fn an_empty_leftover_is_made_anew_and_a_used_one_refused() {
    let Some(place) = Place::new("left") else {
        return;
    };
    let first = place.create("a");
    let second = place.create("a");
    assert_eq!(first.paths(), second.paths());
    let child = run_in(&second, "exec sleep 100");
    let refused =
        Cgroup::create(&place.hierarchies, &place.path("a"), Access::Required).unwrap_err();
    assert!(matches!(refused, CgroupError::Occupied { .. }), "{refused}");
    assert!(
        refused.to_string().contains(&child.id().to_string()),
        "{refused}"
    );
    second.kill().unwrap();
    end(child);
    second.remove().unwrap();

    let foreign = place.parent.clone() + "/other";
    let made = Cgroup::create(&place.hierarchies, &foreign, Access::Required).unwrap();
    let refused = Cgroup::create(&place.hierarchies, &foreign, Access::Required).unwrap_err();
    assert!(
        refused.to_string().contains("was not made by Berth"),
        "{refused}"
    );
    made.remove().unwrap();
}

#[test]
fn a_failed_creation_leaves_nothing() {
    let Some(place) = Place::new("undo") else {
        return;
    };
    let mut broken = place.hierarchies.clone();
    let target = broken.v2.as_mut().or(broken.v1.last_mut()).unwrap();
    target.mount = Path::new("/proc/self").to_owned();
    let path = place.path("a");
    assert!(Cgroup::create(&broken, &path, Access::Required).is_err());
    for hierarchy in place.all() {
        assert!(!hierarchy.directory(&path).exists());
    }
}

#[test]
fn thirty_two_at_once_do_not_disturb_each_other() {
    let Some(place) = Place::new("many") else {
        return;
    };
    std::thread::scope(|scope| {
        for worker in 0..32 {
            let place = &place;
            scope.spawn(move || {
                for round in 0..8 {
                    let cgroup = place.create(&format!("{worker}-{round}"));
                    assert_eq!(cgroup.join_descriptors().unwrap().v1.len(), cgroup.v1.len());
                    if let Some(cpuset) = cgroup.v1_branch("cpuset") {
                        let cpus = cpuset.read_if_present("cpuset.cpus").unwrap().unwrap();
                        assert_ne!(cpus.trim(), "");
                    }
                    cgroup.remove().unwrap();
                }
            });
        }
    });
}

#[test]
fn keepers_share_a_group_of_their_own() {
    let Some(place) = Place::new("keep") else {
        return;
    };
    let path = place.path("keepers");
    for _ in 0..2 {
        let join = keeper_group(&place.hierarchies, &path, Access::Required).unwrap();
        assert_eq!(join.v2.is_some(), place.hierarchies.v2.is_some());
        assert_eq!(
            join.v1.len(),
            usize::from(place.hierarchies.v1_of("name=systemd").is_some())
        );
    }
    for hierarchy in &place.hierarchies.v1 {
        assert_eq!(
            hierarchy.directory(&path).exists(),
            hierarchy.has("name=systemd")
        );
    }
}

#[test]
fn a_read_only_hierarchy_is_named() {
    let Some(place) = Place::new("ro") else {
        return;
    };
    let mut hierarchies = place.hierarchies.clone();
    for hierarchy in hierarchies.v1.iter_mut().chain(&mut hierarchies.v2) {
        hierarchy.read_only = true;
    }
    let refused = Cgroup::create(&hierarchies, &place.path("a"), Access::Required).unwrap_err();
    assert!(
        refused.to_string().contains("mounted read-only"),
        "{refused}"
    );
    let none = Cgroup::create(&hierarchies, &place.path("a"), Access::WhereAllowed).unwrap();
    assert!(none.is_nowhere());
    assert!(none.is_populated().is_err());
    assert!(none.kill().is_err());
    none.remove().unwrap();
}

/// Docker's default resources, with a memory and a process limit.
const DEFAULTS: &str = r#"{
    "devices": [
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "access": "m"},
        {"allow": true, "type": "b", "access": "m"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 7, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 8, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 9, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 0, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 1, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 2, "access": "rwm"},
        {"allow": true, "type": "c", "major": 136, "access": "rwm"}
    ],
    "memory": {"limit": 67108864, "swap": 134217728},
    "cpu": {"shares": 1024},
    "pids": {"limit": 1000}
}"#;

/// Prints what each step costs: `cargo test --release -p berth-runtime medians -- --ignored
/// --nocapture`.
#[test]
#[ignore = "measures instead of testing"]
fn medians() {
    let Some(place) = Place::new("bench") else {
        return;
    };
    let resources: oci_spec::runtime::LinuxResources = serde_json::from_str(DEFAULTS).unwrap();
    let names = [
        "discover",
        "create",
        "apply",
        "descriptors",
        "drop",
        "remove",
        "BPF filter",
    ];
    let mut samples = vec![Vec::new(); names.len()];
    for round in 0..300 {
        let began = Instant::now();
        let mut laps = Vec::with_capacity(names.len());
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let hierarchies = Hierarchies::discover(&mountinfo, &own);
        laps.push(began.elapsed());
        let path = place.path(&format!("{round}"));
        let cgroup = Cgroup::create(&hierarchies, &path, Access::Required).unwrap();
        laps.push(began.elapsed());
        cgroup.apply(&resources).unwrap();
        laps.push(began.elapsed());
        let join = cgroup.join_descriptors().unwrap();
        laps.push(began.elapsed());
        let paths = cgroup.paths();
        drop((join, cgroup));
        laps.push(began.elapsed());
        Cgroup::from_paths(&paths).remove().unwrap();
        laps.push(began.elapsed());
        laps.push(began.elapsed() + time_filter(&place, &resources));
        let mut before = Duration::ZERO;
        for (sample, lap) in samples.iter_mut().zip(laps) {
            sample.push(lap - before);
            before = lap;
        }
    }
    for (name, sample) in names.iter().zip(&mut samples) {
        sample.sort_unstable();
        println!("{name:12} {:4} us", sample[sample.len() / 2].as_micros());
    }
}

/// What the device filter of v2 takes, on a hybrid host too.
fn time_filter(place: &Place, resources: &oci_spec::runtime::LinuxResources) -> Duration {
    let mut hierarchies = place.hierarchies.clone();
    hierarchies.v1.clear();
    if hierarchies.v2.is_none() {
        return Duration::ZERO;
    }
    let path = place.path("filter");
    let cgroup = Cgroup::create(&hierarchies, &path, Access::Required).unwrap();
    let began = Instant::now();
    cgroup
        .apply_devices(resources.devices().as_ref().unwrap())
        .unwrap();
    let took = began.elapsed();
    cgroup.remove().unwrap();
    took
}

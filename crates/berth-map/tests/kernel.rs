//! The map against the real kernel: what it says is compared with the kernel's own answers.
//!
//! Needs root for new namespaces. Every process is started here, below unshare(1) with
//! --kill-child, and ended by its id.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use berth_base::state::{CgroupPaths, RunFile, STATE_VERSION};
use berth_base::{HostPid, NamespaceKind, ProcessIdentity, Timestamp};
use berth_map::discover::{EngineRoots, ProcRoot, Sources};
use berth_map::draw::{self, MapOptions};
use berth_map::lookup;
use berth_map::model::{Links, Process, World};
use berth_map::top;
use berth_map::translate::PidSpec;
use berth_sys::nsfs;
use support::{id, pid};
use tempfile::TempDir;

/// A tree of processes that ends with the test.
struct Tree {
    root: Child,
    state: TempDir,
}

impl Drop for Tree {
    fn drop(&mut self) {
        drop(self.root.kill());
        drop(self.root.wait());
    }
}

const UNSHARE: &str = "unshare --pid --fork --mount-proc --kill-child";

impl Tree {
    /// Runs a shell script below unshare, in a PID namespace; `None` without root.
    fn start(script: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root for new PID namespaces");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        command.args(["sh", "-c", script]);
        Some(Self {
            root: command.spawn().unwrap(),
            state: tempfile::tempdir().unwrap(),
        })
    }

    fn sources(&self) -> Sources {
        Sources::host(self.state.path()).unwrap()
    }

    /// The processes below the tree's root, by PID.
    fn members(&self, world: &World) -> Vec<Process> {
        let root = pid(self.root.id());
        let all = world.processes().iter();
        all.filter(|p| is_below(world, p, root)).cloned().collect()
    }

    /// Reads the host until the tree looks as the test wants it.
    fn settle(&self, wanted: impl Fn(&[Process]) -> bool) -> (World, Vec<Process>) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let world = World::discover(&self.sources()).unwrap();
            let members = self.members(&world);
            if wanted(&members) {
                return (world, members);
            }
            assert!(Instant::now() < deadline, "never settled: {members:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Records a process as the first one of a container.
    fn record(&self, digit: char, name: &str, init: &Process) {
        let run = RunFile {
            version: STATE_VERSION,
            id: id(digit).parse().unwrap(),
            name: name.to_owned(),
            run: 1,
            init: ProcessIdentity {
                pid: init.pid,
                start_ticks: init.start_ticks,
                boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")
                    .unwrap()
                    .trim_end()
                    .to_owned(),
            },
            keeper: pid(self.root.id()),
            network_warden: None,
            own_pid_namespace: true,
            namespaces: init.namespaces.iter().collect(),
            made_namespaces: Vec::new(),
            filter: None,
            namespace_ids: std::collections::BTreeMap::new(),
            cgroups: CgroupPaths::default(),
            started_at: Timestamp::from_nanos(0),
            protocol: 1,
        };
        let dir = self.state.path().join("containers").join(id(digit));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("run.json"), serde_json::to_string(&run).unwrap()).unwrap();
    }
}

/// Whether a process is, or descends from, another.
fn is_below(world: &World, process: &Process, root: HostPid) -> bool {
    let mut line = std::iter::successors(Some(process), |p| world.parent(p));
    line.any(|ancestor| ancestor.pid == root)
}

/// Three levels, with a process beside each PID 1.
fn three_levels() -> Option<Tree> {
    Tree::start(&format!(
        "sleep 300 & exec {UNSHARE} sh -c 'sleep 300 & exec sleep 300'"
    ))
}

fn is_settled(members: &[Process]) -> bool {
    let sleeping = |p: &&Process| p.comm == "sleep";
    members.iter().filter(sleeping).count() == 3 && members.len() == 5
}

fn init_at(members: &[Process], level: usize) -> &Process {
    let mut all = members.iter();
    all.find(|p| p.level() == level && p.is_namespace_init())
        .unwrap()
}

fn open_namespace(process: &Process) -> OwnedFd {
    let proc = ProcRoot::open("/proc").unwrap();
    proc.open_namespace(process.pid, "pid").unwrap()
}

#[test]
fn every_level_is_what_the_kernel_translates() {
    let Some(tree) = three_levels() else { return };
    let (world, members) = tree.settle(is_settled);
    for level in [1, 2] {
        let init = init_at(&members, level);
        let namespace = init.pid_namespace().unwrap();
        let descriptor = open_namespace(init);
        for process in &members {
            let kernel = nsfs::translate_pid_into(&descriptor, process.pid.get());
            let ours = world.pid_in(process, namespace);
            match kernel {
                Ok(kernel) => assert_eq!(ours, Some(kernel)),
                Err(e) if e.raw_os_error() == Some(3) => assert_eq!(ours, None),
                Err(e) => return eprintln!("skipped: NS_GET_PID_IN_PIDNS (6.11): {e}"),
            }
        }
        let parent = world.namespace(namespace).unwrap().parent.unwrap();
        assert_eq!(world.namespace(parent).unwrap().level, Some(level - 1));
    }
}

#[test]
fn the_small_snapshot_agrees_with_the_whole_one() {
    let Some(tree) = three_levels() else { return };
    let (_, members) = tree.settle(is_settled);
    tree.record('a', "outer", init_at(&members, 1));
    tree.record('b', "inner", init_at(&members, 2));
    let sources = tree.sources();
    // All of the host, foreign containers too. Others change it while it is read: a difference
    // counts when it is there three times in a row. Each takes a whole snapshot: of a crowded host
    // a share, in which ours are.
    let world = World::discover(&sources).unwrap();
    let step = world.processes().len().div_ceil(300);
    let is_ours = |p: &Process| members.iter().any(|m| m.pid == p.pid);
    let mut compared = 0;
    for (place, process) in world.processes().iter().enumerate() {
        if place % step != 0 && !is_ours(process) {
            continue;
        }
        let differs = || describe_both_ways(&sources, process).is_some_and(|(a, b)| a != b);
        assert!(!(differs() && differs() && differs()), "{process:#?}");
        compared += 1;
    }
    assert!(compared >= members.len());
}

/// What the whole and the small snapshot say of a process; `None` once it is gone.
fn describe_both_ways(sources: &Sources, process: &Process) -> Option<(String, String)> {
    let small = World::around(sources, process.pid).unwrap()?;
    let large = World::discover(sources).unwrap();
    let describe = |world: &World| {
        let found = world.process(process.pid)?;
        let resolution = world.resolve(process.pid).ok()?;
        let levels = resolution.levels.iter().map(|l| match found.links {
            Links::Read => format!("{} {:?}", l.pid, l.namespace),
            Links::Denied => l.pid.to_string(),
        });
        let levels: Vec<String> = levels.collect();
        let same = found.start_ticks == process.start_ticks;
        same.then(|| format!("{} {levels:?}", resolution.answer))
    };
    Some((describe(&large)?, describe(&small)?))
}

#[test]
fn container_pids_lead_to_host_pids_and_back() {
    let Some(tree) = three_levels() else { return };
    let (_, members) = tree.settle(is_settled);
    tree.record('a', "outer", init_at(&members, 1));
    tree.record('b', "inner", init_at(&members, 2));
    let sources = tree.sources();
    for process in members.iter().filter(|p| p.level() > 0) {
        let name = ["", "outer", "inner"][process.level()];
        let spec = format!("{name}:{}", process.innermost_pid());
        let found = lookup::find(&sources, &spec.parse().unwrap()).unwrap();
        assert_eq!(found.pid, process.pid, "{spec}");
        assert_eq!(found.resolution().unwrap().answer.to_string(), spec);
        let seen = lookup::seen_from(&sources, &found, "outer").unwrap();
        assert_eq!(Some(&seen), process.pids.get(1));
        assert_eq!(
            lookup::seen_from(&sources, &found, "inner").is_ok(),
            process.level() == 2
        );
        let status = fs::read_to_string(format!("/proc/{}/status", found.pid)).unwrap();
        let line = status.lines().find(|l| l.starts_with("NSpid:")).unwrap();
        assert!(line.ends_with(&format!("\t{}", process.innermost_pid())));
    }
    let missing = lookup::find(&sources, &"inner:4000".parse().unwrap()).unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("no process has PID 4000 in container inner")
    );
}

#[test]
fn an_ended_container_is_not_believed() {
    let Some(mut tree) = three_levels() else {
        return;
    };
    let (_, members) = tree.settle(is_settled);
    tree.record('a', "outer", init_at(&members, 1));
    tree.root.kill().unwrap();
    tree.root.wait().unwrap();
    let sources = tree.sources();
    let deadline = Instant::now() + Duration::from_secs(10);
    let gone = || {
        World::discover(&sources)
            .unwrap()
            .containers()
            .iter()
            .all(|c| c.name != "outer")
    };
    while !gone() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(20));
    }
    let error = lookup::find(&sources, &"outer:1".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("is not running"), "{error}");
}

#[test]
fn a_thread_is_found_by_its_id() {
    let own = thread::spawn(|| {
        let tid = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let sources = Sources {
            proc: ProcRoot::open("/proc").unwrap(),
            state_dir: None,
            roots: EngineRoots::default(),
        };
        let found = lookup::find(&sources, &PidSpec::Host(pid(tid))).unwrap();
        found.resolution().unwrap().levels[0].pid == tid
    });
    assert!(own.join().unwrap());
}

#[test]
fn zombies_name_the_pid_1_that_does_not_reap() {
    // The children outlive the shell's exec: sleep becomes their parent and reaps nothing.
    let Some(tree) = Tree::start("sleep 0.1 & sleep 0.1 & exec sleep 300") else {
        return;
    };
    let zombies = |members: &[Process]| members.iter().filter(|p| p.is_zombie()).count();
    let (_, members) = tree.settle(|members| zombies(members) == 2);
    tree.record('a', "web", init_at(&members, 1));
    let world = World::discover(&tree.sources()).unwrap();
    let web = world.find_container("web").unwrap();
    let rows = top::rows(&world, web);
    let culprits: Vec<_> = rows.iter().filter_map(|r| r.zombie_of.as_ref()).collect();
    assert_eq!(culprits.len(), 2);
    assert_eq!(culprits[0].describe(), "PID 1 \"sleep\"");
    let text = draw::map(&world, &MapOptions::default());
    assert!(
        text.contains("sleep  Z zombie x2 of PID 1 \"sleep\""),
        "{text}"
    );
    assert!(text.contains(" web  berth  3 procs  "), "{text}");
}

#[test]
fn an_unprivileged_reader_still_translates() {
    let Some(tree) = three_levels() else { return };
    let (_, members) = tree.settle(is_settled);
    let sources = Sources {
        proc: ProcRoot::open("/proc").unwrap(),
        state_dir: None,
        roots: EngineRoots::default(),
    };
    // Credentials are per thread for the kernel: only this thread becomes nobody.
    let reader = thread::spawn(move || {
        let nobody = rustix::fs::Uid::from_raw(65_534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let world = World::discover(&sources).unwrap();
        for process in &members {
            let seen = world.process(process.pid).unwrap();
            assert_eq!(seen.links, Links::Denied);
            assert_eq!(seen.pids, process.pids);
            let small = World::around(&sources, process.pid).unwrap().unwrap();
            assert_eq!(small.process(process.pid).unwrap().pids, process.pids);
        }
        let text = draw::map(&world, &MapOptions::default());
        assert!(text.contains("could not be read"), "{text}");
    });
    reader.join().unwrap();
}

/// The v2 hierarchy, if there is one that may be written.
fn v2_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let v2 = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    Some(PathBuf::from(v2.split(' ').nth(4)?))
}

#[test]
fn a_foreign_container_is_known_by_its_real_cgroup() {
    let Some(tree) = three_levels() else { return };
    let (_, members) = tree.settle(is_settled);
    let Some(root) = v2_root() else {
        return eprintln!("skipped: no cgroup v2 hierarchy");
    };
    let top = root.join(format!("berth-map-test-{}", std::process::id()));
    let docker = top.join("docker");
    let container = format!("{:064x}", std::process::id());
    let leaf = docker.join(&container);
    if let Err(error) = fs::create_dir_all(&leaf) {
        return eprintln!(
            "skipped: no cgroup can be made in {}: {error}",
            root.display()
        );
    }
    for process in members.iter().filter(|p| p.level() > 0) {
        fs::write(leaf.join("cgroup.procs"), process.pid.to_string()).unwrap();
    }
    let world = World::discover(&tree.sources()).unwrap();
    let answers: Vec<String> = members
        .iter()
        .map(|p| world.resolve(p.pid).unwrap().answer.to_string())
        .collect();
    let small: Vec<String> = members
        .iter()
        .map(|p| {
            let spec = PidSpec::Host(p.pid);
            let found = lookup::find(&tree.sources(), &spec).unwrap();
            found.resolution().unwrap().answer.to_string()
        })
        .collect();
    let init: HostPid = init_at(&members, 1).pid;
    drop(tree);
    let deadline = Instant::now() + Duration::from_secs(10);
    for dir in [&leaf, &docker, &top] {
        while fs::remove_dir(dir).is_err() {
            assert!(Instant::now() < deadline, "{} stays", dir.display());
            thread::sleep(Duration::from_millis(20));
        }
    }
    let expected: Vec<String> = members
        .iter()
        .map(|p| match p.pids.get(1) {
            Some(inside) => format!("docker/{}:{inside}", &container[..12]),
            None => format!("host:{}", p.pid),
        })
        .collect();
    assert_eq!(answers, expected);
    assert_eq!(small, expected);
    assert!(world.containers().iter().any(|c| c.init == Some(init)));
}

#[test]
fn namespaces_have_owners_and_the_host_is_level_0() {
    let world = World::discover(&Sources {
        proc: ProcRoot::open("/proc").unwrap(),
        state_dir: None,
        roots: EngineRoots::default(),
    })
    .unwrap();
    let own = world.process(pid(std::process::id())).unwrap();
    assert_eq!(own.pid_namespace(), world.host().pid_namespace);
    let id = own.namespaces.of(NamespaceKind::Net).unwrap();
    let owner = world.namespace(id).unwrap().owner;
    assert_eq!(owner, own.namespaces.of(NamespaceKind::User));
}

//! One process per test, in namespaces of its own, with folders and cgroups that go away.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use berth_base::ContainerId;
use berth_base::protocol::MAX_PACKET;
use berth_base::state::ExitOutcome;
use berth_engine::{
    CreateOptions, Engine, EngineConfig, Packet, RemoveOptions, Session, StartAttach, Started,
};

use crate::Outcome;

/// A name and what it does.
pub(crate) type Test = (&'static str, fn(&mut World) -> Outcome);

/// What one test has: an engine with empty folders, and cgroups below a parent of its own.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) config: EngineConfig,
    _folder: tempfile::TempDir,
}

/// Set in the process that runs one test inside its namespaces.
const INSIDE: &str = "BERTH_TEST_INSIDE";

impl World {
    fn new(cgroup_parent: String) -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let config = configuration(
            folder.path().join("root"),
            folder.path().join("state"),
            cgroup_parent,
        )?;
        Ok(Self {
            engine: Engine::open(config.clone())?,
            config,
            _folder: folder,
        })
    }

    /// Creates a container of the host image that runs a shell script.
    pub(crate) fn create(
        &self,
        script: &str,
        change: impl FnOnce(&mut CreateOptions),
    ) -> ContainerId {
        let mut options = CreateOptions {
            command: ["/bin/sh", "-c", script].map(String::from).to_vec(),
            ..CreateOptions::default()
        };
        change(&mut options);
        self.engine.create(&options).expect("create").id
    }

    /// Starts a container without attaching.
    pub(crate) fn start(&self, id: &ContainerId) -> Started {
        self.engine
            .start(id, &StartAttach::default())
            .unwrap_or_else(|e| panic!("start: {e}"))
    }

    /// Creates and starts a container with its output attached.
    pub(crate) fn run(
        &self,
        script: &str,
        change: impl FnOnce(&mut CreateOptions),
    ) -> (ContainerId, Started) {
        let id = self.create(script, change);
        let attach = StartAttach {
            output: true,
            ..StartAttach::default()
        };
        let started = self
            .engine
            .start(&id, &attach)
            .unwrap_or_else(|e| panic!("start: {e}"));
        (id, started)
    }

    /// Removes a container by force.
    pub(crate) fn remove(&self, id: &ContainerId) {
        let options = RemoveOptions {
            force: true,
            ..RemoveOptions::default()
        };
        self.engine
            .remove(id, &options)
            .unwrap_or_else(|e| panic!("remove: {e}"));
    }

    /// What is left after everything was removed: nothing but locks and empty folders.
    pub(crate) fn assert_nothing_left(&self) {
        for folder in ["root/containers", "root/names", "state/containers"] {
            let path = self._folder.path().join(folder);
            let names = || -> Vec<_> {
                let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
                entries.map(|e| e.file_name()).collect()
            };
            // With --rm the monitor's engine removes as well: whoever comes second hears that the
            // container is gone while the first still deletes the renamed folder.
            let end = Instant::now() + PATIENCE;
            while !names().is_empty() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
            let left = names();
            assert!(left.is_empty(), "{folder} holds {left:?}");
        }
        let parent = self.config.cgroup_parent.as_deref().unwrap_or_default();
        let left = containers_below(parent);
        assert!(left.is_empty(), "cgroups left: {left:?}");
    }
}

fn configuration(
    root: PathBuf,
    state: PathBuf,
    cgroup_parent: String,
) -> Result<EngineConfig, Box<dyn std::error::Error>> {
    let own = std::env::current_exe()?;
    // target/TRIPLE/debug/deps/lifecycle-HASH
    let target = own.ancestors().nth(2).ok_or("no target folder")?;
    let runtime_binary = match std::env::var_os("BERTH_RUNTIME") {
        Some(path) => path.into(),
        None => target.join("berth-runtime"),
    };
    if !runtime_binary.exists() {
        return Err("build the runtime first: cargo build -p berth-runtime".into());
    }
    Ok(EngineConfig {
        root,
        state,
        runtime_binary,
        engine_binary: own,
        default_network: berth_engine::DefaultNetwork::None,
        network: berth_engine::NetworkSettings::default(),
        cgroup_parent: Some(cgroup_parent),
        image_limits: Default::default(),
        log: Default::default(),
        events: Default::default(),
        cdi_folders: Vec::new(),
    })
}

/// Reads a session to its end: standard output, standard error, outcome.
pub(crate) fn read_all(session: &Session) -> (String, String, ExitOutcome) {
    let mut buffer = vec![0; MAX_PACKET];
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match session.receive(&mut buffer).expect("receive") {
            Packet::Stdout(bytes) => out.extend_from_slice(bytes),
            Packet::Stderr(bytes) => err.extend_from_slice(bytes),
            Packet::Exited(outcome) => {
                let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
                return (text(out), text(err), outcome);
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// Reads a session until its standard output holds a text.
pub(crate) fn read_until(session: &Session, text: &str) -> String {
    let mut buffer = vec![0; MAX_PACKET];
    let mut out = String::new();
    while !out.contains(text) {
        match session.receive(&mut buffer).expect("receive") {
            Packet::Stdout(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
            Packet::Stderr(bytes) => panic!("stderr: {}", String::from_utf8_lossy(bytes)),
            other => panic!("unexpected {other:?} after {out:?}"),
        }
    }
    out
}

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processes of this PID namespace whose command line holds a text.
pub(crate) fn processes_with(text: &str) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
        })
        .collect()
}

/// The parent of a process.
pub(crate) fn parent_of(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find_map(|l| l.strip_prefix("PPid:"));
    line.and_then(|l| l.trim().parse().ok()).expect("PPid")
}

/// Sends SIGKILL to a process of this PID namespace.
pub(crate) fn kill(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a PID"), rustix::process::Signal::KILL)
        .expect("kill");
}

/// What a monitor executes once a container has ended, and the workers of [`crate::many`]: this
/// very program.
pub(crate) fn act_as_engine(arguments: &[String]) -> Option<ExitCode> {
    if std::env::args().next().as_deref() == Some("berth-keeper") {
        crate::layers::die_after_the_mount();
        return Some(ExitCode::FAILURE);
    }
    if let [worker, root, state, parent] = arguments
        && worker == "--worker"
    {
        let config = configuration(root.into(), state.into(), parent.clone()).expect("config");
        let engine = Engine::open(config).expect("open");
        crate::many::work(&engine).expect("work");
        return Some(ExitCode::SUCCESS);
    }
    let [root_flag, root, _, state, _, runtime, internal, exited, id] = arguments else {
        return None;
    };
    if [root_flag.as_str(), internal, exited] != ["--root", "internal", "exited"] {
        return None;
    }
    let engine = Engine::open(EngineConfig {
        root: root.into(),
        state: state.into(),
        runtime_binary: runtime.into(),
        engine_binary: PathBuf::new(),
        default_network: berth_engine::DefaultNetwork::None,
        network: berth_engine::NetworkSettings::default(),
        cgroup_parent: None,
        image_limits: Default::default(),
        log: Default::default(),
        events: Default::default(),
        cdi_folders: Vec::new(),
    });
    let removed = engine.and_then(|e| e.exited(&id.parse().expect("an id")));
    Some(ExitCode::from(u8::from(removed.is_err())))
}

/// Lists or runs tests.
pub(crate) fn run(arguments: &[String], tests: &[&[Test]]) -> ExitCode {
    let all = || tests.iter().flat_map(|list| list.iter());
    let has = |flag: &str| arguments.iter().any(|a| a == flag);
    if has("--list") {
        if !has("--ignored") {
            all().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let wanted = arguments.iter().find(|a| !a.starts_with('-'));
    let mut failed = 0;
    for (name, test) in all().filter(|(name, _)| wanted.is_none_or(|w| name.contains(w.as_str()))) {
        if std::env::var_os(INSIDE).is_some() {
            return inside(*test);
        }
        let passed = outside(name);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u8::from(!passed);
    }
    ExitCode::from(failed.min(1))
}

/// Runs one test in its namespaces, and removes its cgroups whatever became of it.
fn outside(name: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: namespaces and cgroups of its own need root");
        return true;
    }
    let parent = format!("berth-test-{}", std::process::id());
    let own = std::env::current_exe().expect("current_exe");
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--net",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
    ]);
    let is_rootless = name.starts_with("rootless::");
    if is_rootless {
        command.args(["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"]);
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--"]);
    }
    let status = command
        .arg(own)
        .args(["--exact", name])
        .env(INSIDE, &parent)
        .status()
        .expect("unshare(1) of util-linux is needed");
    remove_cgroups(&parent);
    // What setpriv(1) answers when it cannot execute the program.
    if is_rootless && matches!(status.code(), Some(126 | 127)) {
        println!("skipped: the target folder cannot be reached without root");
        return true;
    }
    status.success()
}

fn inside(test: fn(&mut World) -> Outcome) -> ExitCode {
    let parent = std::env::var(INSIDE).expect("INSIDE");
    let result = World::new(parent).and_then(|mut world| {
        test(&mut world)?;
        Ok(())
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The test's parent cgroup in every hierarchy.
fn parents(parent: &str) -> Vec<PathBuf> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mountinfo
        .lines()
        .filter(|line| line.contains(" - cgroup"))
        .filter_map(|line| line.split(' ').nth(4))
        .map(|mount| Path::new(mount).join(parent))
        .filter(|path| path.is_dir())
        .collect()
}

/// The containers' cgroups of a test.
fn containers_below(parent: &str) -> Vec<PathBuf> {
    parents(parent)
        .iter()
        .filter_map(|path| std::fs::read_dir(path.join("berth")).ok())
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.path())
        .collect()
}

fn remove_cgroups(parent: &str) {
    for path in parents(parent) {
        remove_tree(&path);
    }
}

/// Removes a cgroup and those below; one that is busy stays, and the next run reports it.
fn remove_tree(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    for _ in 0..100 {
        if std::fs::remove_dir(dir).is_ok() || !dir.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

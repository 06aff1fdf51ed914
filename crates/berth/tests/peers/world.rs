//! Namespaces, folders and a cgroup for one daemon, and the proof that it left nothing.
//!
//! A world has a network, a mount and a PID namespace of its own. Its PID 1 lives as long as a
//! pipe that the test holds: whatever becomes of the test, every process of the world ends with
//! it, and every mount with them. Only the cgroup and the folder are left to [`Drop`].

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Done, PATIENCE, eventually, finish};

/// PID 1 of a world. Fixed places of the daemons (`/run`, the locks of podman in `/dev/shm`) are
/// empty file systems. Over `/sys/fs/cgroup` comes a fresh folder of the mounted hierarchies:
/// podman makes folders beside them for controllers that have no mount, and fails over them later.
/// `wait` reaps what the daemons orphan.
const INIT: &str = r#"
set -e
exec 3<&0
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 shm /dev/shm
points=$(awk '/ - cgroup2? /{print $5}' /proc/self/mountinfo)
if [ "$points" != /sys/fs/cgroup ]; then
    mkdir /run/cgroup
    mount -t tmpfs -o mode=755 cgroups /run/cgroup
    for point in $points; do
        mkdir "/run/cgroup/${point##*/}"
        mount --bind "$point" "/run/cgroup/${point##*/}"
    done
    mount --move /run/cgroup /sys/fs/cgroup
    rmdir /run/cgroup
fi
ip link set lo up
echo ready
cat <&3 >/dev/null &
wait $!
"#;

/// Starts a daemon whose PID in the world is then in a file.
const DAEMON: &str = r#"echo $$ >"$1"; shift; exec "$@""#;

/// The runtime under test.
pub fn runtime() -> PathBuf {
    if let Some(path) = std::env::var_os(berth_testkit::RUNTIME_VARIABLE) {
        return path.into();
    }
    let path = Path::new(env!("CARGO_BIN_EXE_berth")).with_file_name("berth-runtime");
    assert!(
        path.exists(),
        "{} is missing: build it first with \"cargo build --workspace --bins\"",
        path.display()
    );
    path
}

/// Fails with the remedy if a program is missing.
pub fn need(program: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    assert!(
        std::env::split_paths(&path).any(|folder| folder.join(program).exists()),
        "{program} is not installed; \"cargo xtask setup test\" installs the peers"
    );
}

/// The place of one daemon.
pub struct World {
    /// unshare(1), in the network and mount namespaces; PID 1 is its child.
    anchor: Child,
    dir: TempDir,
    cgroup: String,
    /// PID 1 and its cat.
    own: BTreeSet<u32>,
}

impl World {
    /// A world whose cgroup carries this name.
    pub fn new(name: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "the tests with real peers need root, as their daemons do"
        );
        let dir = tempfile::Builder::new().prefix("berth").tempdir().unwrap();
        let mut anchor = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private"])
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", INIT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(anchor.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let mut world = Self {
            anchor,
            dir,
            cgroup: format!("berth-test-{}-{}-{name}", std::process::id(), next_number()),
            own: BTreeSet::new(),
        };
        assert_eq!(line, "ready\n", "the namespaces for {name} were not made");
        eventually("PID 1 to wait", || world.pids().len() == 2);
        world.own = world.pids();
        world
    }

    /// A path in the world's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).into_os_string().into_string().unwrap()
    }

    /// A path of the world's mount namespace, as the host sees it.
    pub fn seen(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.anchor.id()))
    }

    /// The cgroup that is the parent of everything here, from the root of each hierarchy.
    pub fn cgroup_parent(&self) -> String {
        format!("/{}", self.cgroup)
    }

    /// The words that execute what follows them in the world.
    pub fn entrance(&self) -> Vec<String> {
        let of = |kind: &str| format!("/proc/{}/ns/{kind}", self.anchor.id());
        vec![
            "nsenter".to_owned(),
            format!("--mount={}", of("mnt")),
            format!("--net={}", of("net")),
            format!("--pid={}", of("pid_for_children")),
        ]
    }

    /// A command in the world, not started. Its working directory is `/`.
    pub fn command(&self, program: &str) -> Command {
        let words = self.entrance();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .arg(program)
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command in the world to its end.
    pub fn run(&self, words: &[&str]) -> Done {
        done(self.command(words[0]).args(&words[1..]))
    }

    /// The namespace of its PID 1, as /proc/PID/ns shows it.
    pub fn namespace(&self, kind: &str) -> String {
        let link = fs::read_link(self.seen(&format!("/proc/1/ns/{kind}"))).unwrap();
        link.to_string_lossy().into_owned()
    }

    /// Starts a daemon that goes on until [`Daemon::stop`] or the end of the world.
    pub fn daemon(&self, words: &[&str], environment: &[(&str, &str)]) -> Daemon {
        let log = self.path("daemon.log");
        let output = fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let pid_file = self.path("daemon.pid");
        let child = self
            .command("sh")
            .args(["-c", DAEMON, "sh"])
            .arg(&pid_file)
            .args(words)
            .envs(environment.iter().copied())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Daemon {
            child,
            log,
            pid_file,
        }
    }

    fn pids(&self) -> BTreeSet<u32> {
        let entries = fs::read_dir(self.seen("/proc")).unwrap();
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// The processes that are not the world's own: PID and command line.
    pub fn processes(&self) -> Vec<String> {
        let ours = |pid: &u32| !self.own.contains(pid);
        let describe = |pid: u32| {
            let folder = self.seen(&format!("/proc/{pid}"));
            let words = fs::read_to_string(folder.join("cmdline")).unwrap_or_default();
            let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            format!("{pid} {}: {}", name.trim(), words.replace('\0', " "))
        };
        self.pids().into_iter().filter(ours).map(describe).collect()
    }

    /// What is mounted in the world's folder, by its path from there.
    pub fn mounts(&self) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{}/mountinfo", self.anchor.id())).unwrap();
        let folder = format!("{}/", self.dir.path().display());
        text.lines()
            .filter_map(|line| line.split(' ').nth(4)?.strip_prefix(&folder))
            .map(str::to_owned)
            .collect()
    }

    /// Every cgroup below the world's own, in all hierarchies.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for root in self.cgroup_roots() {
            below(&root, &mut found);
        }
        found
    }

    fn cgroup_roots(&self) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts
            .lines()
            .filter_map(|line| line.split_once(" - "))
            .filter(|(_, kind)| kind.starts_with("cgroup"))
            .filter_map(|(mount, _)| mount.split(' ').nth(4))
            .map(|point| Path::new(point).join(&self.cgroup))
            .filter(|folder| folder.exists())
            .collect()
    }

    /// The contents of those control files, of the cgroup at `path` below the world's own, that
    /// exist in some hierarchy.
    pub fn controls(&self, path: &str, files: &[&str]) -> Vec<String> {
        let texts = self
            .cgroup_roots()
            .into_iter()
            .flat_map(|root| files.iter().map(move |file| root.join(path).join(file)))
            .filter_map(|file| fs::read_to_string(file).ok());
        texts.map(|text| text.trim().to_owned()).collect()
    }

    /// The first of them.
    pub fn control(&self, path: &str, files: &[&str]) -> String {
        let found = self.controls(path, files).into_iter().next();
        found.unwrap_or_else(|| panic!("no {files:?} in the cgroup {path}"))
    }

    /// Fails unless every cgroup below the world's own is gone, save those that the peer made
    /// itself: folders without a container.
    pub fn assert_no_cgroup_but(&self, kept: &[&str]) {
        wait_for_none("cgroups", || {
            let mut cgroups = self.cgroups();
            cgroups.retain(|path| !kept.iter().any(|name| path.ends_with(name)));
            cgroups
        });
    }

    /// Fails unless every process and mount of the peer is gone, save the mounts that it keeps
    /// for itself.
    pub fn assert_gone(&self, kept: &[&str]) {
        wait_for_none("processes", || self.processes());
        wait_for_none("mounts", || {
            let mut mounts = self.mounts();
            mounts.retain(|mount| !kept.contains(&mount.as_str()));
            mounts
        });
    }
}

/// Tells the worlds of one process apart.
fn next_number() -> u32 {
    static WORLDS: AtomicU32 = AtomicU32::new(0);
    WORLDS.fetch_add(1, Ordering::Relaxed)
}

/// What is left of something after a while must be nothing.
fn wait_for_none<T: std::fmt::Debug>(what: &str, mut left: impl FnMut() -> Vec<T>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let found = left();
        if found.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what} were left behind: {found:#?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The folders below one, deepest first.
fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), found);
            found.push(entry.path());
        }
    }
}

/// Runs a command to its end.
pub fn done(command: &mut Command) -> Done {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    finish(child)
}

impl Drop for World {
    fn drop(&mut self) {
        let mut cgroups = self.cgroups();
        // A frozen process of a v1 hierarchy does not even die.
        for cgroup in &cgroups {
            drop(fs::write(cgroup.join("freezer.state"), "THAWED"));
        }
        drop(self.anchor.stdin.take());
        drop(self.anchor.wait());
        let deadline = Instant::now() + Duration::from_secs(5);
        cgroups.extend(self.cgroup_roots());
        while !cgroups.is_empty() && Instant::now() < deadline {
            cgroups.retain(|cgroup| fs::remove_dir(cgroup).is_err() && cgroup.exists());
            std::thread::sleep(Duration::from_millis(10));
        }
        for cgroup in cgroups {
            eprintln!("cannot remove {}", cgroup.display());
        }
    }
}

/// A daemon in a world.
pub struct Daemon {
    /// nsenter(1), which ends with the daemon and has its exit status.
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Daemon {
    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until a command succeeds that only works with the daemon.
    pub fn wait_until(&mut self, mut answers: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !answers() {
            assert!(!self.has_ended(), "the daemon ended");
            assert!(Instant::now() < deadline, "the daemon does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it by SIGTERM, as its service would.
    pub fn stop(&mut self, world: &World) {
        let pid = fs::read_to_string(&self.pid_file).unwrap();
        let sent = world.run(&["kill", "-TERM", pid.trim()]);
        assert_eq!(sent.code, 0, "{sent:?}");
        eventually("the daemon to end", || self.has_ended());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            // A shim says much at level info, whatever dockerd was told.
            let told = |line: &&str| !line.contains("level=info");
            let lines: Vec<&str> = log.lines().filter(told).collect();
            let last = &lines[lines.len().saturating_sub(10)..];
            eprintln!("the daemon's log ends with:\n{}", last.join("\n"));
        }
    }
}

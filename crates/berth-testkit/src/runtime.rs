//! A runtime's program with a state folder of the test's own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use crate::bundle::Bundle;
use crate::cgroups::CgroupParent;
use crate::container::Container;
use crate::output::{self, Output};
use crate::reaper;

/// Names another runtime's program, to prove a test against runc.
pub const RUNTIME_VARIABLE: &str = "BERTH_TEST_RUNTIME";

/// What a test's environment says that must not reach the runtime.
const FOREIGN_VARIABLES: [&str; 5] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "XDG_RUNTIME_DIR",
];

/// The runtime under test. Dropping it removes its containers and their cgroups.
pub struct Runtime {
    program: PathBuf,
    /// Flags before the command's name.
    globals: Vec<String>,
    dir: TempDir,
    cgroups: CgroupParent,
    user: Option<u32>,
    count: AtomicU32,
    /// The folders of bundles that containers were made of.
    bundles: Mutex<Vec<Arc<TempDir>>>,
}

impl Runtime {
    /// A runtime's program, or what [`RUNTIME_VARIABLE`] names instead. This process becomes a
    /// subreaper, as a shim is.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self::prepared(program.as_ref(), None)
    }

    /// The same, started as an unprivileged user with the group of the same number: the one that
    /// is given, or the test's own where that has no privilege itself.
    #[must_use]
    pub fn rootless(program: impl AsRef<OsStr>, user: u32) -> Self {
        let own = rustix::process::geteuid();
        let user = if own.is_root() { user } else { own.as_raw() };
        Self::prepared(program.as_ref(), Some(user))
    }

    fn prepared(program: &OsStr, user: Option<u32>) -> Self {
        reaper::become_subreaper();
        let dir = tempfile::Builder::new()
            .prefix("berth-runtime-")
            .tempdir()
            .expect("make the state folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .expect("open the state folder to everyone");
        if user.is_some() {
            std::os::unix::fs::chown(dir.path(), user, user).expect("give the folder away");
        }
        Self {
            program: std::env::var_os(RUNTIME_VARIABLE)
                .unwrap_or_else(|| program.to_owned())
                .into(),
            globals: Vec::new(),
            dir,
            cgroups: CgroupParent::new(),
            user,
            count: AtomicU32::new(0),
            bundles: Mutex::default(),
        }
    }

    /// The same with flags that come before each command's name, as `--systemd-cgroup` does.
    #[must_use]
    pub fn with_globals(mut self, flags: &[&str]) -> Self {
        self.globals = flags.iter().map(|&flag| flag.to_owned()).collect();
        self
    }

    /// Whether the program is not berth's, but one that the test is proved against.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.program
            .file_name()
            .is_none_or(|name| name != "berth-runtime")
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The state folder that `--root` names.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A path in the test's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The parent of the cgroups of its bundles.
    #[must_use]
    pub fn cgroups(&self) -> &CgroupParent {
        &self.cgroups
    }

    /// A new bundle with a cgroup of its own below the test's parent. Rootless ones get a user
    /// namespace that maps their user alone, belong to it, and say nothing of cgroups.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        let bundle = Bundle::new();
        match self.user {
            None => {
                let name = format!("c{}", self.next());
                bundle.set("/linux/cgroupsPath", self.cgroups.path(&name))
            }
            Some(user) => rootless(bundle, user),
        }
    }

    fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// A command with `--root` given, not started: standard input is empty, the rest is the
    /// caller's to direct.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(self.root())
            .args(&self.globals)
            .args(args);
        self.prepare(&mut command);
        command
    }

    /// The same through a shell: `script` sees the runtime's words as `"$@"`, so that it can open
    /// descriptors by number before `exec "$@"`.
    #[must_use]
    pub fn through_shell(&self, script: &str, args: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, "sh"])
            .arg(&self.program)
            .arg("--root")
            .arg(self.root())
            .args(&self.globals)
            .args(args);
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        for variable in FOREIGN_VARIABLES {
            command.env_remove(variable);
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
    }

    /// Runs a command to its end. Its streams are files, as nothing may wait for a container that
    /// inherited them.
    #[track_caller]
    pub fn finish(&self, command: &mut Command) -> Output {
        let name = format!("output-{}", self.next());
        self.finish_with(command, &name)
    }

    /// The same with `NAME.out` and `NAME.err` in the test's folder as streams.
    #[track_caller]
    fn finish_with(&self, command: &mut Command, name: &str) -> Output {
        let (out, err) = (self.stream(name, "out"), self.stream(name, "err"));
        command
            .stdout(self.open_stream(&out))
            .stderr(self.open_stream(&err));
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let code = output::finish(&mut child);
        Output {
            code,
            out: read(&out),
            err: read(&err),
        }
    }

    fn stream(&self, name: &str, extension: &str) -> PathBuf {
        self.path(&format!("{name}.{extension}"))
    }

    fn open_stream(&self, path: &Path) -> File {
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .expect("create a file for a stream");
        if let Some(user) = self.user {
            std::os::unix::fs::fchown(&file, Some(user), Some(user)).expect("give a file away");
        }
        file
    }

    /// Runs `PROGRAM --root ROOT ARGS...` to its end.
    #[track_caller]
    pub fn invoke<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        self.finish(&mut self.command(args))
    }

    /// `run ID`: to the end of the container, whose output is the command's.
    #[track_caller]
    pub fn run(&self, id: &str, bundle: &Bundle) -> Output {
        self.run_with(id, bundle, &[])
    }

    /// `run FLAGS ID`.
    #[track_caller]
    pub fn run_with(&self, id: &str, bundle: &Bundle, flags: &[&str]) -> Output {
        self.finish(&mut self.bundle_command("run", id, bundle, flags))
    }

    /// `create ID`. The container's streams are [`Runtime::stdout`] and [`Runtime::stderr`], as a
    /// shim's are the container's; so the runtime's own complaint is in the output's `err`.
    #[track_caller]
    pub fn create(&self, id: &str, bundle: &Bundle) -> Output {
        self.create_with(id, bundle, &[])
    }

    /// `create FLAGS ID`.
    #[track_caller]
    pub fn create_with(&self, id: &str, bundle: &Bundle, flags: &[&str]) -> Output {
        let mut command = self.bundle_command("create", id, bundle, flags);
        self.finish_with(&mut command, &format!("container-{id}"))
    }

    /// `VERB --bundle B FLAGS ID` with the configuration written, not started.
    #[must_use]
    pub fn bundle_command(&self, verb: &str, id: &str, bundle: &Bundle, flags: &[&str]) -> Command {
        bundle.write();
        self.bundles
            .lock()
            .expect("no test thread panics with it")
            .push(bundle.hold());
        let mut command = self.command(&[verb, "--bundle"]);
        command.arg(bundle.path()).args(flags).arg(id);
        command
    }

    /// Creates a container that must come into being.
    #[track_caller]
    pub fn created(&self, id: &str, bundle: &Bundle) -> Container<'_> {
        self.created_with(id, bundle, &[])
    }

    /// The same with flags.
    #[track_caller]
    pub fn created_with(&self, id: &str, bundle: &Bundle, flags: &[&str]) -> Container<'_> {
        drop(self.create_with(id, bundle, flags).ok());
        Container::new(self, id)
    }

    /// Creates and starts a container.
    #[track_caller]
    pub fn started(&self, id: &str, bundle: &Bundle) -> Container<'_> {
        let container = self.created(id, bundle);
        drop(self.start(id).ok());
        container
    }

    /// What the container has written to its standard output.
    #[must_use]
    pub fn stdout(&self, id: &str) -> String {
        read(&self.stream(&format!("container-{id}"), "out"))
    }

    /// What the container has written to its standard error.
    #[must_use]
    pub fn stderr(&self, id: &str) -> String {
        read(&self.stream(&format!("container-{id}"), "err"))
    }

    /// `start ID`.
    #[track_caller]
    pub fn start(&self, id: &str) -> Output {
        self.invoke(&["start", id])
    }

    /// `state ID`.
    #[track_caller]
    pub fn state(&self, id: &str) -> Output {
        self.invoke(&["state", id])
    }

    /// `kill ID SIGNAL`.
    #[track_caller]
    pub fn kill(&self, id: &str, signal: &str) -> Output {
        self.invoke(&["kill", id, signal])
    }

    /// `delete ID`.
    #[track_caller]
    pub fn delete(&self, id: &str) -> Output {
        self.invoke(&["delete", id])
    }

    /// `delete --force ID`.
    #[track_caller]
    pub fn delete_force(&self, id: &str) -> Output {
        self.invoke(&["delete", "--force", id])
    }

    /// `exec ID ARGS...`.
    #[track_caller]
    pub fn exec(&self, id: &str, args: &[&str]) -> Output {
        self.exec_with(id, &[], args)
    }

    /// `exec FLAGS ID ARGS...`.
    #[track_caller]
    pub fn exec_with(&self, id: &str, flags: &[&str], args: &[&str]) -> Output {
        let words: Vec<&str> = ["exec"]
            .iter()
            .chain(flags)
            .chain(&[id])
            .chain(args)
            .copied()
            .collect();
        self.invoke(&words)
    }

    /// The containers that `list` knows, as JSON.
    #[must_use]
    pub fn list(&self) -> Vec<Value> {
        let output = self.invoke(&["list", "--format", "json"]);
        match serde_json::from_str(&output.out) {
            Ok(Value::Array(containers)) => containers,
            _ => Vec::new(),
        }
    }

    /// What is left of containers: entries of the state folder and cgroups.
    #[must_use]
    pub fn left(&self) -> Vec<PathBuf> {
        let mut left: Vec<PathBuf> = fs::read_dir(self.root())
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect();
        left.extend(self.cgroups.below());
        left
    }

    /// Asserts that no container has left anything.
    ///
    /// # Panics
    /// One has.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let left = self.left();
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let entries = fs::read_dir(self.root()).into_iter().flatten().flatten();
        let ids: Vec<String> = entries
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let pids: Vec<i64> = if ids.is_empty() {
            Vec::new()
        } else {
            self.list()
                .iter()
                .filter_map(|container| container["pid"].as_i64())
                .collect()
        };
        for id in ids {
            self.delete_force(&id);
        }
        for pid in pids {
            reaper::reap_if_ended(i32::try_from(pid).unwrap_or(0));
        }
    }
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What `runc spec --rootless` does to a configuration.
fn rootless(bundle: Bundle, user: u32) -> Bundle {
    let mut bundle = bundle
        .owned_by(user)
        .namespace("user")
        .without_namespace("network")
        .without("/linux/resources")
        .set("/linux/uidMappings", crate::mapped_ids(user, 1))
        .set("/linux/gidMappings", crate::mapped_ids(user, 1));
    for mount in bundle.config["mounts"].as_array_mut().into_iter().flatten() {
        if mount["type"] == "sysfs" {
            *mount = serde_json::json!({"destination": "/sys", "type": "none", "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
        }
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|option| option != "gid=5");
        }
    }
    bundle
}

//! A bundle: a folder with a root file system and a configuration that a test bends to its need.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{rootfs, spec};

/// A temporary bundle. It goes away with the value, or with the [`crate::Runtime`] that made a
/// container of it.
pub struct Bundle {
    dir: Arc<TempDir>,
    /// What [`Bundle::write`] puts into `config.json`; edit it at will.
    pub config: Value,
}

impl Bundle {
    /// With busybox and [`crate::default_spec`], and nothing said of cgroups.
    /// [`crate::Runtime::bundle`] adds a cgroup of the test's own, which most tests want.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it writes to the disk")]
    pub fn new() -> Self {
        let bundle = Self::without_rootfs();
        rootfs::make(&bundle.rootfs());
        bundle
    }

    /// An empty folder with a configuration.
    #[must_use]
    pub fn without_rootfs() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("berth-bundle-")
            .tempdir()
            .expect("make the bundle's folder");
        // A mapped root user has to reach the root file system.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .expect("open the bundle's folder to everyone");
        Self {
            dir: Arc::new(dir),
            config: spec::default_spec(),
        }
    }

    /// Keeps the folder for as long as the value lives.
    pub(crate) fn hold(&self) -> Arc<TempDir> {
        Arc::clone(&self.dir)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The root file system's folder.
    #[must_use]
    pub fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    /// A path in the bundle, beside the root file system.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes `config.json`. The calls that create a container do it too.
    pub fn write(&self) {
        let text = serde_json::to_vec_pretty(&self.config).expect("serialise the configuration");
        fs::write(self.join("config.json"), text).expect("write config.json");
    }

    /// Sets the value at a JSON pointer (RFC 6901); objects on the way come into being.
    ///
    /// # Panics
    /// The way leads through something that has no such member.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        *place(&mut self.config, pointer) = value.into();
        self
    }

    /// Removes the member at a JSON pointer; it need not exist.
    #[must_use]
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with /");
        match self.config.pointer_mut(parent) {
            Some(Value::Object(members)) => drop(members.remove(name)),
            Some(Value::Array(items)) => drop(items.remove(name.parse().expect("an index"))),
            _ => {}
        }
        self
    }

    /// Appends to the list at a JSON pointer, which comes into being.
    #[must_use]
    pub fn push(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let list = place(&mut self.config, pointer);
        if list.is_null() {
            *list = json!([]);
        }
        list.as_array_mut()
            .expect("the pointer leads to a list")
            .push(value.into());
        self
    }

    /// The program and its arguments.
    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        self.set("/process/args", json!(args))
    }

    /// A shell script as the program.
    #[must_use]
    pub fn sh(self, script: &str) -> Self {
        self.args(&["/bin/sh", "-c", script])
    }

    /// A program that waits to be killed, and dies of SIGTERM although it is PID 1.
    #[must_use]
    pub fn sleeping(self) -> Self {
        self.sh("trap 'exit 0' TERM; while :; do sleep 0.05; done")
    }

    /// Asks for a terminal or for none.
    #[must_use]
    pub fn terminal(self, wanted: bool) -> Self {
        self.set("/process/terminal", wanted)
    }

    /// Adds a variable, as `NAME=value`.
    #[must_use]
    pub fn env(self, variable: &str) -> Self {
        self.push("/process/env", variable)
    }

    /// Adds a mount.
    #[must_use]
    pub fn mount(self, kind: &str, source: &str, destination: &str, options: &[&str]) -> Self {
        self.push(
            "/mounts",
            json!({"type": kind, "source": source, "destination": destination,
                   "options": options}),
        )
    }

    /// Binds a file or folder of the host.
    #[must_use]
    pub fn bind(self, source: &Path, destination: &str, options: &[&str]) -> Self {
        let source = source.to_str().expect("a path of UTF-8").to_owned();
        let options: Vec<&str> = ["bind"].iter().chain(options).copied().collect();
        self.mount("bind", &source, destination, &options)
    }

    /// Gives the container a namespace of its own of this type.
    #[must_use]
    pub fn namespace(self, kind: &str) -> Self {
        self.without_namespace(kind)
            .push("/linux/namespaces", json!({"type": kind}))
    }

    /// Puts the container into a namespace that exists.
    #[must_use]
    pub fn namespace_at(self, kind: &str, path: &str) -> Self {
        self.without_namespace(kind)
            .push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    /// Leaves the container in the runtime's namespace of this type.
    #[must_use]
    pub fn without_namespace(mut self, kind: &str) -> Self {
        if let Some(namespaces) = self.config["linux"]["namespaces"].as_array_mut() {
            namespaces.retain(|namespace| namespace["type"] != kind);
        }
        self
    }

    /// A user namespace with 65,536 ids of the host from `host` on, and a root file system that
    /// belongs to its root.
    #[must_use]
    pub fn user_namespace(mut self, host: u32) -> Self {
        spec::user_namespace(&mut self.config, host);
        self.owned_by(host)
    }

    /// Gives the folder and all below it to a user and the group of the same number.
    #[must_use]
    pub fn owned_by(self, id: u32) -> Self {
        own(self.path(), id);
        self
    }

    /// All capabilities that the caller itself has in its bounding set.
    #[must_use]
    pub fn all_capabilities(mut self) -> Self {
        let names = json!(capabilities_of_caller());
        for set in ["bounding", "effective", "permitted"] {
            self.config["process"]["capabilities"][set] = names.clone();
        }
        self
    }
}

/// The value at a pointer; what is missing on the way comes into being as objects.
fn place<'a>(root: &'a mut Value, pointer: &str) -> &'a mut Value {
    let mut at = root;
    for name in pointer.split('/').skip(1) {
        let name = name.replace("~1", "/").replace("~0", "~");
        at = match at {
            Value::Array(items) => {
                let index: usize = name.parse().expect("an index into a list");
                items.get_mut(index).expect("an index within the list")
            }
            other => &mut other[&name],
        };
    }
    at
}

fn own(path: &Path, id: u32) {
    std::os::unix::fs::lchown(path, Some(id), Some(id)).expect("change an owner");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("list a folder") {
            own(&entry.expect("list a folder").path(), id);
        }
    }
}

/// The names of the capabilities in the bounding set of this process.
fn capabilities_of_caller() -> Vec<&'static str> {
    const NAMES: [&str; 41] = [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_DAC_READ_SEARCH",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETPCAP",
        "CAP_LINUX_IMMUTABLE",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_BROADCAST",
        "CAP_NET_ADMIN",
        "CAP_NET_RAW",
        "CAP_IPC_LOCK",
        "CAP_IPC_OWNER",
        "CAP_SYS_MODULE",
        "CAP_SYS_RAWIO",
        "CAP_SYS_CHROOT",
        "CAP_SYS_PTRACE",
        "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN",
        "CAP_SYS_BOOT",
        "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE",
        "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG",
        "CAP_MKNOD",
        "CAP_LEASE",
        "CAP_AUDIT_WRITE",
        "CAP_AUDIT_CONTROL",
        "CAP_SETFCAP",
        "CAP_MAC_OVERRIDE",
        "CAP_MAC_ADMIN",
        "CAP_SYSLOG",
        "CAP_WAKE_ALARM",
        "CAP_BLOCK_SUSPEND",
        "CAP_AUDIT_READ",
        "CAP_PERFMON",
        "CAP_BPF",
        "CAP_CHECKPOINT_RESTORE",
    ];
    let status = fs::read_to_string("/proc/self/status").expect("read our own status");
    let bits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .expect("a line CapBnd");
    NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, name)| *name)
        .collect()
}

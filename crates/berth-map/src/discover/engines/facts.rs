//! What the search for containers knows of the host: processes, how PID namespaces nest, and
//! through which root a process sees its files.

use std::collections::BTreeMap;
use std::rc::Rc;

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use rustc_hash::FxHashMap;

use super::tree::{Nested, Tree};
use crate::attribute::containers_in_path;
use crate::discover::ProcRoot;
use crate::discover::proc_root::read_file;
use crate::model::{Host, Namespace, Process, decode_untrusted};

/// Command lines that are read; a host with more makers of namespaces keeps the rest as guesses.
const MAX_COMMANDS: usize = 1024;
/// Roots of engines in mount namespaces of their own that are looked at.
const MAX_TREES: usize = 64;

/// containerd's shims, cut to the 15 characters of a `comm`.
pub(super) const SHIM: &str = "containerd-shim";

/// What the process of an engine tells of the engine's places.
pub(super) struct Daemon {
    pub(super) arguments: Vec<String>,
    /// The folder a shim works in; empty for others.
    pub(super) folder: String,
}

/// The processes at hand, and what was read through them.
pub(super) struct Facts<'a> {
    pub(super) proc: &'a ProcRoot,
    /// By ascending PID.
    pub(super) processes: &'a [Process],
    host: &'a Host,
    parents: FxHashMap<NamespaceId, NamespaceId>,
    commands_left: usize,
    /// The host's own root; absent where no files are to be read.
    pub(super) root: Option<Rc<Tree>>,
    /// Roots in other mount namespaces, by mount and PID namespace.
    trees: BTreeMap<(NamespaceId, NamespaceId), Option<Rc<Tree>>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        proc: &'a ProcRoot,
        processes: &'a [Process],
        namespaces: &[Namespace],
        host: &'a Host,
        root: Option<Tree>,
    ) -> Self {
        let parents = namespaces.iter().filter_map(|n| Some((n.id, n.parent?)));
        let mut facts = Self {
            proc,
            processes,
            host,
            parents: parents.collect(),
            commands_left: MAX_COMMANDS,
            root: root.map(Rc::new),
            trees: BTreeMap::new(),
        };
        facts.infer_parents();
        facts
    }

    /// Fills in what the kernel did not tell: a PID 1 was forked from the PID namespace above.
    fn infer_parents(&mut self) {
        for init in self.processes.iter().filter(|p| p.is_namespace_init()) {
            let Some(id) = init.pid_namespace() else {
                continue;
            };
            if self.parents.contains_key(&id) {
                continue;
            }
            let above = self.parent(init).filter(|p| p.level() + 1 == init.level());
            if let Some(above) = above.and_then(Process::pid_namespace) {
                self.parents.insert(id, above);
            }
        }
    }

    /// The process with a PID on the host.
    pub(super) fn process(&self, pid: HostPid) -> Option<&'a Process> {
        let at = self.processes.binary_search_by_key(&pid, |p| p.pid).ok()?;
        self.processes.get(at)
    }

    /// The parent of a process.
    pub(super) fn parent(&self, process: &Process) -> Option<&'a Process> {
        self.process(process.parent?)
    }

    /// Whether a PID namespace is another, or below it.
    pub(super) fn is_below(&self, inner: NamespaceId, outer: NamespaceId) -> bool {
        let up = |id: &NamespaceId| self.parents.get(id).copied();
        let mut chain = std::iter::successors(Some(inner), up).take(64);
        chain.any(|id| id == outer)
    }

    /// The process that has a PID for whoever wrote files below a tree.
    pub(super) fn find(&self, tree: &Tree, pid: u32) -> Option<&'a Process> {
        let Some(nested) = tree.nested else {
            return self.process(HostPid::new(pid)?);
        };
        self.processes.iter().find(|process| {
            process.pids.get(nested.level) == Some(&pid)
                && process
                    .pid_namespace()
                    .is_some_and(|id| self.is_below(id, nested.pid_namespace))
        })
    }

    /// What a daemon tells of itself; `None` once too many were asked.
    pub(super) fn daemon(&mut self, process: &Process) -> Option<Daemon> {
        // A shim works in its container's folder, and is told no path that leads there.
        if process.comm == SHIM {
            self.commands_left = self.commands_left.checked_sub(1)?;
            let path = format!("{}/cwd", process.pid);
            let folder = rustix::fs::readlinkat(self.proc, path.as_str(), Vec::new()).ok()?;
            return Some(Daemon {
                arguments: Vec::new(),
                folder: decode_untrusted(folder.as_bytes()),
            });
        }
        Some(Daemon {
            arguments: self.arguments(process.pid)?,
            folder: String::new(),
        })
    }

    /// The arguments of a process; none once too many were read.
    pub(super) fn arguments(&mut self, pid: HostPid) -> Option<Vec<String>> {
        self.commands_left = self.commands_left.checked_sub(1)?;
        read_arguments(self.proc, pid)
    }

    /// The root through which a process sees its files: the host's, or that of its own mount
    /// namespace; `None` where what it wrote there is not to be believed.
    pub(super) fn tree_of(&mut self, process: &Process) -> Option<Rc<Tree>> {
        let mount = process.namespaces.of(NamespaceKind::Mnt)?;
        if Some(mount) == self.host.namespaces.of(NamespaceKind::Mnt) {
            return self.root.clone();
        }
        self.root.as_ref()?;
        let nested = Nested {
            pid_namespace: process.pid_namespace()?,
            level: process.level(),
            daemon: process.pid,
        };
        // Whoever counts as the host does may speak of any process: a container that shares the
        // host's PID namespace may not.
        if nested.level == 0 && !self.is_hosts_own(process) {
            return None;
        }
        let key = (mount, nested.pid_namespace);
        if !self.trees.contains_key(&key) && self.trees.len() >= MAX_TREES {
            return None;
        }
        let open = || Tree::of_process(self.proc, nested).map(Rc::new);
        self.trees.entry(key).or_insert_with(open).clone()
    }

    /// Whether a process with mounts of its own is a service of the host's: root there, and in no
    /// container by its cgroups.
    fn is_hosts_own(&self, process: &Process) -> bool {
        let user = NamespaceKind::User;
        let mut paths = process.cgroups.entries.iter().map(|e| e.path.as_str());
        process.uid == 0
            && process.namespaces.of(user).is_some()
            && process.namespaces.of(user) == self.host.namespaces.of(user)
            && paths.all(|path| containers_in_path(path).next().is_none())
    }
}

/// The arguments of a process; `None` when there are none. The process may have written them.
pub(super) fn read_arguments(proc: &ProcRoot, pid: HostPid) -> Option<Vec<String>> {
    let mut buffer = Vec::new();
    let path = format!("{pid}/cmdline");
    read_file(proc, path.as_str(), &mut buffer).ok()?;
    let text = buffer.trim_ascii_end();
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    if text.is_empty() {
        return None;
    }
    Some(
        text.split(|byte| *byte == 0)
            .map(decode_untrusted)
            .collect(),
    )
}

//! The processes of a container, found in /proc: for the list of survivors, and where no cgroup
//! can be asked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth_base::state::{NamespaceSource, RootSource, RunFile};
use berth_base::{HostPid, NamespaceKind};
use berth_runtime::Survivor;

use crate::cgroup;
use crate::process::{Process, identify};
use crate::{Container, EngineError};

/// The pause between two looks at what must die.
const PAUSE: Duration = Duration::from_millis(5);

/// How a container's processes are told from all others: any of these namespaces.
pub(crate) struct Marks {
    namespaces: Vec<Mark>,
    /// What the mounts of its processes name and those of others do not.
    mounts: MountMark,
}

/// A namespace that is the container's alone.
enum Mark {
    /// By a number that the kernel never gives out again.
    Unique(NamespaceKind, u64),
    /// By `KIND:[INODE]`, where the kernel has nothing better. The next namespace gets the inode
    /// as soon as this one is gone, so the mounts have to agree.
    Inode(NamespaceKind, String),
}

enum MountMark {
    /// A container's folder, in the path of its own layer, is called so.
    Folder(String),
    /// Its root is another than the caller's own, `DEVICE ROOT`: this folder of the host or one
    /// below, or the whole of a file system that was made for it.
    Root { own: String, folder: PathBuf },
}

impl Marks {
    /// Its mount namespace, which no container shares, and of the others those that it made.
    pub(crate) fn of(container: &Container, run: &RunFile) -> Self {
        let own = |kind: NamespaceKind| match kind {
            NamespaceKind::Mnt => true,
            NamespaceKind::Pid => run.own_pid_namespace,
            // Others may live in a user namespace; who lives in it alone, made it.
            NamespaceKind::User => {
                container.create.namespaces.get(&kind) == Some(&NamespaceSource::Private)
            }
            _ => false,
        };
        let namespaces = run
            .namespaces
            .iter()
            .filter(|id| own(id.kind))
            .map(|id| match run.namespace_ids.get(&id.kind) {
                Some(number) => Mark::Unique(id.kind, *number),
                None => Mark::Inode(id.kind, id.to_string()),
            })
            .collect();
        let mounts = match &container.create.root {
            RootSource::Layers { .. } => MountMark::Folder(container.id.to_string()),
            RootSource::Directory { path, .. } => MountMark::Root {
                own: own_root(),
                folder: path.clone(),
            },
            RootSource::Host => MountMark::Root {
                own: own_root(),
                folder: PathBuf::new(),
            },
        };
        Self { namespaces, mounts }
    }

    /// Whether a process has one of the marks. One whose namespaces cannot be read has none.
    fn fit(&self, pid: HostPid) -> bool {
        self.namespaces.iter().any(|mark| match mark {
            Mark::Unique(kind, number) => {
                berth_runtime::unique_namespace(pid, *kind) == Some(*number)
            }
            Mark::Inode(kind, link) => {
                fs::read_link(format!("/proc/{pid}/ns/{}", kind.as_str()))
                    .is_ok_and(|found| found.as_os_str() == link.as_str())
                    // One of a PID namespace of its own is only asked for while it lives, and
                    // shows no mounts any more when it dies.
                    && (*kind == NamespaceKind::Pid || self.mounts.fit(pid))
            }
        })
    }
}

impl MountMark {
    fn fit(&self, pid: HostPid) -> bool {
        fs::read(format!("/proc/{pid}/mountinfo"))
            .is_ok_and(|list| self.is_in(&String::from_utf8_lossy(&list)))
    }

    /// Whether a mountinfo (proc_pid_mountinfo(5)) is one of the container's.
    fn is_in(&self, list: &str) -> bool {
        match self {
            Self::Folder(id) => list.contains(id.as_str()),
            Self::Root { own, folder } => root_mount(list).is_some_and(|(device, root)| {
                format!("{device} {root}") != *own && (root == "/" || is_end_of(root, folder))
            }),
        }
    }
}

/// Device and root of what is mounted on `/`, the last one of such.
fn root_mount(list: &str) -> Option<(&str, &str)> {
    list.lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(2);
            let (device, root, point) = (fields.next()?, fields.next()?, fields.next()?);
            (point == "/").then_some((device, root))
        })
        .next_back()
}

fn own_root() -> String {
    let list = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (device, root) = root_mount(&list).unwrap_or_default();
    format!("{device} {root}")
}

/// Whether a path within a file system may be that of a folder of the host: the mount point of
/// the file system comes before it. The kernel writes some characters as octal numbers.
fn is_end_of(root: &str, folder: &Path) -> bool {
    let mut escaped = String::new();
    for c in folder.to_string_lossy().chars() {
        match c {
            ' ' => escaped.push_str("\\040"),
            '\t' => escaped.push_str("\\011"),
            '\n' => escaped.push_str("\\012"),
            '\\' => escaped.push_str("\\134"),
            other => escaped.push(other),
        }
    }
    escaped.ends_with(root)
}

/// Every process with one of the marks, zombies as far as their links can still be read.
pub(crate) fn marked(marks: &Marks) -> BTreeSet<HostPid> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(HostPid::new)
        .filter(|pid| marks.fit(*pid))
        .collect()
}

/// Kills every marked process until two looks find none alive, and says whether that was reached
/// by the deadline. For a caller that may make no cgroup and shares the host's PID namespace.
pub(crate) fn kill_marked(marks: &Marks, deadline: Instant) -> Result<bool, EngineError> {
    let mut quiet = 0;
    loop {
        let mut found = false;
        for pid in marked(marks) {
            // Open first, look again after: the PID may have changed hands in between.
            let process = identify(pid).and_then(|identity| Process::open(&identity));
            let Some(process) = process.filter(|_| marks.fit(pid)) else {
                continue;
            };
            found = true;
            process
                .signal(9)
                .map_err(|e| crate::cannot_signal(9, pid, e))?;
        }
        quiet = if found { 0 } else { quiet + 1 };
        if quiet == 2 {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What is left of a container: everything with its marks and everything in its cgroups, each
/// with who could be holding it.
pub(crate) fn survivors(container: &Container, run: &RunFile) -> Vec<Survivor> {
    let mut pids = marked(&Marks::of(container, run));
    pids.extend(cgroup::of_run(run).processes().unwrap_or_default());
    pids.into_iter().filter_map(Survivor::look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_tell_a_container_from_others() {
        let own = "254:0 /".to_owned();
        let image = MountMark::Folder("3e0062".to_owned());
        let in_layers =
            "70 43 0:41 / / rw - overlay overlay rw,upperdir=/f/containers/3e0062/upper";
        let host = "20 1 254:0 / / rw - ext4 /dev/vda rw";
        assert!(image.is_in(in_layers));
        assert!(!image.is_in(host));
        let built_in = MountMark::Root {
            own: own.clone(),
            folder: PathBuf::new(),
        };
        assert!(built_in.is_in("67 43 0:41 / / rw,nodev - tmpfs tmpfs rw"));
        assert!(!built_in.is_in(host));
        let folder = MountMark::Root {
            own,
            folder: "/home/tess/my root".into(),
        };
        assert!(folder.is_in("67 43 254:0 /home/tess/my\\040root / rw - ext4 /dev/vda rw"));
        assert!(folder.is_in("67 43 254:3 /tess/my\\040root / rw - ext4 /dev/vdb rw"));
        assert!(!folder.is_in("67 43 254:0 /home/tess/other / rw - ext4 /dev/vda rw"));
        assert!(!folder.is_in(&format!(
            "{host}\n68 20 254:0 /home / rw - ext4 /dev/vda rw"
        )));
    }
}

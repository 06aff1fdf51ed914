//! Cgroups of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;

use crate::output::PATIENCE;
use crate::reaper;

/// A cgroup file system that is mounted.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    /// Where.
    pub mount_point: PathBuf,
    /// The v1 controllers, or `name=...`; empty for v2.
    pub controllers: Vec<String>,
    /// The mount's root inside the hierarchy; `/` outside of cgroup namespaces.
    pub root: PathBuf,
}

impl Hierarchy {
    /// Whether it is the v2 hierarchy.
    #[must_use]
    pub fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Whether it carries a controller: by its mount for v1, by `cgroup.controllers` for v2.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        if self.is_v2() {
            let list = fs::read_to_string(self.mount_point.join("cgroup.controllers"));
            return list.is_ok_and(|list| list.split_whitespace().any(|word| word == controller));
        }
        self.controllers.iter().any(|name| name == controller)
    }
}

/// The hierarchies that this process sees.
#[must_use]
pub fn hierarchies() -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read our own mountinfo");
    mounts
        .lines()
        .filter_map(|line| {
            let (mount, rest) = line.split_once(" - ")?;
            let mut fields = mount.split(' ').skip(3);
            let (root, mount_point) = (fields.next()?, fields.next()?);
            let mut rest = rest.split(' ');
            let controllers = match rest.next()? {
                "cgroup2" => Vec::new(),
                "cgroup" => rest
                    .nth(1)?
                    .split(',')
                    .filter(|option| !matches!(*option, "rw" | "ro"))
                    .map(str::to_owned)
                    .collect(),
                _ => return None,
            };
            Some(Hierarchy {
                mount_point: mount_point.into(),
                controllers,
                root: root.into(),
            })
        })
        .collect()
}

/// A name below the root of every hierarchy that no other test uses. What is below it when the
/// value goes away is the test's own by construction: its processes are killed, its folders
/// removed.
pub struct CgroupParent {
    name: String,
}

impl CgroupParent {
    /// A fresh name; nothing is made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("berth-oci-{}-{count}", std::process::id()),
        }
    }

    /// A `cgroupsPath` below it.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        format!("/{}/{name}", self.name)
    }

    /// Where a `cgroupsPath` lies in the hierarchy that has a controller; of two, the v1 one.
    #[must_use]
    pub fn folder(controller: &str, cgroups_path: &str) -> Option<PathBuf> {
        let mut hierarchies = hierarchies();
        hierarchies.sort_by_key(Hierarchy::is_v2);
        let hierarchy = hierarchies.into_iter().find(|h| h.has(controller))?;
        let path = hierarchy
            .mount_point
            .join(cgroups_path.trim_start_matches('/'));
        path.exists().then_some(path)
    }

    /// The folders of this parent that exist, one for a hierarchy.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        hierarchies()
            .iter()
            .map(|hierarchy| hierarchy.mount_point.join(&self.name))
            .filter(|folder| folder.exists())
            .collect()
    }

    /// The cgroups below this parent that exist, in every hierarchy.
    #[must_use]
    pub fn below(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in self.folders() {
            descend(&folder, &mut found);
            found.retain(|path| *path != folder);
        }
        found
    }
}

impl Drop for CgroupParent {
    fn drop(&mut self) {
        for folder in self.folders() {
            let mut cgroups = Vec::new();
            descend(&folder, &mut cgroups);
            for cgroup in &cgroups {
                thaw(cgroup);
                end_processes(cgroup);
            }
            // The deepest come last.
            for cgroup in cgroups.iter().rev() {
                drop(fs::remove_dir(cgroup));
            }
        }
    }
}

fn descend(cgroup: &Path, found: &mut Vec<PathBuf>) {
    found.push(cgroup.to_path_buf());
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            descend(&entry.path(), found);
        }
    }
}

fn thaw(cgroup: &Path) {
    drop(fs::write(cgroup.join("freezer.state"), "THAWED"));
    drop(fs::write(cgroup.join("cgroup.freeze"), "0"));
}

/// Kills what a failed test left in a cgroup of its own, and waits until it is gone.
fn end_processes(cgroup: &Path) {
    let end = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < end {
        let list = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        let pids: Vec<i32> = list.lines().filter_map(|pid| pid.parse().ok()).collect();
        if pids.is_empty() {
            return;
        }
        for pid in pids {
            reaper::kill(pid, Signal::KILL);
            reaper::reap_if_ended(pid);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

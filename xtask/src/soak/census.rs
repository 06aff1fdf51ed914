//! What the host holds: mounts, cgroups, processes, namespaces, open files.
//!
//! Mounts, cgroups and processes are named one by one. Namespaces and open files are counted, since
//! the kernel lists no namespace that only a leaked reference keeps alive: /proc/slabinfo has the
//! objects of a kind (slabinfo(5)), /proc/sys/fs/file-nr the open files (proc_sys_fs(5)),
//! /proc/loadavg the tasks (proc_loadavg(5)). These counts lag behind and include what others do, so
//! only a growth in step with the starts counts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// Kinds of kernel objects that every container makes.
const SLABS: [&str; 4] = [
    "net_namespace",
    "pid_namespace",
    "uts_namespace",
    "mnt_cache",
];

/// Growth up to this says nothing: the kernel frees slabs late and by the page. Below the 114 starts
/// of CI's share, so that one object left by each start is found there too.
const NOISE: usize = 100;

/// The host at one moment.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// The cgroup of whose children each is ours.
    parent: String,
    named: BTreeSet<String>,
    counted: Vec<(&'static str, usize)>,
}

impl Census {
    /// Looks at the host now. What is in a child of the cgroup `parent`, wherever that is, is ours.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub(super) fn take(parent: &str) -> Outcome<Self> {
        let mounts = read("/proc/self/mountinfo")?;
        let mut named: BTreeSet<String> =
            mounts.lines().map(|line| format!("mount {line}")).collect();
        for point in mounts.lines().filter_map(cgroup_point) {
            let mut found = Vec::new();
            children_of(parent, &point, &mut found);
            named.extend(
                found
                    .iter()
                    .map(|path| format!("cgroup {}", path.display())),
            );
        }
        named.extend(processes_of_berth(parent)?);
        for kind in SLABS {
            give_back(kind);
        }
        let slabs = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
        let mut counted: Vec<_> = SLABS
            .iter()
            .filter_map(|kind| Some((*kind, active(&slabs, kind)?)))
            .collect();
        let files = read("/proc/sys/fs/file-nr")?;
        counted.extend(
            files
                .split_whitespace()
                .next()
                .and_then(|n| Some(("files", n.parse().ok()?))),
        );
        let load = read("/proc/loadavg")?;
        counted.extend(tasks(&load).map(|number| ("tasks", number)));
        Ok(Self {
            parent: parent.to_owned(),
            named,
            counted,
        })
    }

    /// Looks at the host again, in the same way.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub(super) fn again(&self) -> Outcome<Self> {
        Self::take(&self.parent)
    }

    /// The counts beside those of `before`, for a person.
    pub(super) fn compared(&self, before: &Self) -> String {
        let counts: Vec<String> = self
            .counted
            .iter()
            .map(|(kind, now)| format!("{kind} {} -> {now}", before.count(kind)))
            .collect();
        counts.join(", ")
    }

    fn count(&self, kind: &str) -> usize {
        self.counted
            .iter()
            .find(|(other, _)| *other == kind)
            .map_or(0, |(_, number)| *number)
    }

    /// What is here and was not `before`, as lines for a person.
    pub(super) fn beyond(&self, before: &Self, starts: usize) -> Vec<String> {
        let mut lines: Vec<String> = self.named.difference(&before.named).cloned().collect();
        let allowed = (starts / 4).max(NOISE);
        for (kind, now) in &self.counted {
            let was = before.count(kind);
            if now.saturating_sub(was) > allowed {
                lines.push(format!("{kind}: {was} before, {now} after"));
            }
        }
        lines
    }
}

/// Makes the kernel give back what it keeps of a slab for each processor, which slabinfo counts as
/// in use: `shrink` of Documentation/ABI/testing/sysfs-kernel-slab. Changes nothing else.
fn give_back(kind: &str) {
    let path = format!("/sys/kernel/slab/{kind}/shrink");
    if fs::write(path, "1").is_err() {
        // A kernel without slab debugging files; the count is only coarser then.
    }
}

fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| Failure::file("read", Path::new(path), &error))
}

/// The mount point of a hierarchy of either version.
fn cgroup_point(line: &str) -> Option<PathBuf> {
    (line.contains(" - cgroup ") || line.contains(" - cgroup2 "))
        .then(|| line.split(' ').nth(4).map(PathBuf::from))?
}

/// Where hierarchies of either version are mounted.
///
/// # Errors
/// /proc cannot be read.
pub(crate) fn cgroup_points() -> Outcome<Vec<PathBuf>> {
    let mounts = read("/proc/self/mountinfo")?;
    Ok(mounts.lines().filter_map(cgroup_point).collect())
}

/// Folders whose parent has this name, at any depth.
fn children_of(parent: &str, folder: &Path, found: &mut Vec<PathBuf>) {
    // A cgroup can end while we look.
    for path in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if path.is_dir() && !path.is_symlink() {
            if folder.ends_with(parent) {
                found.push(path.clone());
            }
            children_of(parent, &path, found);
        }
    }
}

/// Processes that run our binaries or sit in our cgroups, zombies included.
fn processes_of_berth(parent: &str) -> Outcome<Vec<String>> {
    let folder = Path::new("/proc");
    let entries = fs::read_dir(folder).map_err(|error| Failure::file("list", folder, &error))?;
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        // A process can end while we look.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else {
            continue;
        };
        let cgroups = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        found.extend(describe(&stat, &cgroups, parent));
    }
    Ok(found)
}

/// A line for a process of ours: identified by PID and start time, field 22 of proc_pid_stat(5).
fn describe(stat: &str, cgroups: &str, parent_cgroup: &str) -> Option<String> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let below = format!("/{parent_cgroup}/");
    if !name.starts_with("berth") && !cgroups.lines().any(|line| line.contains(&below)) {
        return None;
    }
    let (state, parent, started) = (fields.first()?, fields.get(1)?, fields.get(19)?);
    Some(format!(
        "process {pid} {name}, state {state}, parent {parent}, started {started}"
    ))
}

/// All tasks of the host: what follows the slash in the fourth field.
fn tasks(load: &str) -> Option<usize> {
    let (_, all) = load.split_whitespace().nth(3)?.split_once('/')?;
    all.parse().ok()
}

/// Active objects of a slab: the second column.
fn active(slabs: &str, kind: &str) -> Option<usize> {
    let line = slabs
        .lines()
        .find(|line| line.split(' ').next() == Some(kind))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_named_and_what_grows_is_counted() {
        let census = |named: &[&str], files| Census {
            parent: "berth".to_owned(),
            named: named.iter().map(|name| (*name).to_owned()).collect(),
            counted: vec![("files", files)],
        };
        let before = census(&["mount a", "mount b"], 100);
        assert!(census(&["mount a"], 200).beyond(&before, 50).is_empty());
        assert_eq!(
            census(&["mount a", "mount c"], 90).beyond(&before, 50),
            ["mount c"]
        );
        assert_eq!(
            census(&[], 400).beyond(&before, 1000),
            ["files: 100 before, 400 after"]
        );
    }

    #[test]
    fn processes_of_ours_are_known_by_name_or_cgroup() {
        let stat = |name| format!("7 ({name}) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0");
        let line = "process 7 berth (x), state Z, parent 1, started 99";
        assert_eq!(
            describe(&stat("berth (x)"), "", "berth").as_deref(),
            Some(line)
        );
        assert_eq!(
            describe(&stat("sleep"), "1:cpu:/\n0::/user\n", "berth"),
            None
        );
        let cgroups = "4:memory:/berth/ab12\n0::/\n";
        assert!(describe(&stat("sleep"), cgroups, "berth").is_some());
        assert_eq!(describe(&stat("sleep"), cgroups, "berth-soak-7"), None);
    }

    #[test]
    fn tasks_are_those_of_the_host() {
        assert_eq!(tasks("2.03 1.98 1.60 3/181 15031\n"), Some(181));
        assert_eq!(tasks(""), None);
    }

    #[test]
    fn slabs_are_found_by_their_whole_name() {
        let slabs = "pid_namespace_x 9 9\npid_namespace         46     50    344\n";
        assert_eq!(active(slabs, "pid_namespace"), Some(46));
        assert_eq!(active(slabs, "net_namespace"), None);
    }
}

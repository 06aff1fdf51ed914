//! State and use of the cgroups that processes are in: freezer, PIDs, memory; v1, v2 and hybrid.
//!
//! The folder of a cgroup is found from the mounts that we see, and opened below the mount,
//! following no link and no `..`: the path may have been chosen inside a container.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::Reading;
use super::mountinfo::{self, Row};
use crate::discover::proc_root::{open_dir, read_file};
use crate::model::{CgroupEntry, CgroupSet, CgroupUsage};

/// Reads them for every set of cgroups that a process is in.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let mut text = Vec::new();
    read_file(reading.proc, c"thread-self/mountinfo", &mut text).map_err(|error| {
        format!(
            "cannot read our own mounts: {}",
            std::io::Error::from(error)
        )
    })?;
    let mut hierarchies = Hierarchies::new(&mountinfo::parse_rows(&text));
    if hierarchies.0.is_empty() {
        return Err("no cgroup hierarchy is mounted where we could see it".to_owned());
    }
    let live = reading.scan.processes.iter().filter(|p| !p.is_zombie());
    let sets: HashSet<&Arc<CgroupSet>> = live.map(|p| &p.cgroups).collect();
    for set in sets {
        let usage = hierarchies.usage(set);
        reading.details.usage.insert(Arc::clone(set), usage);
    }
    Ok(())
}

/// What one cgroup tells, and those above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Facts {
    frozen: Option<bool>,
    pids: Option<u64>,
    /// The least of the limits here and above.
    pids_max: Option<u64>,
    /// The least room left below any of these limits.
    pids_left: Option<u64>,
    memory_bytes: Option<u64>,
    memory_max_bytes: Option<u64>,
}

/// One mounted hierarchy.
struct Hierarchy {
    /// Its controllers; empty for v2.
    controllers: Vec<String>,
    /// Which cgroup is at the mount point.
    root: String,
    dir: OwnedFd,
    /// What cgroups told, by path below the mount point.
    known: BTreeMap<String, Facts>,
}

/// The hierarchies that are mounted.
struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    fn new(rows: &[Row]) -> Self {
        let open = |row: &Row| {
            let mount = &row.mount;
            let controllers = match mount.kind.as_str() {
                "cgroup2" => Vec::new(),
                "cgroup" => controllers_of(&row.shared_options)?,
                _ => return None,
            };
            Some(Hierarchy {
                controllers,
                root: mount.root.clone(),
                dir: open_dir(CWD, Path::new(&mount.point)).ok()?,
                known: BTreeMap::new(),
            })
        };
        Self(rows.iter().filter_map(open).collect())
    }

    /// Puts together what all hierarchies tell of a set.
    fn usage(&mut self, set: &CgroupSet) -> CgroupUsage {
        let mut usage = CgroupUsage::default();
        for entry in &set.entries {
            let Some(facts) = self.facts(entry) else {
                continue;
            };
            usage.frozen = match (usage.frozen, facts.frozen) {
                (Some(one), Some(other)) => Some(one || other),
                (one, other) => one.or(other),
            };
            usage.pids = usage.pids.or(facts.pids);
            usage.pids_max = usage.pids_max.or(facts.pids_max);
            usage.pids_left = usage.pids_left.or(facts.pids_left);
            usage.memory_bytes = usage.memory_bytes.or(facts.memory_bytes);
            usage.memory_max_bytes = usage.memory_max_bytes.or(facts.memory_max_bytes);
        }
        usage
    }

    /// What the cgroup of one entry of `/proc/PID/cgroup` tells, through a mount that shows it.
    fn facts(&mut self, entry: &CgroupEntry) -> Option<Facts> {
        let wanted: Vec<&str> = entry.controllers.split(',').collect();
        let matches = |hierarchy: &Hierarchy| {
            if entry.hierarchy == 0 {
                hierarchy.controllers.is_empty()
            } else {
                let mut all = hierarchy.controllers.iter();
                all.any(|c| wanted.contains(&c.as_str()))
            }
        };
        let mut mounted = self.0.iter_mut().filter(|h| matches(h));
        mounted.find_map(|h| Some(h.facts(&below(&entry.path, &h.root)?)))
    }
}

/// The controllers of a v1 hierarchy that we read files of, from its options.
fn controllers_of(options: &str) -> Option<Vec<String>> {
    let wanted = ["freezer", "pids", "memory"];
    let found: Vec<String> = options
        .split(',')
        .filter(|option| wanted.contains(option))
        .map(str::to_owned)
        .collect();
    (!found.is_empty()).then_some(found)
}

/// A cgroup's path below the cgroup that is at a mount point; `None` when it is elsewhere, or is
/// no path that can be looked up (a name that is not UTF-8, a cgroup outside of our namespace).
fn below(path: &str, root: &str) -> Option<String> {
    let rest = if root == "/" {
        path
    } else {
        let rest = path.strip_prefix(root)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)?
    };
    let rest = rest.trim_matches('/');
    let plain = !rest.contains('\\') && rest.split('/').all(|name| name != "..");
    plain.then(|| rest.to_owned())
}

impl Hierarchy {
    /// What a cgroup tells, those above it included.
    fn facts(&mut self, path: &str) -> Facts {
        if let Some(facts) = self.known.get(path) {
            return *facts;
        }
        let above = if path.is_empty() {
            Facts::default()
        } else {
            self.facts(path.rsplit_once('/').map_or("", |(parent, _)| parent))
        };
        let facts = self.read(path, &above);
        self.known.insert(path.to_owned(), facts);
        facts
    }

    /// Reads the files of one cgroup. The one at the top of a hierarchy has hardly any.
    fn read(&self, path: &str, above: &Facts) -> Facts {
        let Some(dir) = self.open(path) else {
            return Facts::default();
        };
        let mut buffer = Vec::new();
        let mut text = |name: &str| {
            read_file(&dir, name, &mut buffer).ok()?;
            let text = std::str::from_utf8(&buffer).ok()?;
            Some(text.trim_ascii_end().to_owned())
        };
        let v2 = self.controllers.is_empty();
        let has = |name: &str| v2 || self.controllers.iter().any(|c| c == name);
        let mut facts = Facts::default();
        if v2 {
            let events = text("cgroup.events");
            facts.frozen = Some(events.is_some_and(|e| e.lines().any(|l| l == "frozen 1")));
        } else if has("freezer") {
            // With FROZEN all tasks have stopped, by this cgroup's word or by one above.
            facts.frozen = Some(text("freezer.state").is_some_and(|state| state == "FROZEN"));
        }
        if has("pids") {
            facts.pids = text("pids.current").and_then(|t| t.parse().ok());
            let limit = text("pids.max").and_then(|t| parse_limit(&t));
            let left = limit
                .zip(facts.pids)
                .map(|(max, now)| max.saturating_sub(now));
            facts.pids_max = least(limit, above.pids_max);
            facts.pids_left = least(left, above.pids_left);
        }
        if has("memory") {
            let (now, max) = if v2 {
                ("memory.current", "memory.max")
            } else {
                ("memory.usage_in_bytes", "memory.limit_in_bytes")
            };
            facts.memory_bytes = text(now).and_then(|t| t.parse().ok());
            let limit = text(max).and_then(|t| parse_limit(&t));
            facts.memory_max_bytes = least(limit, above.memory_max_bytes);
        }
        facts
    }

    fn open(&self, path: &str) -> Option<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(&self.dir, path, flags, Mode::empty(), resolve).ok()
    }
}

/// A limit; `max`, and v1's largest number of pages, are none.
fn parse_limit(text: &str) -> Option<u64> {
    /// PAGE_COUNTER_MAX in bytes, whatever the size of a page up to 64 KiB.
    const UNLIMITED: u64 = 0x7fff_ffff_ffff_0000;
    text.parse().ok().filter(|limit| *limit < UNLIMITED)
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_the_mount_are_looked_up() {
        assert_eq!(below("/a/b", "/").as_deref(), Some("a/b"));
        assert_eq!(below("/", "/").as_deref(), Some(""));
        assert_eq!(below("/a/b", "/a").as_deref(), Some("b"));
        assert_eq!(below("/a", "/a").as_deref(), Some(""));
        for (path, root) in [
            ("/ab", "/a"),
            ("/../x", "/"),
            ("/a/../../x", "/"),
            ("/\\xff", "/"),
        ] {
            assert_eq!(below(path, root), None);
        }
    }

    #[test]
    fn no_limit_is_none_in_both_versions() {
        assert_eq!(parse_limit("max"), None);
        assert_eq!(parse_limit("9223372036854771712"), None);
        assert_eq!(parse_limit("512"), Some(512));
        assert_eq!(least(Some(3), None), Some(3));
        assert_eq!(least(Some(3), Some(2)), Some(2));
    }
}

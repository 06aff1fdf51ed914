//! What a plan needs to know of this host, gathered once before planning.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use berth_base::state::{CgroupPaths, RootSource};
use oci_spec::runtime::Spec;

/// The host as a plan sees it. Plain data, so that a plan can be tested without a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Whether the stage may use the host's mounts, ids and cgroups (root of the host).
    pub privileged: bool,
    /// Capabilities in the caller's bounding set, as bits.
    pub bounding: u64,
    /// Whether an overlay with its upper layer on a tmpfs works for the container's root.
    pub overlay_in_memory: bool,
    /// The host's system folders and links, for the `host` image.
    pub system: Vec<SystemEntry>,
    /// Topmost mounts below what is overlaid.
    pub submounts: Vec<Submount>,
    /// What the `host` image hides below /etc.
    pub secrets: Vec<Secret>,
    /// Sources of bind mounts: whether each is a directory; absent when it does not exist.
    pub sources: BTreeMap<PathBuf, bool>,
    /// The host's uid and gid behind root of a user namespace that the container joins.
    pub joined_root: Option<(u32, u32)>,
    /// The container's cgroup directories, once made; they become its /sys/fs/cgroup.
    pub cgroups: CgroupPaths,
}

/// One entry of the host's root that the `host` image shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemEntry {
    /// A symbolic link such as /bin.
    Link {
        /// Name below `/`.
        name: String,
        /// Where it points.
        target: PathBuf,
    },
    /// A folder such as /usr.
    Folder {
        /// Name below `/`.
        name: String,
    },
}

/// A mount below an overlaid folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submount {
    /// Its mount point.
    pub path: PathBuf,
    /// Whether it is a directory (else a file).
    pub is_directory: bool,
}

/// A file or folder of /etc that containers must not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Absolute path.
    pub path: PathBuf,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// Names below `/` that the `host` image takes from the host.
const SYSTEM_NAMES: [&str; 9] = [
    "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt",
];

/// Secrets of /etc at fixed places; ssh host keys are found by name.
const SECRETS: [&str; 5] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/ssl/private",
];

impl HostFacts {
    /// Looks at this host, as far as `spec` and `root` need it.
    pub fn gather(
        spec: &Spec,
        root: &RootSource,
        mountinfo: &str,
        cgroups: CgroupPaths,
    ) -> io::Result<Self> {
        let privileged = is_privileged()?;
        let mut facts = Self {
            privileged,
            bounding: bounding_set()?,
            overlay_in_memory: privileged,
            joined_root: joined_root(spec),
            cgroups: if privileged {
                cgroups
            } else {
                CgroupPaths::default()
            },
            ..Self::default()
        };
        match root {
            RootSource::Host => {
                facts.system = system_entries();
                facts.secrets = secrets();
                if facts.overlay_in_memory {
                    let folders = facts.system.iter().filter_map(SystemEntry::folder);
                    facts.submounts = topmost_mounts(mountinfo, folders);
                }
            }
            RootSource::Directory { path, .. } => {
                facts.submounts = topmost_mounts(mountinfo, std::iter::once(path.clone()));
            }
        }
        for mount in spec.mounts().iter().flatten() {
            if let Some(source) = mount.source()
                && let Ok(metadata) = fs::metadata(source)
            {
                facts.sources.insert(source.clone(), metadata.is_dir());
            }
        }
        Ok(facts)
    }
}

impl SystemEntry {
    /// The absolute path of a folder entry.
    fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Folder { name } => Some(Path::new("/").join(name)),
            Self::Link { .. } => None,
        }
    }
}

/// Reads the mappings of a user namespace that the spec joins as /proc/PID/ns/user.
fn joined_root(spec: &Spec) -> Option<(u32, u32)> {
    let namespaces = spec.linux().as_ref()?.namespaces().as_ref()?;
    let user = namespaces
        .iter()
        .find(|n| n.typ() == oci_spec::runtime::LinuxNamespaceType::User)?;
    let process = user.path().as_ref()?.parent()?.parent()?;
    let host_id_of_root = |file: &str| {
        let map = fs::read_to_string(process.join(file)).ok()?;
        map.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            (fields.next()? == "0").then(|| fields.next()?.parse().ok())?
        })
    };
    Some((host_id_of_root("uid_map")?, host_id_of_root("gid_map")?))
}

/// Whether this process is root of the host's user namespace with CAP_SYS_ADMIN.
fn is_privileged() -> io::Result<bool> {
    let initial = fs::read_to_string("/proc/self/uid_map")?;
    let whole = initial.split_whitespace().eq(["0", "0", "4294967295"]);
    let sets = rustix::thread::capabilities(None)?;
    Ok(whole
        && sets
            .effective
            .contains(rustix::thread::CapabilitySet::SYS_ADMIN))
}

/// CapBnd of this process.
fn bounding_set() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let hex = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap_or("0");
    u64::from_str_radix(hex.trim(), 16).map_err(io::Error::other)
}

fn system_entries() -> Vec<SystemEntry> {
    let mut entries = Vec::new();
    for name in SYSTEM_NAMES {
        let path = Path::new("/").join(name);
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        let name = name.to_owned();
        if metadata.is_symlink() {
            if let Ok(target) = fs::read_link(&path) {
                entries.push(SystemEntry::Link { name, target });
            }
        } else if metadata.is_dir() {
            entries.push(SystemEntry::Folder { name });
        }
    }
    entries
}

fn secrets() -> Vec<Secret> {
    let mut paths: Vec<PathBuf> = SECRETS.iter().map(PathBuf::from).collect();
    for entry in fs::read_dir("/etc/ssh").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("ssh_host_") && !name.ends_with(".pub") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| {
            let is_directory = fs::metadata(&path).ok()?.is_dir();
            Some(Secret { path, is_directory })
        })
        .collect()
}

/// Mounts strictly below the folders that have no other such mount above them.
fn topmost_mounts(mountinfo: &str, folders: impl Iterator<Item = PathBuf>) -> Vec<Submount> {
    let folders: Vec<PathBuf> = folders.collect();
    let mut points: Vec<PathBuf> = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)))
        .filter(|point| {
            folders
                .iter()
                .any(|folder| point != folder && point.starts_with(folder))
        })
        .collect();
    points.sort();
    points.dedup();
    let mut topmost: Vec<Submount> = Vec::new();
    for path in points {
        if topmost
            .last()
            .is_none_or(|above| !path.starts_with(&above.path))
        {
            let is_directory = fs::metadata(&path).is_ok_and(|m| m.is_dir());
            topmost.push(Submount { path, is_directory });
        }
    }
    topmost
}

/// Undoes the octal escapes of mountinfo (proc(5)): space, tab, newline, backslash.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

//! What a plan needs to know of this host, gathered once before planning.

mod layers;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use berth_base::NamespaceKind;
use berth_base::state::{CgroupPaths, RootSource};
use oci_spec::runtime::{Process, Spec};
use rustix::fs::{FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags};

use crate::plan::{Setup, beneath};
use crate::process::read_proc;
use crate::{capability, namespaces, resctrl};

pub(crate) use layers::common_folder;
pub use layers::{LayerFacts, forget_volatile, is_volatile};

/// The host as a plan sees it. Plain data, so that a plan can be tested without a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Whether the stage may use the host's mounts, ids and cgroups (root of the host).
    pub privileged: bool,
    /// Capabilities in the caller's bounding set, as bits.
    pub bounding: u64,
    /// Major and minor version of the kernel, of a root that is made of layers.
    pub kernel: (u32, u32),
    /// The layers of the root.
    pub layers: LayerFacts,
    /// Whether an overlay with its upper layer on a tmpfs works for the container's root.
    pub overlay_in_memory: bool,
    /// The host's system folders and links, for the `host` image.
    pub system: Vec<SystemEntry>,
    /// Topmost mounts below what is overlaid.
    pub submounts: Vec<Submount>,
    /// What the `host` image hides below /etc.
    pub secrets: Vec<Secret>,
    /// Sources of bind mounts, absolute; absent when they do not exist.
    pub sources: BTreeMap<PathBuf, Source>,
    /// CLONE_NEW* of namespaces that the spec joins by path and that are this process's own: the
    /// host's by another name.
    pub own_namespaces: u64,
    /// Namespaces that the spec joins by path, by their index: why that is impossible.
    pub unjoinable: BTreeMap<usize, String>,
    /// Whether a resctrl file system is mounted.
    pub resctrl: bool,
    /// The mount point of the mount that holds the container's root.
    pub root_mount: Option<PathBuf>,
    /// The caller's hard limits, for those that the spec sets.
    pub hard_limits: BTreeMap<String, u64>,
    /// Whether the caller may raise hard limits (CAP_SYS_RESOURCE).
    pub raises_limits: bool,
    /// Whether AppArmor is active.
    pub apparmor: bool,
    /// Whether SELinux is active.
    pub selinux: bool,
    /// The host's uid and gid behind root of a user namespace that the container joins.
    pub joined_root: Option<(u32, u32)>,
    /// The container's cgroup directories, once made; they become its /sys/fs/cgroup.
    pub cgroups: CgroupPaths,
}

/// The source of a bind mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether it is a procfs.
    pub is_procfs: bool,
}

impl Source {
    /// A directory like any other.
    pub const FOLDER: Self = Self {
        is_directory: true,
        is_procfs: false,
    };
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
    /// Looks at this host, as far as `spec` and `setup` need it.
    pub fn gather(
        spec: &Spec,
        setup: &Setup,
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
        match &setup.root {
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
                facts.root_mount = mount_of(mountinfo, path);
            }
            RootSource::Layers { .. } => {
                facts.kernel = layers::kernel_version();
                facts.look_at_layers(&setup.root, mountinfo);
            }
        }
        facts.resctrl = resctrl::mount_point(mountinfo).is_some();
        facts.look_at_namespaces(spec);
        if let Some(process) = spec.process() {
            facts.look_at_process(process)?;
        }
        let linux = spec.linux().as_ref();
        facts.selinux |= linux.is_some_and(|l| l.mount_label().is_some()) && selinux_is_active();
        for mount in spec.mounts().iter().flatten() {
            if let Some(source) = mount.source() {
                let path = setup.bundle.join(source);
                if let Some(source) = source_at(&path) {
                    facts.sources.insert(path.clone(), source);
                }
                if let Some(beneath) = beneath(mount)
                    && let Some(source) = source_beneath(&path, beneath)
                {
                    facts.sources.insert(path.join(beneath), source);
                }
            }
        }
        Ok(facts)
    }

    /// Which namespaces that the spec joins are our own.
    fn look_at_namespaces(&mut self, spec: &Spec) {
        use std::os::unix::fs::MetadataExt;
        let linux = spec.linux().as_ref();
        let listed = linux.and_then(|l| l.namespaces().as_ref());
        for (index, namespace) in listed.into_iter().flatten().enumerate() {
            let Some(path) = namespace.path().as_deref() else {
                continue;
            };
            let kind = namespaces::kind_of(namespace.typ());
            if let Err(why) = check_kind(path, kind) {
                self.unjoinable.insert(index, why);
            }
            let ours = format!("/proc/self/ns/{}", kind.as_str());
            let ids = [path, Path::new(&ours)].map(|path| fs::metadata(path).ok());
            if let [Some(theirs), Some(ours)] = ids
                && (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino())
            {
                self.own_namespaces |= namespaces::flag_of(kind);
            }
        }
    }

    /// Looks at this host, as far as a process that joins a container needs it.
    pub(crate) fn for_process(process: &Process) -> io::Result<Self> {
        let mut facts = Self {
            bounding: bounding_set()?,
            ..Self::default()
        };
        facts.look_at_process(process)?;
        Ok(facts)
    }

    /// What a process may ask for.
    fn look_at_process(&mut self, process: &Process) -> io::Result<()> {
        for limit in process.rlimits().iter().flatten() {
            let name = limit.typ().to_string();
            if let Some(resource) = capability::resource(&name) {
                let hard = rustix::process::getrlimit(resource).maximum;
                self.hard_limits.insert(name, hard.unwrap_or(u64::MAX));
            }
        }
        if !self.hard_limits.is_empty() {
            let sets = rustix::thread::capabilities(None)?;
            self.raises_limits = sets
                .effective
                .contains(rustix::thread::CapabilitySet::SYS_RESOURCE);
        }
        if process.apparmor_profile().is_some() {
            let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
            self.apparmor = enabled.is_ok_and(|text| text.starts_with('Y'));
        }
        self.selinux = process.selinux_label().is_some() && selinux_is_active();
        Ok(())
    }
}

/// Says why there is no namespace of this kind at a path; an empty path is none to join.
fn check_kind(path: &Path, kind: NamespaceKind) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let opened =
        fs::File::open(path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
    match berth_sys::namespace_flag(opened.as_fd()) {
        Ok(flag) if flag == namespaces::flag_of(kind) => Ok(()),
        _ => Err(format!(
            "{} is not a {} namespace",
            path.display(),
            kind.as_str()
        )),
    }
}

/// What a host path is; `None` when there is nothing.
fn source_at(path: &Path) -> Option<Source> {
    let metadata = fs::metadata(path).ok()?;
    let is_procfs = rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type == PROC_SUPER_MAGIC);
    Some(Source {
        is_directory: metadata.is_dir(),
        is_procfs,
    })
}

/// What a path below a host path is; `None` when there is nothing, or it leads out.
fn source_beneath(base: &Path, path: &Path) -> Option<Source> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let base = rustix::fs::open(base, flags | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(base, path, flags, Mode::empty(), resolve).ok()?;
    let stat = rustix::fs::fstat(&found).ok()?;
    let is_procfs = rustix::fs::fstatfs(&found).is_ok_and(|stat| stat.f_type == PROC_SUPER_MAGIC);
    Some(Source {
        is_directory: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
        is_procfs,
    })
}

/// Whether the kernel's selinuxfs is mounted where everybody looks for it (selinux(8)).
fn selinux_is_active() -> bool {
    const SELINUX_MAGIC: i64 = 0xf97c_ff8c;
    rustix::fs::statfs("/sys/fs/selinux").is_ok_and(|stat| stat.f_type == SELINUX_MAGIC)
}

/// The mount point of the mount that holds a path: the longest that the path begins with.
fn mount_of(mountinfo: &str, path: &Path) -> Option<PathBuf> {
    mount_points(mountinfo)
        .filter(|point| path.starts_with(point.as_ref()))
        .max_by_key(|point| point.len())
        .map(|point| PathBuf::from(point.into_owned()))
}

/// Every mount point of a mountinfo text.
fn mount_points(mountinfo: &str) -> impl Iterator<Item = Cow<'_, str>> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
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
    let initial = read_proc("/proc/self/uid_map")?;
    let whole = initial.split_whitespace().eq(["0", "0", "4294967295"]);
    let sets = rustix::thread::capabilities(None)?;
    Ok(whole
        && sets
            .effective
            .contains(rustix::thread::CapabilitySet::SYS_ADMIN))
}

/// CapBnd of this process.
fn bounding_set() -> io::Result<u64> {
    let status = read_proc("/proc/self/status")?;
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
    let below = |point: &Path| {
        folders
            .iter()
            .any(|folder| point != folder && point.starts_with(folder))
    };
    let mut points: Vec<PathBuf> = mount_points(mountinfo)
        .filter(|point| below(Path::new(point.as_ref())))
        .map(|point| PathBuf::from(point.into_owned()))
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
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let plain = text
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\");
    Cow::Owned(plain)
}

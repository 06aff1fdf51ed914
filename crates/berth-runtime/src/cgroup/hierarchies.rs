//! Which cgroup hierarchies this host has, and where.
//!
//! Pure: parses the texts of `/proc/self/mountinfo` (proc_pid_mountinfo(5)) and
//! `/proc/self/cgroup` (cgroups(7)). Nothing is assumed about `/sys/fs/cgroup`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The cgroup hierarchies of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// The v2 hierarchy; on a hybrid host it holds few controllers or none.
    pub v2: Option<Hierarchy>,
    /// The v1 hierarchies, named ones (`name=systemd`) included.
    pub v1: Vec<Hierarchy>,
}

/// One hierarchy and where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// v1: its controllers as `/proc/self/cgroup` names them. v2: empty.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Which of its cgroups the mount shows as its root: `/`, unless the mount was bound or made
    /// in another cgroup namespace (then possibly `/../..`).
    pub root: String,
    /// The cgroup of the calling process.
    pub own: String,
    /// Whether the mount, or the whole file system, is read-only.
    pub read_only: bool,
}

impl Hierarchies {
    /// Finds the hierarchies in the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.
    ///
    /// A hierarchy that is mounted twice is taken where it is visible, writable and shows its
    /// root. A mount that another one covers is no candidate. Lines that cannot be parsed are
    /// passed over.
    pub fn discover(mountinfo: &str, self_cgroup: &str) -> Self {
        let mounts = MountTable::parse(mountinfo);
        let mut found = Self::default();
        for line in self_cgroup.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(names), Some(own)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let controllers: Vec<String> = names
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect();
            let Some(mount) = mounts.best(&controllers) else {
                continue;
            };
            let hierarchy = Hierarchy {
                mount: mount.point.clone(),
                root: mount.root.clone(),
                read_only: mount.read_only,
                own: own.to_owned(),
                controllers,
            };
            if hierarchy.controllers.is_empty() {
                found.v2 = Some(hierarchy);
            } else {
                found.v1.push(hierarchy);
            }
        }
        found
    }

    /// Whether v1 controllers and a v2 hierarchy exist side by side.
    pub fn is_hybrid(&self) -> bool {
        self.v2.is_some() && !self.v1.is_empty()
    }

    /// The v1 hierarchy of a controller, by its v1 name.
    pub fn v1_of(&self, controller: &str) -> Option<&Hierarchy> {
        self.v1.iter().find(|hierarchy| hierarchy.has(controller))
    }
}

impl Hierarchy {
    /// Whether it is the v1 hierarchy of a controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// The directory of the calling process's cgroup, where the mount shows it.
    pub fn own_directory(&self) -> Option<PathBuf> {
        self.own_path().map(|path| self.directory(&path))
    }

    /// The calling process's cgroup as a path below the mount, beginning with `/`.
    ///
    /// This is the form that [`super::Cgroup::create`] takes.
    pub fn own_path(&self) -> Option<String> {
        self.path_of(&self.own)
    }

    /// A cgroup, given from the hierarchy's root, as a path below the mount; `None` where the
    /// mount does not show it.
    pub(super) fn path_of(&self, cgroup: &str) -> Option<String> {
        let below = if self.root == "/" {
            cgroup
        } else {
            cgroup.strip_prefix(self.root.as_str())?
        };
        if below.is_empty() {
            Some("/".to_owned())
        } else if below.starts_with('/') && !below.starts_with("/..") {
            Some(below.to_owned())
        } else {
            None
        }
    }

    /// The directory of a cgroup given by its path below the mount.
    pub(super) fn directory(&self, path: &str) -> PathBuf {
        self.mount.join(path.trim_start_matches('/'))
    }

    /// `v2`, or the controllers joined by commas.
    pub fn label(&self) -> String {
        if self.controllers.is_empty() {
            "v2".to_owned()
        } else {
            self.controllers.join(",")
        }
    }
}

/// One line of mountinfo, as far as it matters here.
struct Mount {
    id: u32,
    parent: u32,
    root: String,
    point: PathBuf,
    read_only: bool,
    /// The super block options of a v1 mount, `None` for v2.
    options: Option<Vec<String>>,
}

struct MountTable {
    cgroups: Vec<Mount>,
    /// Every mount: id to (parent, mount point).
    all: HashMap<u32, (u32, PathBuf)>,
    /// The mounts that each mount carries. A host has hundreds, most of them on a few.
    carried: HashMap<u32, Vec<u32>>,
}

impl MountTable {
    fn parse(mountinfo: &str) -> Self {
        let mut table = Self {
            cgroups: Vec::new(),
            all: HashMap::new(),
            carried: HashMap::new(),
        };
        for line in mountinfo.lines() {
            let Some((id, parent, point)) = parse_place(line) else {
                continue;
            };
            table.all.insert(id, (parent, point));
            table.carried.entry(parent).or_default().push(id);
            if let Some(mount) = parse_cgroup(line) {
                table.cgroups.push(mount);
            }
        }
        table
    }

    /// The mount through which to reach a hierarchy: writable before read-only, then whole
    /// before partial, then the later one.
    fn best(&self, controllers: &[String]) -> Option<&Mount> {
        self.cgroups
            .iter()
            .filter(|mount| match &mount.options {
                None => controllers.is_empty(),
                Some(options) => {
                    !controllers.is_empty() && controllers.iter().all(|name| options.contains(name))
                }
            })
            .filter(|mount| !self.is_covered(mount))
            .max_by_key(|mount| (!mount.read_only, mount.root == "/"))
    }

    /// Whether another mount hides this one: one on top of it, or one that a path to it meets
    /// first, on the mount that carries it or on one further up.
    fn is_covered(&self, mount: &Mount) -> bool {
        let mut passed = vec![mount.id];
        if self.is_left(mount.id, &mount.point, &passed) {
            return true;
        }
        let (mut carrier, mut point) = (mount.parent, &mount.point);
        while let Some((above, own_point)) = self.all.get(&carrier) {
            if passed.contains(&carrier) {
                break;
            }
            if self.is_left(carrier, point, &passed) {
                return true;
            }
            passed.push(carrier);
            (carrier, point) = (*above, own_point);
        }
        false
    }

    /// Whether a path through the mount `carrier` to `point` leaves it for a mount that is not
    /// among those `passed`.
    fn is_left(&self, carrier: u32, point: &Path, passed: &[u32]) -> bool {
        let carried = self.carried.get(&carrier).into_iter().flatten();
        carried
            .filter(|id| !passed.contains(id))
            .filter_map(|id| self.all.get(id))
            .any(|(_, other)| is_below(point, other))
    }
}

/// Whether one path is the other or below it. The kernel writes mount points without `.`, `..`
/// and double slashes, so bytes tell.
fn is_below(point: &Path, other: &Path) -> bool {
    let rest = point
        .as_os_str()
        .as_bytes()
        .strip_prefix(other.as_os_str().as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || other == Path::new("/"))
}

/// Mount id, parent id and mount point of a mountinfo line.
fn parse_place(line: &str) -> Option<(u32, u32, PathBuf)> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let point = unescape(fields.nth(2)?);
    Some((id, parent, PathBuf::from(OsString::from_vec(point))))
}

/// A mountinfo line, if it is a cgroup mount.
fn parse_cgroup(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    let version_2 = match right.next()? {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    let super_options = right.nth(1)?;
    let (id, parent, point) = parse_place(left)?;
    let mut left = left.split(' ').skip(3);
    let root = String::from_utf8(unescape(left.next()?)).ok()?;
    let mount_options = left.nth(1)?;
    let is_ro = |options: &str| options.split(',').any(|option| option == "ro");
    Some(Mount {
        id,
        parent,
        root,
        point,
        read_only: is_ro(mount_options) || is_ro(super_options),
        options: (!version_2).then(|| super_options.split(',').map(str::to_owned).collect()),
    })
}

/// Undoes the octal escapes of mountinfo: `\040` space, `\011` tab, `\012` newline, `\134`
/// backslash.
fn unescape(field: &str) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, tail @ ..] = rest {
        if let [
            b'\\',
            a @ b'0'..=b'3',
            b @ b'0'..=b'7',
            c @ b'0'..=b'7',
            tail @ ..,
        ] = rest
        {
            plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = tail;
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
#[path = "hierarchies_tests.rs"]
mod tests;

//! Making the directories of a container in every hierarchy.
//!
//! Directories above the container's own (`berth`, or the caller's parent) are shared: they are
//! made where missing and never removed, since another container may be entering them. What an
//! existing directory of the container's own name means is the caller's to say: [`Existing`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::branch::Branch;
use super::error::{CgroupError, RemoveFailure};
use super::files;
use super::freeze::is_frozen;
use super::hierarchies::{Hierarchies, Hierarchy};
use super::place::CgroupPath;
use super::processes::pids_below;
use super::{Access, Cgroup, cpuset, delegate};

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// The name of the directory below which an empty leftover is surely ours.
const OUR_PARENT: &str = "berth";

/// What a directory that has the container's name already may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// An empty one directly below one called `berth` is a leftover of a crash, and is made anew.
    /// Any other is an error. The engine's rule: nobody else makes its containers' cgroups.
    OurLeftover,
    /// It is used as it is if no process is in it or below and it is not frozen. The rule of the
    /// OCI command line, whose callers (dockerd, podman, kubelet) may make it beforehand.
    Empty,
}

/// How directories are to be made.
#[derive(Clone, Copy)]
struct Rule {
    access: Access,
    existing: Existing,
}

impl Cgroup {
    /// Makes the cgroup `path` (like `/berth/ID`, below each mount's root) in every hierarchy, by
    /// the engine's rule for existing ones: see [`Cgroup::create_at`].
    pub fn create(
        hierarchies: &Hierarchies,
        path: &str,
        access: Access,
    ) -> Result<Self, CgroupError> {
        check_path(path)?;
        let place = CgroupPath::Absolute(path.to_owned());
        Self::create_at(hierarchies, &place, access, Existing::OurLeftover)
    }

    /// Makes a container's cgroup in every hierarchy.
    ///
    /// On v2 the controllers cpu, io, memory and pids are enabled on the way down, never
    /// disabled; the others when [`Cgroup::apply`] needs them. On failure everything that was
    /// made is removed, except shared parents. With [`Access::WhereAllowed`], ask
    /// [`Cgroup::warning`] what was left out.
    pub fn create_at(
        hierarchies: &Hierarchies,
        place: &CgroupPath,
        access: Access,
        existing: Existing,
    ) -> Result<Self, CgroupError> {
        let mut made = Self {
            v2: None,
            v1: Vec::with_capacity(hierarchies.v1.len()),
            left_out: Vec::new(),
        };
        match made.fill(hierarchies, place, Rule { access, existing }) {
            Ok(()) => Ok(made),
            Err(cause) => Err(made.undo(cause)),
        }
    }

    fn fill(
        &mut self,
        hierarchies: &Hierarchies,
        place: &CgroupPath,
        rule: Rule,
    ) -> Result<(), CgroupError> {
        for hierarchy in &hierarchies.v1 {
            let path = place.below(hierarchy);
            let Some(branch) = make_in(hierarchy, &path, rule)? else {
                self.left_out.push(hierarchy.label());
                continue;
            };
            let is_cpuset = branch.has("cpuset");
            self.v1.push(branch);
            if let Some(cpuset) = self.v1.last().filter(|_| is_cpuset) {
                cpuset::inherit(cpuset, &path)?;
            }
        }
        if let Some(hierarchy) = &hierarchies.v2 {
            self.v2 = make_in(hierarchy, &place.below(hierarchy), rule)?;
            match &self.v2 {
                Some(branch) => delegate::enable_basics(branch, hierarchies)?,
                None => self.left_out.push(hierarchy.label()),
            }
        }
        if self.is_nowhere() && rule.access == Access::Required {
            let path = match place {
                CgroupPath::Absolute(path) | CgroupPath::NearOwn(path) => path.clone(),
            };
            return Err(CgroupError::NoHierarchy { path });
        }
        Ok(())
    }

    /// Removes what a failed creation made.
    fn undo(self, cause: CgroupError) -> CgroupError {
        let failures: Vec<RemoveFailure> = self
            .branches()
            .filter(|branch| !branch.adopted)
            .filter_map(|branch| match rustix::fs::rmdir(&branch.path) {
                Ok(()) | Err(Errno::NOENT) => None,
                Err(source) => Some(RemoveFailure {
                    path: branch.path.clone(),
                    source,
                    processes: Vec::new(),
                }),
            })
            .collect();
        if failures.is_empty() {
            cause
        } else {
            CgroupError::Undo {
                cause: Box::new(cause),
                failures,
            }
        }
    }
}

/// Checks a cgroup path and returns its parent part (without the leading slash, may be empty).
pub(super) fn check_path(path: &str) -> Result<&str, CgroupError> {
    let invalid = |why| CgroupError::InvalidPath {
        path: path.to_owned(),
        why,
    };
    let below = path
        .strip_prefix('/')
        .ok_or_else(|| invalid("it must begin with a slash"))?;
    if below.is_empty() {
        return Err(invalid("it names the root of the hierarchy"));
    }
    if below.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(invalid("no component may be empty, . or .."));
    }
    if below.bytes().any(|byte| byte == 0 || byte == b'\n') {
        return Err(invalid("it must not hold a newline or a NUL"));
    }
    Ok(below.rsplit_once('/').map_or("", |(parents, _)| parents))
}

/// Makes the directory in one hierarchy; `None` where the caller may not and that is accepted.
fn make_in(hierarchy: &Hierarchy, path: &str, rule: Rule) -> Result<Option<Branch>, CgroupError> {
    if hierarchy.read_only {
        return match rule.access {
            Access::WhereAllowed => Ok(None),
            Access::Required => Err(CgroupError::ReadOnly {
                path: path.to_owned(),
                hierarchy: hierarchy.label(),
                mount: hierarchy.mount.clone(),
            }),
        };
    }
    match make(hierarchy, path, rule.existing) {
        Ok(branch) => Ok(Some(branch)),
        Err(CgroupError::Make {
            source: Errno::ACCESS | Errno::PERM | Errno::ROFS,
            ..
        }) if rule.access == Access::WhereAllowed => Ok(None),
        Err(error) => Err(error),
    }
}

fn make(hierarchy: &Hierarchy, path: &str, existing: Existing) -> Result<Branch, CgroupError> {
    let mount = &hierarchy.mount;
    let parents = check_path(path)?;
    let below = path.trim_start_matches('/');
    let branch = |dir| Branch::opened(hierarchy.controllers.clone(), mount.join(below), dir);
    let directory = mount.join(below);
    // The usual case, in two calls.
    if rustix::fs::mkdir(&directory, DIRECTORY_MODE).is_ok() {
        return open_made(&directory).map(branch);
    }
    let root = files::open_directory(mount).map_err(files::access("open", mount, ""))?;
    let root = root.as_fd();
    let failed = |source| CgroupError::Make {
        path: directory.clone(),
        source,
    };
    let mut result = rustix::fs::mkdirat(root, below, DIRECTORY_MODE);
    if result == Err(Errno::NOENT) {
        make_parents(root, mount, parents, hierarchy.has("cpuset"))?;
        result = rustix::fs::mkdirat(root, below, DIRECTORY_MODE);
    }
    if result == Err(Errno::EXIST) {
        match existing {
            Existing::OurLeftover => {
                clear_leftover(root, mount, below, parents)?;
                result = rustix::fs::mkdirat(root, below, DIRECTORY_MODE);
            }
            Existing::Empty => {
                let dir = files::open_directory_at(root, below).map_err(failed)?;
                return adopt(branch(dir));
            }
        }
    }
    result.map_err(failed)?;
    open_made(&directory).map(branch)
}

/// Opens a directory that was just made; one that cannot be opened is removed.
fn open_made(directory: &Path) -> Result<OwnedFd, CgroupError> {
    files::open_directory(directory).map_err(|source| {
        let cause = files::access("open", directory, "")(source);
        match rustix::fs::rmdir(directory) {
            Ok(()) => cause,
            Err(source) => CgroupError::Undo {
                cause: Box::new(cause),
                failures: vec![RemoveFailure {
                    path: directory.to_owned(),
                    source,
                    processes: Vec::new(),
                }],
            },
        }
    })
}

/// Takes a directory that somebody else made, if nothing runs in it and it is not frozen: what
/// then enters would be killed with strangers, or never run.
fn adopt(mut branch: Branch) -> Result<Branch, CgroupError> {
    let pids = pids_below(&branch).map_err(files::access("read", &branch.path, "cgroup.procs"))?;
    if !pids.is_empty() {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        return Err(CgroupError::Occupied {
            state: format!("holds PID {}", pids.join(", ")),
            remedy: "end what runs in it, or choose another cgroupsPath",
            path: branch.path,
        });
    }
    if is_frozen(&branch)? {
        return Err(CgroupError::Occupied {
            state: "is frozen".to_owned(),
            remedy: "thaw it, or choose another cgroupsPath",
            path: branch.path,
        });
    }
    branch.adopted = true;
    Ok(branch)
}

/// Makes a shared directory, where it is missing, and opens it.
pub(super) fn ensure(hierarchy: &Hierarchy, path: &str) -> Result<OwnedFd, CgroupError> {
    check_path(path)?;
    let mount = &hierarchy.mount;
    let below = path.trim_start_matches('/');
    let root = files::open_directory(mount).map_err(files::access("open", mount, ""))?;
    make_parents(root.as_fd(), mount, below, hierarchy.has("cpuset"))?;
    files::open_directory_at(root.as_fd(), below).map_err(files::access("open", mount, below))
}

/// Makes the shared directories above the container's own, from the top.
fn make_parents(
    root: BorrowedFd<'_>,
    mount: &Path,
    parents: &str,
    is_cpuset: bool,
) -> Result<(), CgroupError> {
    for (end, _) in parents.match_indices('/').chain([(parents.len(), "")]) {
        let Some(prefix) = parents.get(..end) else {
            continue;
        };
        if prefix.is_empty() {
            continue;
        }
        match rustix::fs::mkdirat(root, prefix, DIRECTORY_MODE) {
            Ok(()) if is_cpuset => cpuset::prepare_parent(root, mount, prefix)?,
            Ok(()) | Err(Errno::EXIST) => {}
            Err(source) => {
                return Err(CgroupError::Make {
                    path: mount.join(prefix),
                    source,
                });
            }
        }
    }
    Ok(())
}

/// Removes an empty directory that a crash of ours left behind.
///
/// rmdir(2) is the test for emptiness: the kernel refuses it while a process or a sub-cgroup is
/// inside. Removing and making anew also forgets old limits.
fn clear_leftover(
    root: BorrowedFd<'_>,
    mount: &Path,
    below: &str,
    parents: &str,
) -> Result<(), CgroupError> {
    let path = mount.join(below);
    if parents.rsplit('/').next() != Some(OUR_PARENT) {
        return Err(CgroupError::Occupied {
            path,
            state: "was not made by Berth".to_owned(),
            remedy: "remove it with rmdir, or choose another cgroup path",
        });
    }
    match rustix::fs::unlinkat(root, below, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::BUSY | Errno::NOTEMPTY) => Err(occupied(root, path, below)),
        Err(source) => Err(CgroupError::Make { path, source }),
    }
}

fn occupied(root: BorrowedFd<'_>, path: PathBuf, below: &str) -> CgroupError {
    let dir = files::open_directory_at(root, below);
    let inside = dir.as_ref().map_err(|errno| *errno).and_then(|dir| {
        let text = files::read_at(dir.as_fd(), "cgroup.procs")?;
        Ok(text.lines().map(str::to_owned).collect::<Vec<_>>())
    });
    let state = match inside.as_deref() {
        Ok([]) | Err(_) => "holds sub-cgroups".to_owned(),
        Ok(pids) => format!("holds PID {}", pids.join(", ")),
    };
    CgroupError::Occupied {
        path,
        state,
        remedy: "end what runs in it, remove it with rmdir, and try again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_checked() {
        assert_eq!(check_path("/berth/x").unwrap(), "berth");
        assert_eq!(check_path("/x").unwrap(), "");
        assert_eq!(check_path("/a/b/c").unwrap(), "a/b");
        for bad in ["", "/", "x", "/a/../b", "//a", "/a/", "/a\n/b", "/."] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }
}

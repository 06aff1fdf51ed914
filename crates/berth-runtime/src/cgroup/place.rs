//! Where a container's cgroups are, from what its spec says: `linux.cgroupsPath` and the driver.
//!
//! Pure: opens nothing. A path of the cgroupfs driver is cleaned so that no `..` leaves the
//! hierarchy (runtime-spec config-linux, "Cgroups Path"); one of the systemd driver becomes the
//! names of a scope and its slice.

use std::collections::HashMap;
use std::path::Path;

use berth_base::state::CgroupPaths;

use super::create::check_path;
use super::error::CgroupError;
use super::hierarchies::{Hierarchies, Hierarchy};
use super::systemd::{Bus, SystemdPlace};

/// Who makes the cgroup of a container, and where.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// We do, by mkdir(2): see [`super::Cgroup::create_at`].
    Cgroupfs(CgroupPath),
    /// systemd does, as a transient scope: see [`SystemdPlace::start_scope`].
    Systemd(SystemdPlace),
}

/// A path below the hierarchies, cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupPath {
    /// Below the root of each hierarchy's mount; begins with a slash.
    Absolute(String),
    /// Relative to the caller's own cgroup: below it on v1; beside it on v2, where a cgroup that
    /// holds processes cannot give controllers to one below. Has no leading slash.
    NearOwn(String),
}

impl Placement {
    /// The cgroupfs driver: an absolute `cgroupsPath` is below the root of every hierarchy, a
    /// relative one near the caller's own cgroup, and an absent or empty one is the container's id
    /// there, as with runc.
    pub fn cgroupfs(cgroups_path: Option<&Path>, id: &str) -> Result<Self, CgroupError> {
        CgroupPath::parse(text_of(cgroups_path)?, id).map(Self::Cgroupfs)
    }

    /// The systemd driver: `cgroupsPath` is `slice:prefix:name`, absent or empty it is
    /// `:berth:ID`. Annotations `org.systemd.property.NAME` become properties of the scope, if
    /// they are on the list of harmless ones (CVE-2024-3154).
    pub fn systemd(
        cgroups_path: Option<&Path>,
        id: &str,
        bus: Bus,
        annotations: Option<&HashMap<String, String>>,
    ) -> Result<Self, CgroupError> {
        SystemdPlace::parse(text_of(cgroups_path)?, id, bus, annotations).map(Self::Systemd)
    }

    /// Where the container's cgroups will be. With the systemd driver this is where systemd puts
    /// them by its rules; [`SystemdPlace::start_scope`] tells where it did.
    pub fn paths(&self, hierarchies: &Hierarchies) -> CgroupPaths {
        let directory = |hierarchy: &Hierarchy| {
            let path = match self {
                Self::Cgroupfs(path) => path.below(hierarchy),
                Self::Systemd(place) => place.scope.below(hierarchy),
            };
            hierarchy.directory(&path).to_string_lossy().into_owned()
        };
        let v1 = hierarchies.v1.iter().flat_map(|hierarchy| {
            let directory = directory(hierarchy);
            hierarchy
                .controllers
                .iter()
                .map(move |name| (name.clone(), directory.clone()))
        });
        CgroupPaths {
            v2: hierarchies.v2.as_ref().map(directory),
            v1: v1.collect(),
        }
    }
}

impl CgroupPath {
    fn parse(text: &str, id: &str) -> Result<Self, CgroupError> {
        let (is_absolute, below) = if text.is_empty() {
            (false, clean(id))
        } else {
            (text.starts_with('/'), clean(text))
        };
        // The cleaned form can still be empty (the hierarchy's root) or hold a newline.
        let path = format!("/{below}");
        check_path(&path).map_err(|error| match error {
            CgroupError::InvalidPath { why, .. } => CgroupError::InvalidPath {
                path: text.to_owned(),
                why,
            },
            other => other,
        })?;
        Ok(if is_absolute {
            Self::Absolute(path)
        } else {
            Self::NearOwn(below)
        })
    }

    /// The path below one hierarchy's mount, beginning with a slash.
    pub fn below(&self, hierarchy: &Hierarchy) -> String {
        let below = match self {
            Self::Absolute(path) => return path.clone(),
            Self::NearOwn(below) => below,
        };
        // The mount may not show the caller's own cgroup; then its root is the nearest.
        let own = hierarchy.own_path().unwrap_or_else(|| "/".to_owned());
        let base = if hierarchy.controllers.is_empty() {
            own.rsplit_once('/').map_or("", |(above, _)| above)
        } else {
            own.trim_end_matches('/')
        };
        format!("{base}/{below}")
    }
}

/// Takes away empty and `.` components, and lets `..` take away the one before it, but never
/// leave the top.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn text_of(path: Option<&Path>) -> Result<&str, CgroupError> {
    let Some(path) = path else { return Ok("") };
    path.to_str().ok_or_else(|| CgroupError::InvalidPath {
        path: path.to_string_lossy().into_owned(),
        why: "it is not UTF-8",
    })
}

#[cfg(test)]
mod tests {
    use berth_testkit::covers;

    use super::*;

    fn hierarchy(controllers: &[&str], own: &str) -> Hierarchy {
        Hierarchy {
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            mount: "/cg".into(),
            root: "/".to_owned(),
            own: own.to_owned(),
            read_only: false,
        }
    }

    fn place(path: &str, own: &str) -> [String; 2] {
        let Placement::Cgroupfs(place) = Placement::cgroupfs(Some(Path::new(path)), "id").unwrap()
        else {
            unreachable!()
        };
        [
            place.below(&hierarchy(&["memory"], own)),
            place.below(&hierarchy(&[], own)),
        ]
    }

    #[test]
    fn an_absolute_path_is_below_every_root() {
        covers!(
            "config-linux/cgroups-path-form",
            "config-linux/cgroups-path-absolute"
        );
        for path in [
            "/docker/x",
            "/kubepods/burstable/pod1/x",
            "/libpod_parent/libpod-x",
        ] {
            assert_eq!(place(path, "/user.slice/s.scope"), [path, path]);
        }
    }

    #[test]
    fn a_relative_or_absent_path_is_near_the_caller() {
        covers!(
            "config-linux/cgroups-path-form",
            "config-linux/cgroups-path-consistent"
        );
        assert_eq!(place("a/b", "/s/t"), place("a/./b/", "/s/t"));
        assert_eq!(place("a/b", "/s/t"), ["/s/t/a/b", "/s/a/b"]);
        assert_eq!(place("", "/s/t"), ["/s/t/id", "/s/id"]);
        assert_eq!(place("", "/"), ["/id", "/id"]);
        assert_eq!(
            Placement::cgroupfs(None, "id").unwrap(),
            Placement::cgroupfs(Some(Path::new("")), "id").unwrap()
        );
        // A cgroup that the mount does not show.
        assert_eq!(place("a", "/../x"), ["/a", "/a"]);
    }

    /// runtime-spec config-linux: a `cgroupsPath` must not lead out of the cgroup mount.
    #[test]
    fn dots_never_leave_the_hierarchy() {
        covers!("config-linux/cgroups-path-invalid");
        assert_eq!(place("/../../etc/x", "/"), ["/etc/x", "/etc/x"]);
        assert_eq!(place("/a/b/../../../x/", "/"), ["/x", "/x"]);
        assert_eq!(place("../../x", "/s/t"), ["/s/t/x", "/s/x"]);
        assert_eq!(place("/a//./b", "/"), ["/a/b", "/a/b"]);
        for bad in ["/", "/..", ".", "..", "a/..", "/a\n"] {
            let refused = Placement::cgroupfs(Some(Path::new(bad)), "id").unwrap_err();
            assert!(
                refused.to_string().contains(&format!("{bad:?}")),
                "{refused}"
            );
        }
    }

    #[test]
    fn the_paths_of_every_hierarchy_are_told_beforehand() {
        let hierarchies = Hierarchies {
            v2: Some(hierarchy(&[], "/s")),
            v1: vec![hierarchy(&["cpu", "cpuacct"], "/s")],
        };
        let placement = Placement::cgroupfs(None, "id").unwrap();
        let paths = placement.paths(&hierarchies);
        assert_eq!(paths.v2.as_deref(), Some("/cg/id"));
        assert_eq!(paths.v1.len(), 2);
        assert_eq!(paths.v1["cpuacct"], "/cg/s/id");
    }
}

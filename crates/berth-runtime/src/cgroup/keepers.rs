//! The cgroup in which keepers and monitors live.

use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Access;
use super::create::ensure;
use super::error::CgroupError;
use super::files;
use super::hierarchies::{Hierarchies, Hierarchy};
use super::join::JoinDescriptors;

/// Where keepers live by default, below each mount's root.
pub const KEEPERS: &str = "/berth/keepers";

/// The hierarchy by which systemd on v1 and hybrid hosts ends what a session left behind.
const SYSTEMD: &str = "name=systemd";

/// Makes the cgroup `path` (see [`KEEPERS`]) in v2 and in v1's `name=systemd`, and opens what a
/// keeper needs to enter it.
///
/// Those two are the hierarchies by which a session manager ends the processes of a session, so
/// that a keeper outlives the logout of whoever started it. In every other hierarchy it stays
/// where its starter is. With [`Access::WhereAllowed`] a hierarchy that the caller may not write
/// is left out.
pub fn keeper_group(
    hierarchies: &Hierarchies,
    path: &str,
    access: Access,
) -> Result<JoinDescriptors, CgroupError> {
    let v2 = match &hierarchies.v2 {
        Some(hierarchy) => open_where_allowed(hierarchy, path, access)?,
        None => None,
    };
    let mut v1 = Vec::new();
    if let Some(hierarchy) = hierarchies.v1_of(SYSTEMD)
        && let Some(dir) = open_where_allowed(hierarchy, path, access)?
    {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let tasks = rustix::fs::openat(dir.as_fd(), "tasks", flags, Mode::empty())
            .map_err(files::access("open", &hierarchy.directory(path), "tasks"))?;
        v1.push(tasks);
    }
    Ok(JoinDescriptors { v2, v1 })
}

fn open_where_allowed(
    hierarchy: &Hierarchy,
    path: &str,
    access: Access,
) -> Result<Option<std::os::fd::OwnedFd>, CgroupError> {
    if hierarchy.read_only {
        return match access {
            Access::WhereAllowed => Ok(None),
            Access::Required => Err(CgroupError::ReadOnly {
                path: path.to_owned(),
                hierarchy: hierarchy.label(),
                mount: hierarchy.mount.clone(),
            }),
        };
    }
    match ensure(hierarchy, path) {
        Ok(dir) => Ok(Some(dir)),
        Err(CgroupError::Make {
            source: Errno::ACCESS | Errno::PERM | Errno::ROFS,
            ..
        }) if access == Access::WhereAllowed => Ok(None),
        Err(error) => Err(error),
    }
}

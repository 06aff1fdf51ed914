//! v1 cpusets: a new one is empty, and no process can enter an empty one (cpuset(7)).

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::io::Errno;

use super::branch::Branch;
use super::error::CgroupError;
use super::files;

const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Fills a parent directory that was just made and has the kernel fill its children.
///
/// `cgroup.clone_children` is written last: a child that inherits the flag has inherited the
/// values as well.
pub(super) fn prepare_parent(
    root: BorrowedFd<'_>,
    mount: &Path,
    prefix: &str,
) -> Result<(), CgroupError> {
    fill(root, mount, prefix)?;
    let dir =
        files::open_directory_at(root, prefix).map_err(files::access("open", mount, prefix))?;
    files::write_at(dir.as_fd(), "cgroup.clone_children", "1").map_err(files::access(
        "write",
        &mount.join(prefix),
        "cgroup.clone_children",
    ))
}

/// Fills the container's own cpuset where the kernel did not.
pub(super) fn inherit(branch: &Branch, path: &str) -> Result<(), CgroupError> {
    let dir = branch.open()?;
    if is_filled(dir).map_err(files::access("read", &branch.path, FILES[0]))? {
        return Ok(());
    }
    let below = path.trim_start_matches('/');
    let depth = below.split('/').count();
    let Some(mount) = branch.path.ancestors().nth(depth) else {
        return Ok(());
    };
    let root = files::open_directory(mount).map_err(files::access("open", mount, ""))?;
    for (end, _) in below.match_indices('/').chain([(below.len(), "")]) {
        if let Some(prefix) = below.get(..end) {
            fill(root.as_fd(), mount, prefix)?;
        }
    }
    Ok(())
}

/// Copies what is empty from the parent of `prefix`, which must itself be filled.
fn fill(root: BorrowedFd<'_>, mount: &Path, prefix: &str) -> Result<(), CgroupError> {
    let path = mount.join(prefix);
    let parent = prefix.rsplit_once('/').map_or(".", |(parent, _)| parent);
    let copy = || -> Result<(), Errno> {
        let dir = files::open_directory_at(root, prefix)?;
        let parent = files::open_directory_at(root, parent)?;
        for file in FILES {
            if files::read_at(dir.as_fd(), file)?.trim().is_empty() {
                let value = files::read_at(parent.as_fd(), file)?;
                files::write_at(dir.as_fd(), file, value.trim())?;
            }
        }
        Ok(())
    };
    copy().map_err(files::access("fill", &path, "cpuset.cpus"))
}

fn is_filled(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    for file in FILES {
        if files::read_at(dir, file)?.trim().is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

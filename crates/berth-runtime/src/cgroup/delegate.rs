//! Enabling v2 controllers from the mount's root down to a container (cgroups(7)).
//!
//! A controller acts in a directory once it is in `cgroup.subtree_control` of the directory above.
//! Controllers are enabled, never disabled: siblings may rely on them.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::io::Errno;

use super::branch::Branch;
use super::controller::Controller;
use super::error::CgroupError;
use super::files;
use super::hierarchies::Hierarchies;

const SUBTREE: &str = "cgroup.subtree_control";
const AVAILABLE: &str = "cgroup.controllers";

/// What every container gets where v2 has it: limits set later and usage need these.
const BASICS: [Controller; 4] = [
    Controller::Cpu,
    Controller::BlockIo,
    Controller::Memory,
    Controller::Pids,
];

/// Enables the basic controllers above a container.
///
/// A controller that cannot be enabled (a parent holds processes, realtime tasks keep `cpu` out)
/// is an error only when a limit needs it; [`enable`] says so then.
pub(super) fn enable_basics(branch: &Branch, hierarchies: &Hierarchies) -> Result<(), CgroupError> {
    let wanted: Vec<&str> = BASICS
        .iter()
        .filter(|controller| hierarchies.v1_of(controller.v1_name()).is_none())
        .filter_map(|controller| controller.v2_name())
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    match enable_above(&branch.path, &wanted) {
        Ok(()) | Err(Refusal::Missing | Refusal::Kernel { .. }) => Ok(()),
    }
}

/// Makes sure that a controller acts in the container's v2 directory.
pub(super) fn enable(branch: &Branch, limit: &str, controller: &str) -> Result<(), CgroupError> {
    let dir = branch.open()?;
    let present =
        files::read_at(dir, AVAILABLE).map_err(files::access("read", &branch.path, AVAILABLE))?;
    if has_word(&present, controller) {
        return Ok(());
    }
    enable_above(&branch.path, &[controller]).map_err(|refusal| CgroupError::Unsupported {
        limit: limit.to_owned(),
        why: match refusal {
            Refusal::Missing => format!(
                "the {controller} controller is not available in cgroup v2 here; enable it in the kernel or have it delegated"
            ),
            Refusal::Kernel { path, source: Errno::BUSY } => format!(
                "the {controller} controller cannot be enabled below {path}, which holds processes itself; name another --cgroup-parent"
            ),
            Refusal::Kernel { path, source } => {
                format!("the {controller} controller cannot be enabled below {path}: {source}")
            }
        },
    })
}

/// Why controllers could not be enabled.
enum Refusal {
    /// No directory above has them.
    Missing,
    /// The kernel refused.
    Kernel { path: String, source: Errno },
}

/// Enables `wanted` in every directory above `path` that lacks them, top first.
fn enable_above(path: &Path, wanted: &[&str]) -> Result<(), Refusal> {
    let parent = path.parent().ok_or(Refusal::Missing)?;
    let dir = files::open_directory(parent).map_err(|_| Refusal::Missing)?;
    let dir = dir.as_fd();
    // Above the mount's root there is no such file.
    let enabled = files::read_at(dir, SUBTREE).map_err(|_| Refusal::Missing)?;
    let lacking = lacking(wanted, &enabled);
    if lacking.is_empty() {
        return Ok(());
    }
    let available = files::read_at(dir, AVAILABLE).map_err(|_| Refusal::Missing)?;
    let absent = self::lacking(&lacking, &available);
    let above = if absent.is_empty() {
        Ok(())
    } else {
        enable_above(parent, &absent)
    };
    switch_on(dir, parent, &lacking).and(above)
}

/// Writes the controllers at once, and one at a time where the kernel refuses them together.
///
/// The kernel takes `cpu` and `pids`, which can act on single threads, also in a directory that
/// holds processes. That makes every directory below an invalid domain, which nothing can enter
/// (EOPNOTSUPP; cgroup-v2.rst, "Threads"), so such a directory is refused whole here.
fn switch_on(dir: BorrowedFd<'_>, path: &Path, names: &[&str]) -> Result<(), Refusal> {
    if holds_processes(dir) {
        return Err(Refusal::Kernel {
            path: path.display().to_string(),
            source: Errno::BUSY,
        });
    }
    let all = names
        .iter()
        .map(|name| format!("+{name}"))
        .collect::<Vec<_>>()
        .join(" ");
    if files::write_at(dir, SUBTREE, &all).is_ok() {
        return Ok(());
    }
    let mut result = Ok(());
    for name in names {
        if let Err(source) = files::write_at(dir, SUBTREE, &format!("+{name}")) {
            let path = path.display().to_string();
            // ENOENT: the directory does not have this controller at all.
            result = Err(if source == Errno::NOENT {
                Refusal::Missing
            } else {
                Refusal::Kernel { path, source }
            });
        }
    }
    result
}

/// Whether there are processes where that matters: the hierarchy's root, which alone has no
/// `cgroup.type`, may have them.
fn holds_processes(dir: BorrowedFd<'_>) -> bool {
    files::read_at(dir, "cgroup.type").is_ok()
        && files::read_at(dir, "cgroup.procs").is_ok_and(|list| !list.is_empty())
}

fn lacking<'n>(wanted: &[&'n str], text: &str) -> Vec<&'n str> {
    wanted
        .iter()
        .copied()
        .filter(|name| !has_word(text, name))
        .collect()
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_ascii_whitespace().any(|name| name == word)
}

//! The cgroups of one container, on cgroup v1, v2 and hybrid hosts (cgroups(7)), by the cgroup
//! file system itself.
//!
//! [`Hierarchies`] says what the host has, [`Cgroup`] is one container's directory in each
//! hierarchy. Limits are written before any process enters. Nothing here moves a process: a new
//! one enters by [`JoinDescriptors`]. Directories above the container's own are never removed,
//! and controllers are never disabled.

mod branch;
mod controller;
mod cpuset;
mod create;
mod delegate;
mod devices;
mod error;
mod files;
mod freeze;
mod hierarchies;
mod join;
mod keepers;
mod kill;
mod limits;
mod oom;
mod owner;
mod place;
mod processes;
mod remove;
pub mod stats;
mod support;
mod systemd;
mod usage;
mod walk;

#[cfg(test)]
mod kernel_tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_base::state::CgroupPaths;

use branch::Branch;
pub use controller::Controller;
pub use create::Existing;
pub use devices::supplied_device_rules;
pub use error::{CgroupError, RemoveFailure};
pub use hierarchies::{Hierarchies, Hierarchy};
pub use join::JoinDescriptors;
pub use keepers::{KEEPERS, keeper_group};
pub use limits::{check_resources, field_of, ignored_limits};
pub use oom::{OomNotice, OomWatch};
pub use place::{CgroupPath, Placement};
pub use support::HintSupport;
pub use systemd::{Bus, Scope, SystemdPlace};
pub use usage::Usage;

/// Whether a cgroup must exist in every hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every hierarchy, or creation fails: what root gets.
    Required,
    /// Only the hierarchies in which the caller may make directories, possibly none: what a
    /// caller without privilege gets. A limit whose controller is then missing is an error of
    /// [`Cgroup::apply`].
    WhereAllowed,
}

/// The cgroups of one container: at most one directory in each hierarchy.
///
/// Dropping it removes nothing; [`Cgroup::remove`] does.
#[derive(Debug)]
pub struct Cgroup {
    v2: Option<Branch>,
    v1: Vec<Branch>,
    /// The hierarchies in which the caller could make nothing.
    left_out: Vec<String>,
}

impl Cgroup {
    /// The cgroups of a container that was created before, by the paths in its state file.
    ///
    /// Opens nothing: a directory is opened when it is first needed, so that removed ones do no
    /// harm to [`Cgroup::remove`] and [`Cgroup::is_populated`].
    pub fn from_paths(paths: &CgroupPaths) -> Self {
        let mut by_directory: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (controller, directory) in &paths.v1 {
            by_directory
                .entry(directory)
                .or_default()
                .push(controller.clone());
        }
        let v2 = paths
            .v2
            .as_ref()
            .map(|path| Branch::named(Vec::new(), PathBuf::from(path)));
        let v1 = by_directory
            .into_iter()
            .map(|(path, controllers)| Branch::named(controllers, PathBuf::from(path)))
            .collect();
        Self {
            v2,
            v1,
            left_out: Vec::new(),
        }
    }

    /// Like [`Cgroup::from_paths`], and opens every directory, so that a missing one is an error
    /// now: for sessions that enter a running container.
    pub fn open_existing(paths: &CgroupPaths) -> Result<Self, CgroupError> {
        let cgroup = Self::from_paths(paths);
        for branch in cgroup.branches() {
            branch.open()?;
        }
        Ok(cgroup)
    }

    /// The paths to keep in the state file.
    pub fn paths(&self) -> CgroupPaths {
        let v1 = self.v1.iter().flat_map(|branch| {
            let path = branch.path_text();
            branch
                .controllers
                .iter()
                .map(move |controller| (controller.clone(), path.clone()))
        });
        CgroupPaths {
            v2: self.v2.as_ref().map(Branch::path_text),
            v1: v1.collect(),
        }
    }

    /// Whether there is no directory at all, as for a caller without privilege.
    pub fn is_nowhere(&self) -> bool {
        self.v2.is_none() && self.v1.is_empty()
    }

    /// What a caller without privilege did not get, in words for a log; `None` when all is there.
    pub fn warning(&self) -> Option<String> {
        if self.left_out.is_empty() {
            return None;
        }
        let effect = if self.is_nowhere() {
            "the container has no cgroup of its own: no limits, no statistics, no pause"
        } else {
            "limits of their controllers cannot be set"
        };
        Some(format!(
            "cannot make a cgroup in {}: not delegated to this user; {effect} (delegate a v2 cgroup, for example with systemd-run --user --scope -p Delegate=yes)",
            self.left_out.join(" and ")
        ))
    }

    fn branches(&self) -> impl Iterator<Item = &Branch> {
        self.v1.iter().chain(&self.v2)
    }

    /// The v1 directory of a controller.
    fn v1_branch(&self, controller: &str) -> Option<&Branch> {
        self.v1.iter().find(|branch| branch.has(controller))
    }

    /// The one directory that stands for the container's processes: v2 where there is one, else
    /// the v1 hierarchy least likely to be rearranged.
    fn census(&self) -> Option<&Branch> {
        self.v2
            .as_ref()
            .or_else(|| {
                ["freezer", "pids", "memory"]
                    .iter()
                    .find_map(|name| self.v1_branch(name))
            })
            .or_else(|| self.v1.first())
    }
}

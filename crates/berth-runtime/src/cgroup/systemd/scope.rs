//! Starting, changing and stopping the scope of a container.

use std::os::fd::AsFd;

use berth_base::HostPid;
use oci_spec::runtime::LinuxResources;
use rustix::io::Errno;

use super::bus::BusError;
use super::limits;
use super::manager::Manager;
use super::{Scope, SystemdPlace};
use crate::cgroup::branch::Branch;
use crate::cgroup::create::ensure;
use crate::cgroup::error::CgroupError;
use crate::cgroup::hierarchies::{Hierarchies, Hierarchy};
use crate::cgroup::limits::Version;
use crate::cgroup::{Access, Cgroup, Controller, cpuset, files};

impl SystemdPlace {
    /// Has systemd make the scope with `pid` in it and the limits set, writes the limits that
    /// systemd cannot express, and puts `pid` into the v1 hierarchies that systemd left out.
    ///
    /// `pid` is the waiting init, as systemd sees it; nothing of the container may run, and no
    /// cgroup namespace may be made, before this returns. Takes at most 30 seconds. On failure the
    /// scope is stopped again, which ends `pid`.
    pub fn start_scope(
        &self,
        hierarchies: &Hierarchies,
        access: Access,
        pid: HostPid,
        resources: &LinuxResources,
    ) -> Result<Cgroup, CgroupError> {
        let mut manager = Manager::open(self.scope.bus)?;
        self.start_with(&mut manager, hierarchies, access, pid, resources)
    }

    fn start_with(
        &self,
        manager: &mut Manager,
        hierarchies: &Hierarchies,
        access: Access,
        pid: HostPid,
        resources: &LinuxResources,
    ) -> Result<Cgroup, CgroupError> {
        let unit = &self.scope.unit;
        let locate = |controller| locate(hierarchies, controller);
        let properties = self.start_properties(pid, resources, &locate)?;
        let started = match manager.start(unit, &properties) {
            // Nothing was made; a unit of that name may be another container's.
            Err(error @ BusError::Refused { .. }) => {
                return Err(self.scope.failed("start", &error));
            }
            // A job that timed out may still end well: stopped all the same.
            Err(error) => Err(self.scope.failed("start", &error)),
            Ok(()) => self.settle(manager, hierarchies, access, pid, resources),
        };
        started.map_err(|cause| match manager.stop(unit) {
            Ok(()) => cause,
            // Both are told: what failed, and that the scope may be left.
            Err(error) => CgroupError::Systemd {
                what: "start",
                unit: unit.clone(),
                why: format!("{cause}; afterwards it could not be stopped: {error}"),
            },
        })
    }

    /// What is left to do once the scope runs.
    fn settle(
        &self,
        manager: &mut Manager,
        hierarchies: &Hierarchies,
        access: Access,
        pid: HostPid,
        resources: &LinuxResources,
    ) -> Result<Cgroup, CgroupError> {
        let path = manager
            .control_group(&self.scope.unit)
            .map_err(|error| self.scope.failed("find the cgroup of", &error))?;
        let cgroup = enter(hierarchies, &path, access, pid)?;
        cgroup.apply(resources)?;
        Ok(cgroup)
    }
}

impl Scope {
    /// Has systemd stop the unit, which ends what is left in it, and forget it; one that is gone
    /// is no error. Takes at most 30 seconds.
    pub fn stop(&self) -> Result<(), CgroupError> {
        Manager::open(self.bus)?
            .stop(&self.unit)
            .map_err(|error| self.failed("stop", &error))
    }

    /// Tells systemd of changed limits, so that it does not undo what is written to the files with
    /// [`Cgroup::apply`] afterwards. Device rules stay as they were at the start.
    pub fn update(
        &self,
        hierarchies: &Hierarchies,
        resources: &LinuxResources,
    ) -> Result<(), CgroupError> {
        let locate = |controller| locate(hierarchies, controller);
        let properties = limits::properties(resources, &locate)?;
        if properties.is_empty() {
            return Ok(());
        }
        Manager::open(self.bus)?
            .set(&self.unit, &properties)
            .map_err(|error| self.failed("change", &error))
    }

    fn failed(&self, what: &'static str, error: &BusError) -> CgroupError {
        CgroupError::Systemd {
            what,
            unit: self.unit.clone(),
            why: error.to_string(),
        }
    }
}

/// Where a controller is on this host.
fn locate(hierarchies: &Hierarchies, controller: Controller) -> Option<Version> {
    if hierarchies.v1_of(controller.v1_name()).is_some() {
        return Some(Version::V1);
    }
    let is_there = hierarchies.v2.is_some() && controller.v2_name().is_some();
    is_there.then_some(Version::V2)
}

/// Opens the scope's cgroup in every hierarchy and puts `pid` into it where systemd did not: v1
/// hierarchies of controllers that it does not look after.
fn enter(
    hierarchies: &Hierarchies,
    control_group: &str,
    access: Access,
    pid: HostPid,
) -> Result<Cgroup, CgroupError> {
    let mut cgroup = Cgroup {
        v2: None,
        v1: Vec::new(),
        left_out: Vec::new(),
    };
    let unseen = |hierarchy: &Hierarchy| CgroupError::InvalidPath {
        path: format!("{control_group} of {}", hierarchy.mount.display()),
        why: "this mount does not show the cgroup that systemd made",
    };
    for hierarchy in &hierarchies.v1 {
        let path = hierarchy
            .path_of(control_group)
            .ok_or_else(|| unseen(hierarchy))?;
        match join_v1(hierarchy, &path, pid) {
            Ok(branch) => cgroup.v1.push(branch),
            Err(CgroupError::Make { source, .. } | CgroupError::Access { source, .. })
                if access == Access::WhereAllowed && is_denied(source) =>
            {
                cgroup.left_out.push(hierarchy.label());
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(hierarchy) = &hierarchies.v2 {
        let path = hierarchy
            .path_of(control_group)
            .ok_or_else(|| unseen(hierarchy))?;
        let branch = Branch::named(Vec::new(), hierarchy.directory(&path));
        branch.open()?;
        cgroup.v2 = Some(branch);
    }
    Ok(cgroup)
}

fn join_v1(hierarchy: &Hierarchy, path: &str, pid: HostPid) -> Result<Branch, CgroupError> {
    let dir = ensure(hierarchy, path)?;
    let directory = hierarchy.directory(path);
    let branch = Branch::opened(hierarchy.controllers.clone(), directory, dir);
    if branch.has("cpuset") {
        cpuset::inherit(&branch, path)?;
    }
    let dir = branch.open()?;
    files::write_at(dir.as_fd(), "cgroup.procs", &pid.to_string()).map_err(files::access(
        "write",
        &branch.path,
        "cgroup.procs",
    ))?;
    Ok(branch)
}

fn is_denied(errno: Errno) -> bool {
    matches!(errno, Errno::ACCESS | Errno::PERM | Errno::ROFS)
}

#[cfg(test)]
mod tests;

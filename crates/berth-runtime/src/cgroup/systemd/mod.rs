//! The systemd driver: systemd makes a container's cgroup as a transient scope, on our request
//! over D-Bus, and writes what its unit properties can express; the rest we write ourselves.
//!
//! `name`, `annotation` and `property` are pure. A scope exists only while a process is in it, so
//! systemd asks for one at its start: the container's init, which waits meanwhile.

mod annotation;
#[allow(dead_code)]
mod name;
#[allow(dead_code)]
mod property;

use std::collections::HashMap;

use berth_base::HostPid;
use oci_spec::runtime::LinuxResources;

use super::error::CgroupError;
use super::hierarchies::Hierarchies;
use super::{Access, Cgroup};
pub use name::{Bus, Scope};
use property::Property;

/// A scope that is to be started, and the properties its annotations ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemdPlace {
    /// The unit; what later commands need of it, kept in the state file.
    pub scope: Scope,
    properties: Vec<Property>,
}

impl SystemdPlace {
    pub(super) fn parse(
        path: &str,
        id: &str,
        bus: Bus,
        annotations: Option<&HashMap<String, String>>,
    ) -> Result<Self, CgroupError> {
        Ok(Self {
            scope: Scope::parse(path, id, bus)?,
            properties: annotation::properties(annotations)?,
        })
    }

    /// Has systemd make the scope with `pid` in it and the limits set, writes the limits that
    /// systemd cannot express, and puts `pid` into the v1 hierarchies that systemd left out.
    ///
    /// `pid` is the waiting init; nothing of the container may run before this returns. On
    /// failure the scope is stopped again.
    pub fn start_scope(
        &self,
        _hierarchies: &Hierarchies,
        _access: Access,
        _pid: HostPid,
        _resources: &LinuxResources,
    ) -> Result<Cgroup, CgroupError> {
        Err(CgroupError::Systemd {
            what: "start",
            unit: self.scope.unit.clone(),
            why: "this build does not speak to systemd yet".to_owned(),
        })
    }
}

impl Scope {
    /// Has systemd forget the unit and end what is left in it; one that is gone is no error.
    pub fn stop(&self) -> Result<(), CgroupError> {
        Ok(())
    }

    /// Sets the properties for changed limits, so that systemd does not undo what is then written
    /// with [`Cgroup::apply`].
    pub fn update(&self, _resources: &LinuxResources) -> Result<(), CgroupError> {
        Ok(())
    }
}

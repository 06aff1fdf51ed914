//! The systemd driver: systemd makes a container's cgroup as a transient scope, on our request
//! over D-Bus, and keeps what its unit properties can express; the rest we write ourselves.
//!
//! `name`, `annotation`, `limits` and `property` are pure, `bus` is the wire, `manager` the calls.
//! A scope exists only while a process is in it, so systemd asks for one at its start: the
//! container's init, which waits meanwhile. systemd ends the scope with its last process.

mod annotation;
mod bus;
mod limits;
mod manager;
mod name;
mod property;
mod scope;

use std::collections::HashMap;

use berth_base::HostPid;
use oci_spec::runtime::LinuxResources;

use super::devices;
use super::error::CgroupError;
pub use name::{Bus, Scope};
use property::{Property, Value};

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

    /// Everything that the unit is started with. What annotations say comes last and wins.
    fn start_properties(
        &self,
        pid: HostPid,
        resources: &LinuxResources,
        locate: limits::Locate<'_>,
    ) -> Result<Vec<Property>, CgroupError> {
        let yes = |name| Property::new(name, Value::Bool(true));
        let block = match locate(super::Controller::BlockIo) {
            Some(super::limits::Version::V1) => "BlockIOAccounting",
            _ => "IOAccounting",
        };
        let mut all = vec![
            Property::new(
                "Description",
                Value::Text(format!("container {}", self.scope.unit)),
            ),
            Property::new("Slice", Value::Text(self.scope.slice.clone())),
            Property::new("PIDs", Value::Pids(vec![pid.get()])),
            Property::new("DefaultDependencies", Value::Bool(false)),
            // One whose process was killed would else be remembered as failed, under its name.
            Property::new("CollectMode", Value::Text("inactive-or-failed".to_owned())),
            // The container may make sub-cgroups, and so may we.
            yes("Delegate"),
            yes("CPUAccounting"),
            yes("MemoryAccounting"),
            yes("TasksAccounting"),
            yes(block),
        ];
        if let Some(rules) = resources
            .devices()
            .as_ref()
            .filter(|rules| !rules.is_empty())
        {
            let unit = devices::unit_devices(rules)?;
            all.push(Property::new(
                "DevicePolicy",
                Value::Text(unit.policy.to_owned()),
            ));
            all.push(Property::new("DeviceAllow", Value::Pairs(unit.allow)));
        }
        all.extend(limits::properties(resources, locate)?);
        for property in &self.properties {
            all.retain(|earlier| earlier.name != property.name);
            all.push(property.clone());
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::limits::Version;

    #[test]
    fn a_scope_is_started_with_all_it_needs() {
        let annotations = HashMap::from([(
            "org.systemd.property.Description".to_owned(),
            "'mine'".to_owned(),
        )]);
        let place =
            SystemdPlace::parse("a.slice:p:n", "id", Bus::System, Some(&annotations)).unwrap();
        let resources = serde_json::from_str(
            r#"{"devices": [{"allow": false, "access": "rwm"},
                            {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
                "pids": {"limit": 5}}"#,
        )
        .unwrap();
        let pid = HostPid::new(42).unwrap();
        let locate = |_| Some(Version::V2);
        let shown: String = place
            .start_properties(pid, &resources, &locate)
            .unwrap()
            .iter()
            .map(|property| format!("{} {:?}\n", property.name, property.value))
            .collect();
        insta::assert_snapshot!(shown, @r#"
        Slice Text("a.slice")
        PIDs Pids([42])
        DefaultDependencies Bool(false)
        CollectMode Text("inactive-or-failed")
        Delegate Bool(true)
        CPUAccounting Bool(true)
        MemoryAccounting Bool(true)
        TasksAccounting Bool(true)
        IOAccounting Bool(true)
        DevicePolicy Text("strict")
        DeviceAllow Pairs([("/dev/char/1:3", "rwm")])
        TasksMax U64(5)
        Description Text("mine")
        "#);
    }
}

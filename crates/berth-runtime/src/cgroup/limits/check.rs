//! Refusing resources that make no sense on any host, before anything is created.
//!
//! Pure. What only this host lacks is for [`crate::cgroup::Cgroup::apply`] to find.

use oci_spec::runtime::LinuxResources;

use super::{Version, block, plan, unified};
use crate::cgroup::devices;
use crate::cgroup::error::CgroupError;

/// The names of limits in messages, and their fields below `linux.resources`.
const FIELDS: [(&str, &str); 30] = [
    ("memory limit", "memory.limit"),
    ("memory plus swap limit", "memory.swap"),
    ("memory reservation", "memory.reservation"),
    ("swappiness", "memory.swappiness"),
    ("CPU shares", "cpu.shares"),
    ("CPU quota", "cpu.quota"),
    ("CPU period", "cpu.period"),
    ("CPU burst", "cpu.burst"),
    ("CPU idle switch", "cpu.idle"),
    ("CPU list", "cpu.cpus"),
    ("memory node list", "cpu.mems"),
    ("process limit", "pids.limit"),
    (block::WEIGHT, "blockIO.weight"),
    (block::DEVICE_WEIGHT, "blockIO.weightDevice"),
    ("block read rate", "blockIO.throttleReadBpsDevice"),
    ("block write rate", "blockIO.throttleWriteBpsDevice"),
    ("block reads per second", "blockIO.throttleReadIOPSDevice"),
    ("block writes per second", "blockIO.throttleWriteIOPSDevice"),
    ("huge page limit", "hugepageLimits"),
    ("RDMA limit", "rdma"),
    ("network priority", "network.priorities"),
    ("unified setting", "unified"),
    ("kernel TCP memory limit", "memory.kernelTCP"),
    (
        "switch that disables the OOM killer",
        "memory.disableOOMKiller",
    ),
    ("realtime CPU period", "cpu.realtimePeriod"),
    ("realtime CPU time", "cpu.realtimeRuntime"),
    ("block I/O leaf weight", "blockIO.leafWeight"),
    ("network class", "network.classID"),
    ("device rule", "devices"),
    ("device rules", "devices"),
];

/// Checks `linux.resources`; an error comes with the path of its field.
pub fn check_resources(resources: &LinuxResources) -> Result<(), (String, Box<CgroupError>)> {
    for (index, rule) in resources.devices().iter().flatten().enumerate() {
        devices::check_rule(rule)
            .map_err(|error| (format!("linux.resources.devices[{index}]"), Box::new(error)))?;
    }
    // v1 has a file for everything, so nothing is missing there.
    plan(resources, &|_| Some(Version::V1))
        .map(drop)
        .and_then(|()| unified::check(resources.unified().iter().flatten().map(|(file, _)| file)))
        .map_err(|error| (field_of(&error), Box::new(error)))
}

/// The field of `linux.resources` that an error of [`crate::cgroup::Cgroup::apply`] is about.
pub fn field_of(error: &CgroupError) -> String {
    let limit = match error {
        CgroupError::Invalid { limit, .. } | CgroupError::OutOfRange { limit, .. } => *limit,
        CgroupError::Limit { limit, .. } | CgroupError::Unsupported { limit, .. } => limit,
        CgroupError::DeviceFilter { .. } => "device rules",
        CgroupError::Undo { cause, .. } => return field_of(cause),
        _ => "",
    };
    // Some names go on: with the file of a unified setting, or the rule of a device.
    let is_of = |name: &str| {
        limit
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let longest = FIELDS
        .iter()
        .filter(|(name, _)| is_of(name))
        .max_by_key(|(name, _)| name.len());
    match longest {
        Some((_, field)) => format!("linux.resources.{field}"),
        None => "linux.resources".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_host_can_set_is_refused_with_its_field() {
        for (json, field) in [
            (r#"{"memory": {"limit": -7}}"#, "memory.limit"),
            (
                r#"{"memory": {"limit": 10000000, "swap": 9000000}}"#,
                "memory.swap",
            ),
            (r#"{"memory": {"swappiness": 101}}"#, "memory.swappiness"),
            (r#"{"cpu": {"shares": 1}}"#, "cpu.shares"),
            (r#"{"cpu": {"quota": 5000, "burst": 6000}}"#, "cpu.burst"),
            (r#"{"cpu": {"cpus": "0 ../x"}}"#, "cpu.cpus"),
            (r#"{"pids": {"limit": 5000000}}"#, "pids.limit"),
            (r#"{"blockIO": {"weight": 5}}"#, "blockIO.weight"),
            (
                r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}}"#,
                "blockIO.weightDevice",
            ),
            (
                r#"{"blockIO": {"throttleWriteIOPSDevice": [{"major": -1, "minor": 0, "rate": 1}]}}"#,
                "blockIO.throttleWriteIOPSDevice",
            ),
            (
                r#"{"hugepageLimits": [{"pageSize": "x", "limit": 1}]}"#,
                "hugepageLimits",
            ),
            (r#"{"rdma": {"m": {}}}"#, "rdma"),
            (
                r#"{"network": {"priorities": [{"name": "a b", "priority": 1}]}}"#,
                "network.priorities",
            ),
            (r#"{"unified": {"../x": "1"}}"#, "unified"),
            (
                r#"{"devices": [{"allow": true, "access": "rwm"}, {"allow": true, "access": "x"}]}"#,
                "devices[1]",
            ),
        ] {
            let (found, error) = check_resources(&serde_json::from_str(json).unwrap()).unwrap_err();
            assert_eq!(found, format!("linux.resources.{field}"), "{error}");
            assert_eq!(error.class(), berth_base::ErrorClass::Invalid);
        }
        let lacking = |limit: &str| {
            let why = String::new();
            let limit = limit.to_owned();
            field_of(&CgroupError::Unsupported { limit, why })
        };
        for (limit, field) in [
            ("unified setting memory.high", "linux.resources.unified"),
            (
                "block I/O weight of a device",
                "linux.resources.blockIO.weightDevice",
            ),
            ("device rule c 1:3 rwm", "linux.resources.devices"),
            ("something else", "linux.resources"),
        ] {
            assert_eq!(lacking(limit), field);
        }
        // A host may lack it, but it makes sense.
        let json = r#"{"memory": {"swap": 9000000, "disableOOMKiller": true}, "unified": {"x.y": "1"},
            "network": {"classID": 5}, "cpu": {"realtimeRuntime": 5}}"#;
        check_resources(&serde_json::from_str(json).unwrap()).unwrap();
    }
}

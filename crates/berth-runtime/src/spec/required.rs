//! Fields that the specification requires, and that the types of oci-spec would take as 0 or false
//! where they are absent: a limit of 0 that nobody asked for is worse than a refusal.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Checked, refuse};

/// Whether a field is there; `null` means the same as absent (features.md).
type Given = Option<IgnoredAny>;

/// What of a configuration has such fields.
#[derive(Deserialize)]
pub(super) struct Config {
    process: Option<Process>,
    mounts: Option<Vec<Mount>>,
    linux: Option<Linux>,
}

/// What of a process has such fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    user: Option<User>,
    console_size: Option<ConsoleSize>,
    rlimits: Option<Vec<Limit>>,
    io_priority: Option<IoPriority>,
}

#[derive(Deserialize)]
struct User {
    uid: Given,
    gid: Given,
}

#[derive(Deserialize)]
struct ConsoleSize {
    height: Given,
    width: Given,
}

#[derive(Deserialize)]
struct Limit {
    soft: Given,
    hard: Given,
}

#[derive(Deserialize)]
struct IoPriority {
    class: Given,
    priority: Given,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    uid_mappings: Option<Vec<Mapping>>,
    gid_mappings: Option<Vec<Mapping>>,
    devices: Option<Vec<Device>>,
    resources: Option<Resources>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    uid_mappings: Option<Vec<Mapping>>,
    gid_mappings: Option<Vec<Mapping>>,
}

#[derive(Deserialize)]
struct Mapping {
    #[serde(rename = "containerID")]
    container_id: Given,
    #[serde(rename = "hostID")]
    host_id: Given,
    size: Given,
}

#[derive(Deserialize)]
struct Device {
    #[serde(rename = "type")]
    kind: Option<String>,
    major: Given,
    minor: Given,
}

#[derive(Deserialize)]
struct Resources {
    devices: Option<Vec<Rule>>,
    #[serde(rename = "blockIO")]
    block_io: Option<BlockIo>,
    #[serde(rename = "hugepageLimits")]
    hugepage_limits: Option<Vec<HugepageLimit>>,
    network: Option<Network>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockIo {
    weight_device: Option<Vec<Throttle>>,
    throttle_read_bps_device: Option<Vec<Throttle>>,
    throttle_write_bps_device: Option<Vec<Throttle>>,
    #[serde(rename = "throttleReadIOPSDevice")]
    throttle_read_iops_device: Option<Vec<Throttle>>,
    #[serde(rename = "throttleWriteIOPSDevice")]
    throttle_write_iops_device: Option<Vec<Throttle>>,
}

#[derive(Deserialize)]
struct Throttle {
    major: Given,
    minor: Given,
    rate: Given,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HugepageLimit {
    page_size: Given,
    limit: Given,
}

#[derive(Deserialize)]
struct Network {
    priorities: Option<Vec<NetworkPriority>>,
}

#[derive(Deserialize)]
struct NetworkPriority {
    name: Given,
    priority: Given,
}

#[derive(Deserialize)]
struct Rule {
    allow: Given,
}

impl Config {
    /// Checks that what is required is there.
    pub(super) fn check(&self) -> Checked {
        if let Some(process) = &self.process {
            process.check()?;
        }
        for (index, mount) in listed(&self.mounts) {
            let object = format!("mounts[{index}]");
            mappings(&object, &mount.uid_mappings, &mount.gid_mappings)?;
        }
        let Some(linux) = &self.linux else {
            return Ok(());
        };
        mappings("linux", &linux.uid_mappings, &linux.gid_mappings)?;
        for (index, device) in listed(&linux.devices) {
            // A pipe has no numbers.
            if device.kind.as_deref() != Some("p") {
                let numbers = [("major", &device.major), ("minor", &device.minor)];
                all(&format!("linux.devices[{index}]"), &numbers)?;
            }
        }
        linux.resources.as_ref().map_or(Ok(()), Resources::check)
    }
}

impl Resources {
    fn check(&self) -> Checked {
        let object = |list: &str, index| format!("linux.resources.{list}[{index}]");
        for (index, rule) in listed(&self.devices) {
            all(&object("devices", index), &[("allow", &rule.allow)])?;
        }
        if let Some(block) = &self.block_io {
            block.check()?;
        }
        for (index, limit) in listed(&self.hugepage_limits) {
            let parts = [("pageSize", &limit.page_size), ("limit", &limit.limit)];
            all(&object("hugepageLimits", index), &parts)?;
        }
        let priorities = self.network.as_ref().map(|network| &network.priorities);
        for (index, entry) in priorities.into_iter().flat_map(listed) {
            let parts = [("name", &entry.name), ("priority", &entry.priority)];
            all(&object("network.priorities", index), &parts)?;
        }
        Ok(())
    }
}

impl BlockIo {
    fn check(&self) -> Checked {
        for (name, list) in [
            ("weightDevice", &self.weight_device),
            ("throttleReadBpsDevice", &self.throttle_read_bps_device),
            ("throttleWriteBpsDevice", &self.throttle_write_bps_device),
            ("throttleReadIOPSDevice", &self.throttle_read_iops_device),
            ("throttleWriteIOPSDevice", &self.throttle_write_iops_device),
        ] {
            for (index, entry) in listed(list) {
                let object = format!("linux.resources.blockIO.{name}[{index}]");
                all(&object, &[("major", &entry.major), ("minor", &entry.minor)])?;
                if name != "weightDevice" {
                    all(&object, &[("rate", &entry.rate)])?;
                }
            }
        }
        Ok(())
    }
}

impl Process {
    /// As [`Config::check`].
    pub(super) fn check(&self) -> Checked {
        if let Some(user) = &self.user {
            all("process.user", &[("uid", &user.uid), ("gid", &user.gid)])?;
        }
        if let Some(size) = &self.console_size {
            let sides = [("height", &size.height), ("width", &size.width)];
            all("process.consoleSize", &sides)?;
        }
        for (index, limit) in listed(&self.rlimits) {
            let values = [("soft", &limit.soft), ("hard", &limit.hard)];
            all(&format!("process.rlimits[{index}]"), &values)?;
        }
        if let Some(priority) = &self.io_priority {
            let parts = [("class", &priority.class), ("priority", &priority.priority)];
            all("process.ioPriority", &parts)?;
        }
        Ok(())
    }
}

fn mappings(object: &str, uids: &Option<Vec<Mapping>>, gids: &Option<Vec<Mapping>>) -> Checked {
    for (name, list) in [("uidMappings", uids), ("gidMappings", gids)] {
        for (index, mapping) in listed(list) {
            let parts = [
                ("containerID", &mapping.container_id),
                ("hostID", &mapping.host_id),
                ("size", &mapping.size),
            ];
            all(&format!("{object}.{name}[{index}]"), &parts)?;
        }
    }
    Ok(())
}

fn listed<T>(list: &Option<Vec<T>>) -> impl Iterator<Item = (usize, &T)> {
    list.iter().flatten().enumerate()
}

fn all(object: &str, fields: &[(&str, &Given)]) -> Checked {
    match fields.iter().find(|(_, given)| given.is_none()) {
        Some((name, _)) => Err(refuse(format!("{object}.{name}"), "missing")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        for (json, field) in [
            (r#"{"process": {"user": {"gid": 0}}}"#, "process.user.uid"),
            (
                r#"{"process": {"consoleSize": {"height": 5}}}"#,
                "process.consoleSize.width",
            ),
            (
                r#"{"process": {"rlimits": [{"soft": 1, "hard": 1}, {"hard": 1}]}}"#,
                "process.rlimits[1].soft",
            ),
            (
                r#"{"process": {"ioPriority": {"class": "IOPRIO_CLASS_BE"}}}"#,
                "process.ioPriority.priority",
            ),
            (
                r#"{"mounts": [{"gidMappings": [{"containerID": 0, "size": 1}]}]}"#,
                "mounts[0].gidMappings[0].hostID",
            ),
            (
                r#"{"linux": {"uidMappings": [{"containerID": null, "hostID": 0, "size": 1}]}}"#,
                "linux.uidMappings[0].containerID",
            ),
            (
                r#"{"linux": {"devices": [{"type": "c", "minor": 3}]}}"#,
                "linux.devices[0].major",
            ),
            (
                r#"{"linux": {"resources": {"devices": [{"access": "r"}]}}}"#,
                "linux.resources.devices[0].allow",
            ),
            (
                r#"{"linux": {"resources": {"blockIO": {"weightDevice": [{"major": 7}]}}}}"#,
                "linux.resources.blockIO.weightDevice[0].minor",
            ),
            (
                r#"{"linux": {"resources": {"blockIO": {"throttleReadIOPSDevice":
                   [{"major": 7, "minor": 0}]}}}}"#,
                "linux.resources.blockIO.throttleReadIOPSDevice[0].rate",
            ),
            (
                r#"{"linux": {"resources": {"network": {"priorities": [{"name": "lo"}]}}}}"#,
                "linux.resources.network.priorities[0].priority",
            ),
        ] {
            let config: Config = serde_json::from_str(json).unwrap();
            let refused = config.check().unwrap_err().to_string();
            assert_eq!(refused, format!("{field}: missing"));
        }
        let pipe = r#"{"linux": {"devices": [{"type": "p"}], "seccomp": {"x": [1]}}}"#;
        let config: Config = serde_json::from_str(pipe).unwrap();
        config.check().unwrap();
    }
}

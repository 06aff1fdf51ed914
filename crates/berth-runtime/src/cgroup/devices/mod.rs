//! Which devices a container may use.
//!
//! Rules are applied in order: of all rules that match a device, the last decides, for each kind
//! of access (read, write, mknod) by itself. Nothing is allowed that no rule allows. v1 takes
//! rules as text, v2 runs a BPF program that we generate. On a hybrid host with v1's `devices` that
//! one is used; with neither the rules are an error, never silently dropped.

mod filter;
mod rule;
mod unit;
mod v1;

use std::path::Path;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::branch::Branch;
use super::error::CgroupError;
use super::{Cgroup, controller::Controller};
use rule::Rule;
pub(super) use unit::UnitDevices;

/// Whether a rule makes sense.
pub(super) fn check_rule(rule: &LinuxDeviceCgroup) -> Result<(), CgroupError> {
    Rule::parse(rule).map(drop)
}

/// What systemd is to be told of device rules.
pub(super) fn unit_devices(rules: &[LinuxDeviceCgroup]) -> Result<UnitDevices, CgroupError> {
    let rules = rules
        .iter()
        .map(Rule::parse)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(unit::of(&rules))
}

impl Cgroup {
    /// Applies device rules. An empty list changes nothing.
    pub(super) fn apply_devices(&self, rules: &[LinuxDeviceCgroup]) -> Result<(), CgroupError> {
        if rules.is_empty() {
            return Ok(());
        }
        let rules = rules
            .iter()
            .map(Rule::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(branch) = self.v1_branch(Controller::Devices.v1_name()) {
            return v1::write(branch, &rules);
        }
        match &self.v2 {
            Some(branch) => attach(branch, &rules),
            None => Err(CgroupError::Unsupported {
                limit: "device rules".to_owned(),
                why: "there is neither cgroup v1's devices controller nor cgroup v2 on this host, or none delegated to this user".to_owned(),
            }),
        }
    }
}

/// Loads and attaches the filter, and detaches what an earlier call attached.
fn attach(branch: &Branch, rules: &[Rule]) -> Result<(), CgroupError> {
    let dir = branch.open()?;
    let failed = |verb| filter_error(verb, &branch.path);
    let program = berth_sys::bpf::load_cgroup_device(&filter::program(rules))
        .map_err(|error| failed("load")(&error))?;
    let former =
        berth_sys::bpf::cgroup_device_programs(dir).map_err(|error| failed("replace")(&error))?;
    berth_sys::bpf::attach_cgroup_device(dir, &program)
        .map_err(|error| failed("attach")(&error))?;
    // For a moment both filters act, which allows less, never more.
    for id in former {
        berth_sys::bpf::detach_cgroup_device(dir, id).map_err(|error| failed("replace")(&error))?;
    }
    Ok(())
}

fn filter_error(
    verb: &'static str,
    path: &Path,
) -> impl Fn(&dyn std::error::Error) -> CgroupError + use<> {
    let path = path.to_owned();
    move |error| CgroupError::DeviceFilter {
        verb,
        path: path.clone(),
        reason: error.to_string(),
    }
}

/// Rules for the devices that the runtime specification has every container supply (null, zero,
/// full, random, urandom, tty, console, ptmx, pts), and to make nodes of any device, which
/// CAP_MKNOD guards and which opens none: for a caller whose own rules deny everything. dockerd
/// and containerd write neither, because runc adds both. Nothing adds them by itself.
pub fn supplied_device_rules() -> Vec<LinuxDeviceCgroup> {
    const NUMBERS: [(i64, Option<i64>); 9] = [
        (1, Some(3)),
        (1, Some(5)),
        (1, Some(7)),
        (1, Some(8)),
        (1, Some(9)),
        (5, Some(0)),
        (5, Some(1)),
        (5, Some(2)),
        (136, None),
    ];
    let rule = |kind, major, minor, access: &str| {
        let mut rule = LinuxDeviceCgroup::default();
        rule.set_allow(true)
            .set_typ(Some(kind))
            .set_major(major)
            .set_minor(minor)
            .set_access(Some(access.to_owned()));
        rule
    };
    let nodes = [LinuxDeviceType::C, LinuxDeviceType::B].map(|kind| rule(kind, None, None, "m"));
    let devices = NUMBERS.map(|(major, minor)| rule(LinuxDeviceType::C, Some(major), minor, "rwm"));
    nodes.into_iter().chain(devices).collect()
}

#[cfg(test)]
mod tests;

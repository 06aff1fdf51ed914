//! Device rules as systemd knows them: `DevicePolicy` and `DeviceAllow` of a unit.
//!
//! systemd keeps its own filter beside ours, so its rules must never allow less: where they cannot
//! say the same, they say more, and ours decides. Pure.

use super::rule::{Kind, Rule};
use super::v1;

/// What a unit's properties are to be.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cgroup) struct UnitDevices {
    /// `strict`: only what is listed. `auto` with an empty list: everything.
    pub(in crate::cgroup) policy: &'static str,
    /// A device or class of devices, and its access of `r`, `w`, `m`.
    pub(in crate::cgroup) allow: Vec<(String, String)>,
}

pub(super) fn of(rules: &[Rule]) -> UnitDevices {
    // Rules with holes in them, and rules that allow by default: systemd has neither.
    let listed = v1::normalise(rules).ok().filter(|list| !list.default_allow);
    let Some(list) = listed else {
        return UnitDevices {
            policy: "auto",
            allow: Vec::new(),
        };
    };
    UnitDevices {
        policy: "strict",
        allow: list.exceptions.iter().map(entry).collect(),
    }
}

/// systemd takes the paths below /dev/char and /dev/block without looking at them, and a number in
/// the place of a class's name (since version 241).
fn entry(rule: &Rule) -> (String, String) {
    let kind = match rule.kind {
        Some(Kind::Block) => "block",
        _ => "char",
    };
    let device = match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (Some(major), None) => format!("{kind}-{major}"),
        (None, _) => format!("{kind}-*"),
    };
    let access = rule.to_string();
    let access = access.rsplit(' ').next().unwrap_or_default();
    (device, access.to_owned())
}

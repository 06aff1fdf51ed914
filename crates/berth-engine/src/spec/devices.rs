//! Device nodes and the device rules of the cgroup.

use std::path::PathBuf;

use oci_spec::runtime::{
    Hooks, LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType, LinuxIntelRdt, Mount,
};

use crate::CreateOptions;
use crate::options::DeviceRule;

/// A device node of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostDevice {
    /// Its path, below /dev on the host and in the container.
    pub(crate) path: String,
    pub(crate) kind: DeviceKind,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Block or character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceKind {
    Block,
    Character,
}

/// A device that a container gets: its node in there, and what it may do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The node, by its path in the container.
    pub(crate) device: HostDevice,
    /// Where the host has it.
    pub(crate) host: PathBuf,
    /// `r`, `w` and `m`; none: a node that cannot be opened.
    pub(crate) access: String,
}

impl Grant {
    /// Whether its path in the container is not that of its node on the host.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.host.as_os_str() != self.device.path.as_str()
    }
}

/// What devices bring along for a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Injected {
    pub(crate) devices: Vec<Grant>,
    /// Mounts besides those of the user.
    pub(crate) mounts: Vec<Mount>,
    /// `KEY=VALUE`, over those of the container.
    pub(crate) env: Vec<String>,
    /// Further groups of the first process.
    pub(crate) groups: Vec<u32>,
    /// Programs that run at points of the container's life.
    pub(crate) hooks: Option<Hooks>,
    /// Parts of caches and memory bandwidth.
    pub(crate) intel_rdt: Option<LinuxIntelRdt>,
}

impl HostDevice {
    pub(super) fn to_spec(&self) -> LinuxDevice {
        let mut device = LinuxDevice::default();
        device
            .set_path(self.path.clone().into())
            .set_typ(match self.kind {
                DeviceKind::Block => LinuxDeviceType::B,
                DeviceKind::Character => LinuxDeviceType::C,
            })
            .set_major(i64::from(self.major))
            .set_minor(i64::from(self.minor))
            .set_file_mode(Some(self.mode))
            .set_uid(Some(self.uid))
            .set_gid(Some(self.gid));
        device
    }
}

/// Everything denied, then what Docker and runc together allow: making any node, and using null,
/// zero, full, random, urandom, tty, console, ptmx and pseudo terminals.
fn default_rules() -> Vec<LinuxDeviceCgroup> {
    let character = LinuxDeviceType::C;
    let mut rules = vec![
        rule(false, LinuxDeviceType::A, None, None, "rwm"),
        rule(true, character, None, None, "m"),
        rule(true, LinuxDeviceType::B, None, None, "m"),
    ];
    for (major, minor) in [
        (1, Some(3)),
        (1, Some(5)),
        (1, Some(7)),
        (1, Some(8)),
        (1, Some(9)),
        (5, Some(0)),
        (5, Some(1)),
        (5, Some(2)),
        (136, None),
    ] {
        rules.push(rule(true, character, Some(major), minor, "rwm"));
    }
    rules
}

/// The device rules of a container that root starts: the later ones win.
pub(super) fn rules(options: &CreateOptions, grants: &[Grant]) -> Vec<LinuxDeviceCgroup> {
    if options.privileged {
        return all_allowed();
    }
    let mut rules = default_rules();
    let usable = grants.iter().filter(|grant| !grant.access.is_empty());
    rules.extend(usable.map(|grant| {
        let device = &grant.device;
        let kind = match device.kind {
            DeviceKind::Block => LinuxDeviceType::B,
            DeviceKind::Character => LinuxDeviceType::C,
        };
        let (major, minor) = (i64::from(device.major), i64::from(device.minor));
        rule(true, kind, Some(major), Some(minor), &grant.access)
    }));
    rules.extend(options.limits.device_rules.iter().map(of_user));
    rules
}

fn of_user(asked: &DeviceRule) -> LinuxDeviceCgroup {
    let kind = match asked.kind {
        'a' => LinuxDeviceType::A,
        'b' => LinuxDeviceType::B,
        _ => LinuxDeviceType::C,
    };
    let (major, minor) = (asked.major.map(i64::from), asked.minor.map(i64::from));
    rule(true, kind, major, minor, &asked.access)
}

/// `--privileged`: every device.
fn all_allowed() -> Vec<LinuxDeviceCgroup> {
    vec![rule(true, LinuxDeviceType::A, None, None, "rwm")]
}

fn rule(
    allow: bool,
    kind: LinuxDeviceType,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow)
        .set_typ(Some(kind))
        .set_major(major)
        .set_minor(minor)
        .set_access(Some(access.to_owned()));
    rule
}

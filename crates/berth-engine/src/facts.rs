//! What a use-case needs to know of the caller and the host, each asked only when needed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use crate::spec::{BlockDevices, CallerLimits, DeviceKind, HostDevice, LimitFacts};
use crate::{CreateOptions, EngineError, Limits, device};

/// Whether the caller is not root: then its containers need a user namespace.
pub(crate) fn is_rootless() -> bool {
    !rustix::process::geteuid().is_root()
}

/// The hard limits of the caller, and whether it may exceed them (setrlimit(2)).
pub(crate) fn limits(has_user_namespace: bool) -> CallerLimits {
    const RESOURCES: [(&str, Resource); 16] = [
        ("as", Resource::As),
        ("core", Resource::Core),
        ("cpu", Resource::Cpu),
        ("data", Resource::Data),
        ("fsize", Resource::Fsize),
        ("locks", Resource::Locks),
        ("memlock", Resource::Memlock),
        ("msgqueue", Resource::Msgqueue),
        ("nice", Resource::Nice),
        ("nofile", Resource::Nofile),
        ("nproc", Resource::Nproc),
        ("rss", Resource::Rss),
        ("rtprio", Resource::Rtprio),
        ("rttime", Resource::Rttime),
        ("sigpending", Resource::Sigpending),
        ("stack", Resource::Stack),
    ];
    let hard: BTreeMap<&'static str, u64> = RESOURCES
        .into_iter()
        .map(|(name, resource)| (name, getrlimit(resource).maximum.unwrap_or(u64::MAX)))
        .collect();
    let may_raise = !has_user_namespace
        && capabilities(None)
            .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    CallerLimits { hard, may_raise }
}

/// How many CPUs are online.
pub(crate) fn online_cpus() -> u32 {
    let count = parse_cpu_list(&read_cpus("online")).count();
    u32::try_from(count).unwrap_or(u32::MAX).max(1)
}

/// The thermal_throttle folder of each possible CPU. All are alike: a host whose first CPU has
/// none is not searched further.
pub(crate) fn thermal_throttles() -> Vec<String> {
    parse_cpu_list(&read_cpus("possible"))
        .map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"))
        .take_while(|path| Path::new(path).is_dir())
        .collect()
}

/// What limits of these options depend on, as far as they ask for it; block devices aside.
pub(crate) fn limit_facts(options: &CreateOptions) -> LimitFacts {
    let mut facts = LimitFacts::default();
    let (changeable, limits) = (&options.resources, &options.limits);
    if changeable.nano_cpus.is_some() {
        facts.cpus = online_cpus();
    }
    if changeable.cpuset_cpus.is_some() {
        facts.cpu_list = read_cpus("online").trim().to_owned();
    }
    if changeable.cpuset_mems.is_some() {
        let nodes = fs::read_to_string("/sys/devices/system/node/has_memory");
        facts.node_list = nodes.unwrap_or_default().trim().to_owned();
    }
    if changeable.blkio_weight.is_some() || !limits.is_empty() {
        facts.hints = crate::cgroup::hierarchies().hints();
    }
    facts
}

/// The numbers of the block devices that have limits; one that is none is an error.
pub(crate) fn block_devices(limits: &Limits) -> Result<BlockDevices, EngineError> {
    let amounts = [
        &limits.weight_devices,
        &limits.read_bps,
        &limits.write_bps,
        &limits.read_iops,
        &limits.write_iops,
    ];
    let devices = amounts.into_iter().flatten();
    devices
        .map(|device| Ok((device.path.clone(), device::block_number(&device.path)?)))
        .collect()
}

fn read_cpus(which: &str) -> String {
    fs::read_to_string(Path::new("/sys/devices/system/cpu").join(which)).unwrap_or_default()
}

/// Reads `0-3,8` (cpuset(7), "List format").
fn parse_cpu_list(text: &str) -> impl Iterator<Item = u32> {
    text.trim().split(',').flat_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) => first..last.saturating_add(1),
            _ => 0..0,
        }
    })
}

/// A device node, by the metadata of the file that it is; `None` for other files.
pub(crate) fn device_node(path: &str, metadata: &fs::Metadata) -> Option<HostDevice> {
    let kind = metadata.file_type();
    let kind = if kind.is_block_device() {
        DeviceKind::Block
    } else if kind.is_char_device() {
        DeviceKind::Character
    } else {
        return None;
    };
    let device = metadata.rdev();
    Some(HostDevice {
        path: path.to_owned(),
        kind,
        major: rustix::fs::major(device),
        minor: rustix::fs::minor(device),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

/// The device nodes below /dev, for `--privileged`. Links, pseudo terminals, the console and the
/// file systems a container has its own of are left out.
pub(crate) fn host_devices() -> Vec<HostDevice> {
    let mut devices = Vec::new();
    let mut folders = vec![PathBuf::from("/dev")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            // The metadata of the entry itself: links are not followed.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let kind = metadata.file_type();
            if kind.is_dir() {
                let own = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];
                if !own.iter().any(|o| *o == name) {
                    folders.push(path);
                }
                continue;
            }
            if path.as_os_str() == "/dev/console" {
                continue;
            }
            devices.extend(path.to_str().and_then(|path| device_node(path, &metadata)));
        }
    }
    devices.sort_by(|a, b| a.path.cmp(&b.path));
    devices
}

/// The login name of a uid in the host's passwd, for /etc/subuid.
pub(crate) fn login_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid).then(|| name.to_owned())
    })
}

/// Whether ranges of sub-ids can be had without root: newuidmap(1) and newgidmap(1) exist.
pub(crate) fn has_newidmap() -> bool {
    ["newuidmap", "newgidmap"].iter().all(|program| {
        ["/usr/bin", "/bin", "/usr/local/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(program).is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_counted() {
        for (text, count) in [
            ("0\n", 1),
            ("0-3\n", 4),
            ("0-1,4,6-7", 5),
            ("", 0),
            ("x", 0),
        ] {
            assert_eq!(parse_cpu_list(text).count(), count, "{text:?}");
        }
        assert!(online_cpus() >= 1);
    }

    #[test]
    fn null_is_a_host_device_and_no_pseudo_terminal_is() {
        let devices = host_devices();
        let null = devices.iter().find(|d| d.path == "/dev/null").unwrap();
        assert_eq!((null.major, null.minor), (1, 3));
        assert!(devices.iter().all(|d| !d.path.starts_with("/dev/pts")));
    }

    #[test]
    fn every_limit_of_the_caller_is_known() {
        assert_eq!(limits(true).hard.len(), 16);
        assert!(!limits(true).may_raise);
    }
}

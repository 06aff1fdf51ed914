//! What is in /dev.

use std::path::Path;

use oci_spec::runtime::LinuxDeviceType;

use super::build::{Builder, c_path, c_string, invalid};
use super::mounts::Places;
use super::{DeviceNumber, Links, PlanError, Slot, Step, TargetKind};

/// S_IFCHR, S_IFBLK, S_IFIFO (inode(7)).
pub(super) const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// The devices every container has (runtime-spec, config-linux, "Default Devices").
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links every container has in /dev.
const DEV_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Device nodes and the links of /dev.
pub(super) fn devices(builder: &mut Builder<'_>, places: &Places) -> Result<(), PlanError> {
    let Some(dev) = places.dev else { return Ok(()) };
    for (name, major, minor) in DEFAULT_DEVICES {
        let device = DeviceNumber {
            kind: CHARACTER,
            major,
            minor,
        };
        device_node(builder, dev, name, device, (0o666, 0, 0))?;
    }
    let spec = builder.spec;
    let listed = spec.linux().as_ref().and_then(|l| l.devices().as_ref());
    for device in listed.into_iter().flatten() {
        let path = device.path();
        let name = path
            .strip_prefix("/dev")
            .ok()
            .and_then(Path::to_str)
            .ok_or_else(|| invalid(&format!("the device {} is not below /dev", path.display())))?;
        if DEFAULT_DEVICES.iter().any(|(default, ..)| *default == name) {
            continue;
        }
        let kind = match device.typ() {
            LinuxDeviceType::B => BLOCK,
            LinuxDeviceType::P => FIFO,
            _ => CHARACTER,
        };
        let number = |n: i64| {
            u32::try_from(n).map_err(|_| invalid(&format!("device number {n} is out of range")))
        };
        let numbers = if kind == FIFO {
            (0, 0)
        } else {
            (number(device.major())?, number(device.minor())?)
        };
        let device_number = DeviceNumber {
            kind,
            major: numbers.0,
            minor: numbers.1,
        };
        let mode = device.file_mode().unwrap_or(0o666) & 0o7777;
        let owner = (mode, device.uid().unwrap_or(0), device.gid().unwrap_or(0));
        let mut parents: Vec<&Path> = Path::new(name).ancestors().skip(1).collect();
        parents.retain(|parent| !parent.as_os_str().is_empty());
        for parent in parents.into_iter().rev() {
            builder.push(Step::MakeDirectory {
                at: dev,
                path: c_path(parent)?,
                mode: 0o755,
            });
        }
        device_node(builder, dev, name, device_number, owner)?;
    }
    for (name, target) in DEV_LINKS {
        let (path, target) = (c_string(name)?, c_string(target)?);
        builder.push(Step::MakeSymlink {
            at: dev,
            path,
            target,
        });
    }
    Ok(())
}

/// A node of its own, or, where a user namespace forbids mknod, the host's node bound.
fn device_node(
    builder: &mut Builder<'_>,
    dev: Slot,
    name: &str,
    device: DeviceNumber,
    (mode, uid, gid): (u32, u32, u32),
) -> Result<(), PlanError> {
    if !builder.has_user_namespace() && builder.facts.privileged {
        let path = c_string(name)?;
        builder.push(Step::MakeDevice {
            at: dev,
            path,
            device,
            mode,
            uid,
            gid,
        });
        return Ok(());
    }
    let slot = builder.slot();
    let host = c_path(&Path::new("/dev").join(name))?;
    builder.push(Step::CloneHost {
        host: host.clone(),
        recursive: false,
        device: Some(device),
        slot,
    });
    builder.push(Step::Attach {
        slot,
        target: host,
        kind: TargetKind::File,
        links: Links::InRoot,
    });
    Ok(())
}

/// The pseudo terminal of `-t`.
pub(super) fn terminal(builder: &mut Builder<'_>, places: &Places) -> Result<(), PlanError> {
    let Some((rows, columns)) = builder.setup.terminal else {
        return Ok(());
    };
    let devpts = places
        .devpts
        .ok_or_else(|| invalid("a terminal needs a devpts mount"))?;
    builder.push(Step::OpenTerminal {
        devpts,
        rows,
        columns,
    });
    if let Some(dev) = places.dev {
        builder.push(Step::BindConsole { dev });
    }
    Ok(())
}
